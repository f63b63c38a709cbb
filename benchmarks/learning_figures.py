"""What the learning benchmark prints: figures by name, and intervals."""

from typing import Any

from synthetic_bench import METRICS, MORE

from immunopath.training.evaluation.evaluate import Evaluation


def figures(found: Evaluation, of: str | None, prefix: str) -> dict[str, float | bool | None]:
    """Return the figures of the predictor, or of the set `of`.

    The correlation of a constant is 0, and `constant` says so; None = could not be measured, e.g.
    because the engine abstains on everything (`detail` says why).
    """
    scored = found.main if of is None else found.others[of]
    made: dict[str, float | bool | None] = {}
    for name, (field, metric) in METRICS.items():
        estimate = scored.fields[field].metrics.get(metric)
        known = estimate is not None and estimate.value is not None
        made[prefix + name] = round(estimate.value, 4) if known else None
    spearman = scored.fields["til_fraction"].metrics.get("spearman")
    made[f"{prefix}constant"] = None if spearman is None else spearman.constant
    return made


def detail(found: Evaluation, of: str | None) -> dict[str, Any]:
    """Return every metric listed above with its interval, and how often each answer was given."""
    scored = found.main if of is None else found.others[of]
    made: dict[str, Any] = {}
    for name, (field, metric) in (METRICS | MORE).items():
        estimate = scored.fields[field].metrics.get(metric)
        if estimate is not None and estimate.value is not None:
            made[name] = {
                "value": round(estimate.value, 4),
                "interval": [_rounded(estimate.low), _rounded(estimate.high)],
                "constant": estimate.constant,
            }
    reason = scored.fields["til_fraction"].reason
    if reason:
        made["til_reason"] = reason
    made["phenotype_calls"] = scored.fields["immune_phenotype"].calls
    return made


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
