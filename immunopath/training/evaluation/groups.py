"""The same figures by site and by cancer type."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from immunopath.domain.base import Frozen
from immunopath.training.evaluation.resample import Estimate
from immunopath.training.evaluation.score import Drawn, measured, why_not_evaluable
from immunopath.training.samples import Sample

By = Literal["site", "cancer_type"]
BYS: Final[tuple[By, ...]] = ("site", "cancer_type")
SHOWN: Final = ("balanced_accuracy", "auroc", "spearman", "mae", "mae_skill", "ece")


class GroupScore(Frozen):
    """One field in one group; metrics are empty when the group is too small (then `reason`)."""

    by: By
    group: str
    field: str
    n: int
    metrics: dict[str, Estimate]
    reason: str = ""


def large_enough(found: Sequence[GroupScore]) -> tuple[tuple[GroupScore, ...], int]:
    """Return the rows of groups with a figure for any field, and how many groups have none."""
    with_figures = {(g.by, g.group) for g in found if g.metrics}
    every = {(g.by, g.group) for g in found}
    kept = tuple(g for g in found if (g.by, g.group) in with_figures and (g.metrics or g.n))
    return kept, len(every - with_figures)


def group_scores(
    scored: Sequence[Sample],
    drawn: Mapping[str, Drawn],
) -> tuple[GroupScore, ...]:
    """Return the figures of every site and cancer type that occurs; one group alone is left out."""
    found: list[GroupScore] = []
    for by in BYS:
        groups = sorted({getattr(sample, by) for sample in scored})
        if len(groups) < 2:
            continue
        for group in groups:
            members = [s.patient_id for s in scored if getattr(s, by) == group]
            for name, own in drawn.items():
                part = own.of(members)
                reason = why_not_evaluable(part.data)
                figures = {} if reason else measured(part)
                metrics = {k: v for k, v in figures.items() if k in SHOWN}
                found.append(
                    GroupScore(
                        by=by,
                        group=group or "not stated",
                        field=name,
                        n=len(part.data),
                        metrics=metrics,
                        reason=reason,
                    )
                )
    return tuple(found)
