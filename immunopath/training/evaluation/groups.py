"""The same figures by site and by cancer type."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from immunopath.domain.base import Frozen
from immunopath.training.evaluation.collect import FieldData
from immunopath.training.evaluation.resample import DEFAULT, Estimate, Plan, resamples
from immunopath.training.evaluation.score import measured, why_not_evaluable
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
    data: Mapping[str, FieldData],
    plan: Plan = DEFAULT,
) -> tuple[GroupScore, ...]:
    """Return the figures of every site and cancer type that occurs; one group alone is left out."""
    found: list[GroupScore] = []
    for by in BYS:
        groups = sorted({getattr(sample, by) for sample in scored})
        if len(groups) < 2:
            continue
        for group in groups:
            members = [s.patient_id for s in scored if getattr(s, by) == group]
            for own in data.values():
                part = own.of(members)
                reason = why_not_evaluable(part)
                figures = {} if reason else measured(part, resamples(len(part), plan))
                metrics = {k: v for k, v in figures.items() if k in SHOWN}
                found.append(
                    GroupScore(
                        by=by,
                        group=group or "not stated",
                        field=own.field,
                        n=len(part),
                        metrics=metrics,
                        reason=reason,
                    )
                )
    return tuple(found)
