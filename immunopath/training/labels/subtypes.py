"""Microenvironment subtypes (Bagaev 2021) by a classifier, where no published call is at hand.

Fitted on training patients with a published call; signature definitions are the user's (GMT).
Scores are scaled by the median and by ``mad``. In the published code ``mad`` is pandas'
`DataFrame.mad`, the *mean* absolute deviation from the mean; the median absolute deviation would
give other classes. Here both are fitted on the training patients, not on each cohort anew.
"""

from collections import Counter
from collections.abc import Mapping
from math import fsum
from statistics import median
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from pydantic import Field, model_validator

from immunopath.domain.base import Frozen
from immunopath.domain.errors import GeneMissing, LabelError, OneClassField
from immunopath.domain.words import counted
from immunopath.training.labels.calls import Tme

if TYPE_CHECKING:
    import numpy as np

Kind = Literal["knn", "nearest-centroid"]
NEIGHBOURS: Final = 35
"""As published."""
CLIP: Final = 2.0
"""Scaled scores are clipped to ±2, as published for the classifier."""
MIN_PATIENTS: Final = 10
_FOLDS: Final = 5


class SubtypeQuality(Frozen):
    """Cross-validated on the training patients (`folds` folds), beside the majority class."""

    n: int
    folds: int
    accuracy: float
    balanced_accuracy: float
    majority_accuracy: float


class SubtypeModel(Frozen):
    """A fitted classifier as numbers: scaling, and the points that scikit-learn is fitted to.

    sets: gene sets by name, whose scores are the features in that order; centre, spread: median
    and mean absolute deviation; points, classes: every training patient for ``knn``, one centroid
    a class for ``nearest-centroid``.
    """

    kind: Kind
    sets: dict[str, tuple[str, ...]]
    centre: tuple[float, ...]
    spread: tuple[float, ...]
    points: tuple[tuple[float, ...], ...]
    classes: tuple[Tme, ...]
    neighbours: int = Field(ge=1)
    quality: SubtypeQuality | None = None

    @model_validator(mode="after")
    def _shapes(self) -> Self:
        width = {len(self.sets), len(self.centre), len(self.spread), *map(len, self.points)}
        if len(width) != 1 or len(self.points) != len(self.classes) or not min(self.spread) > 0:
            raise ValueError("points, classes and scaling do not fit together")
        return self

    def predict(self, scores: Mapping[str, Mapping[str, float]]) -> dict[str, Tme]:
        """Return the subtype by patient; scores: enrichment by set of each patient."""
        import numpy as np

        if not scores:
            return {}
        model = _estimator("knn", self.neighbours if self.kind == "knn" else 1)
        model.fit(np.array(self.points), np.array(self.classes))
        found = model.predict(self._scaled(scores))
        return {patient: str(c) for patient, c in zip(scores, found, strict=True)}  # type: ignore[misc]

    def _scaled(self, scores: Mapping[str, Mapping[str, float]]) -> "np.ndarray[Any, Any]":
        for patient, row in scores.items():
            missing = sorted(self.sets.keys() - row.keys())
            if missing:
                raise GeneMissing(f"patient {patient}: no score of set {', '.join(missing)}")
        table = [[row[name] for name in self.sets] for row in scores.values()]
        return _scale(table, self.centre, self.spread)


def mean_absolute_deviation(values: list[float]) -> float:
    """Mean distance from the mean: what pandas called ``mad`` before it was removed."""
    mean = fsum(values) / len(values)
    return fsum(abs(v - mean) for v in values) / len(values)


def fit_subtypes(
    scores: Mapping[str, Mapping[str, float]],
    published: Mapping[str, Tme],
    sets: Mapping[str, tuple[str, ...]],
    *,
    kind: Kind = "knn",
    seed: int = 0,
) -> SubtypeModel:
    """Fit on the training patients that have a published subtype.

    scores: enrichment by set, training patients only. Raises `LabelError` when fewer than ten
    have a call, `OneClassField` when all share one. The number of neighbours is that of the
    published code (35), or a tenth of the patients when that is less.
    """
    ids = sorted(patient for patient in scores if patient in published)
    classes = [published[i] for i in ids]
    _require_classes(classes)
    columns = {name: [scores[i][name] for i in ids] for name in sets}
    flat = [name for name, values in columns.items() if mean_absolute_deviation(values) <= 0]
    if flat:
        raise LabelError(f"set {', '.join(flat)} scores the same in all training patients")
    centre = tuple(median(values) for values in columns.values())
    spread = tuple(mean_absolute_deviation(values) for values in columns.values())
    points = _scale([[scores[i][name] for name in sets] for i in ids], centre, spread)
    neighbours = min(NEIGHBOURS, max(1, len(ids) // 10))
    quality = _quality(points, classes, kind, neighbours, seed)
    kept, names = (points, classes) if kind == "knn" else _centroids(points, classes)
    return SubtypeModel(
        kind=kind,
        sets=dict(sets),
        centre=centre,
        spread=spread,
        points=tuple(tuple(map(float, row)) for row in kept),
        classes=tuple(names),
        neighbours=neighbours,
        quality=quality,
    )


def _require_classes(classes: list[Tme]) -> None:
    if len(classes) < MIN_PATIENTS:
        raise LabelError(
            f"{counted(len(classes), 'training patient has', 'training patients have')} a "
            "published subtype; the classifier needs "
            f"{MIN_PATIENTS}"
        )
    if len(set(classes)) < 2:
        raise OneClassField(f"tme_subtype: all {len(classes)} training patients are {classes[0]}")


def _scale(
    table: list[list[float]], centre: tuple[float, ...], spread: tuple[float, ...]
) -> "np.ndarray[Any, Any]":
    import numpy as np

    scaled = (np.array(table, dtype=float) - np.array(centre)) / np.array(spread)
    clipped: np.ndarray[Any, Any] = np.clip(scaled, -CLIP, CLIP)
    return clipped


def _estimator(kind: Kind, neighbours: int) -> Any:  # noqa: ANN401 - scikit-learn has no types
    try:
        from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
    except ImportError as error:
        raise LabelError(
            "the subtype classifier needs scikit-learn: pip install 'immunopath[train]'"
        ) from error
    return KNeighborsClassifier(neighbours) if kind == "knn" else NearestCentroid()


def _centroids(
    points: "np.ndarray[Any, Any]", classes: list[Tme]
) -> tuple["np.ndarray[Any, Any]", list[Tme]]:
    import numpy as np

    names = sorted(set(classes))
    labels = np.array(classes)
    return np.array([points[labels == name].mean(axis=0) for name in names]), names


def _quality(
    points: "np.ndarray[Any, Any]", classes: list[Tme], kind: Kind, neighbours: int, seed: int
) -> SubtypeQuality | None:
    """Cross-validate; None when a class has too few patients for it."""
    import numpy as np

    model = _estimator(kind, neighbours)  # says what to install when scikit-learn is missing
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    counts = Counter(classes)
    if min(counts.values()) < _FOLDS:
        return None
    labels = np.array(classes)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    found = cross_val_predict(model, points, labels, cv=folds)
    return SubtypeQuality(
        n=len(classes),
        folds=_FOLDS,
        accuracy=float((found == labels).mean()),
        balanced_accuracy=float(balanced_accuracy_score(labels, found)),
        majority_accuracy=max(counts.values()) / len(classes),
    )
