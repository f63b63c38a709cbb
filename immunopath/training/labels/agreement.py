"""How scores made here agree with published measures of the same tumours.

Spearman and Pearson correlation, and AUROC for a class, each with a percentile interval from a
bootstrap over patients. Beside each stands what chance alone reaches at that number of patients.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import TYPE_CHECKING, Any, Final

from immunopath.domain.base import Frozen
from immunopath.domain.errors import LabelError
from immunopath.domain.words import counted

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]

LEVEL: Final = 0.95
MIN_PATIENTS: Final = 10
_NORMAL_95: Final = 1.96


class Estimate(Frozen):
    """A value with its interval; chance: half width of 95 % of values without any relation.

    null: 0 for a correlation, 0.5 for AUROC.
    """

    value: float
    low: float
    high: float
    null: float
    chance: float


class Agreement(Frozen):
    """One score against one published measure, in one group of patients.

    constant: True when either does not vary, so that nothing can be said (values are then null).
    """

    score: str
    measure: str
    group: str
    n: int
    shared_genes: int | None
    """Genes in both: such an agreement is partly one of a thing with itself. None: not known."""
    spearman: Estimate | None = None
    pearson: Estimate | None = None
    auroc: Estimate | None = None
    constant: bool = False
    too_few: bool = False
    """True with fewer than ten patients who have both."""


class Values(Frozen):
    """A named column: value by patient; binary: a class, 1 or 0.

    genes: what it is made of, () for what is not from RNA, None for RNA whose genes are not known.
    """

    name: str
    of: dict[str, float]
    genes: tuple[str, ...] | None = ()
    binary: bool = False


def agree(
    scores: Sequence[Values],
    measures: Sequence[Values],
    groups: Mapping[str, frozenset[str]],
    *,
    bootstraps: int = 2000,
    seed: int = 0,
) -> tuple[Agreement, ...]:
    """Compare each score with each measure in each group of patients who have both.

    Raises `LabelError` when no comparison has ten patients.
    """
    import numpy as np

    if bootstraps < 100:
        raise LabelError(f"{bootstraps} bootstraps: an interval needs at least 100")
    found: list[Agreement] = []
    for group, members in groups.items():
        for score in scores:
            for measure in measures:
                ids = sorted(members & score.of.keys() & measure.of.keys())
                one = np.array([score.of[i] for i in ids])
                other = np.array([measure.of[i] for i in ids])
                rng = np.random.default_rng(seed)
                found.append(_compare(score, measure, group, (one, other), (bootstraps, rng)))
    if all(row.too_few for row in found):
        most = max((row.n for row in found), default=0)
        raise LabelError(
            f"{counted(most, 'patient has', 'patients have')} both a score and a "
            f"published measure; {MIN_PATIENTS} are needed"
        )
    return tuple(found)


def _compare(
    score: Values,
    measure: Values,
    group: str,
    columns: "tuple[Array, Array]",
    bootstrap: "tuple[int, np.random.Generator]",
) -> Agreement:
    import numpy as np

    one, other = columns
    times, rng = bootstrap
    n = len(one)
    base = Agreement(
        score=score.name,
        measure=measure.name,
        group=group,
        n=n,
        shared_genes=_shared(score, measure),
        too_few=n < MIN_PATIENTS,
        constant=n >= MIN_PATIENTS and bool(np.ptp(one) == 0 or np.ptp(other) == 0),
    )
    if base.constant or base.too_few:
        return base
    picks = rng.integers(0, n, size=(times, n))
    if measure.binary:
        return base.model_copy(update={"auroc": _auroc(one, other, picks)})
    ranks = _correlation(_ranks(one[None]), _ranks(other[None]))
    ranked = _correlation(_ranks(one[picks]), _ranks(other[picks]))
    plain = _correlation(one[None], other[None])
    raw = _correlation(one[picks], other[picks])
    chance = _NORMAL_95 / sqrt(n - 1)
    return base.model_copy(
        update={
            "spearman": _estimate(ranks[0], ranked, 0.0, chance),
            "pearson": _estimate(plain[0], raw, 0.0, chance),
        }
    )


def _shared(score: Values, measure: Values) -> int | None:
    if score.genes is None or measure.genes is None:
        return None
    return len(set(score.genes) & set(measure.genes))


def _auroc(one: "Array", truth: "Array", picks: "np.ndarray[Any, Any]") -> Estimate:
    """AUROC by ranks (Mann–Whitney), its interval, and the width of chance."""
    positive, negative = float(truth.sum()), float(len(truth) - truth.sum())
    value = _areas(_ranks(one[None]), truth[None])[0]
    spread = _areas(_ranks(one[picks]), truth[picks])
    chance = _NORMAL_95 * sqrt((positive + negative + 1) / (12 * positive * negative))
    return _estimate(value, spread, 0.5, chance)


def _areas(ranks: "Array", truth: "Array") -> "Array":
    import numpy as np

    positive = truth.sum(axis=1)
    negative = truth.shape[1] - positive
    with np.errstate(invalid="ignore", divide="ignore"):
        area: Array = ((ranks * truth).sum(axis=1) / positive - (positive + 1) / 2) / negative
    return area


def _ranks(rows: "Array") -> "Array":
    from scipy.stats import rankdata

    ranked: Array = rankdata(rows, axis=1).astype(float)
    return ranked


def _correlation(one: "Array", other: "Array") -> "Array":
    """Pearson correlation of each pair of rows; NaN where a resample does not vary."""
    import numpy as np

    a = one - one.mean(axis=1, keepdims=True)
    b = other - other.mean(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return found


def _estimate(value: float, resampled: "Array", null: float, chance: float) -> Estimate:
    """Percentile interval over the resamples that could be computed."""
    import numpy as np

    usable = resampled[np.isfinite(resampled)]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(usable, [tail, 1 - tail])
    return Estimate(
        value=float(value), low=float(low), high=float(high), null=null, chance=float(chance)
    )
