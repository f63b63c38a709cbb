"""What needs no image: constants and clinical facts, as sets of answers like any engine's."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from immunopath.domain.errors import InputError
from immunopath.domain.prediction import FIELD_VALUES, GRID
from immunopath.domain.words import counted
from immunopath.training.evaluation.resample import Floats
from immunopath.training.predictions import FieldAnswer, PatientAnswer, PredictionSet
from immunopath.training.samples import Label, Sample

CONSTANT: Final = "constant"
MAJORITY: Final = "majority"
CLINICAL: Final = "clinical"
SWAPPED: Final = "swapped"
FOLDS: Final = 5
_LEAST_TRAIN: Final = 10


def constant(scored: Sequence[Sample]) -> PredictionSet:
    """Return the best constant *in hindsight*: mode or median of the very labels that are scored.

    No constant can do better, so its skill is 0; it has no probabilities.
    """
    fields = {}
    for name in FIELD_VALUES:
        known = _known(scored, name)
        if known:
            fields[name] = FieldAnswer(value=_best_constant(known, name))
    return _same_for_all(CONSTANT, scored, fields, scored)


def swapped(predicted: PredictionSet, scored: Sequence[Sample], seed: int) -> PredictionSet:
    """Return the answers with every patient given those to another patient's images.

    A control that needs no model: the same answers, so the same collapse and calibration of their
    frequencies, without their patients. Exact for engines that are shown nothing but images.
    """
    known = {sample.patient_id for sample in scored}
    answers = [answer for answer in predicted.answers if answer.patient_id in known]
    order = np.random.default_rng(seed).permutation(len(answers))
    giver = dict(zip(order.tolist(), np.roll(order, 1).tolist(), strict=True))
    moved = [
        answers[giver[i]].model_copy(update={"patient_id": answer.patient_id})
        for i, answer in enumerate(answers)
    ]
    return predicted.model_copy(update={"control": SWAPPED, "answers": tuple(moved)})


def majority(train: Sequence[Sample], scored: Sequence[Sample]) -> PredictionSet:
    """Return what the training labels alone say: mode or median, with their distribution."""
    _require_train(train)
    fields = {}
    for name in FIELD_VALUES:
        known = _known(train, name)
        if known:
            fields[name] = FieldAnswer(
                value=_best_constant(known, name), probabilities=_distribution(known, name)
            )
    return _same_for_all(MAJORITY, scored, fields, train)


def clinical(train: Sequence[Sample], scored: Sequence[Sample]) -> PredictionSet:
    """Return what cancer type and site say, by regressions fitted on `train` (scikit-learn).

    Classes: logistic regression; numbers: ridge, with the distribution of its cross-validated
    residuals. Both with one-hot facts; a site that training never saw counts as none. Raises
    `InputError` when the facts tell no two training patients apart.
    """
    _require_train(train)
    if len({(s.cancer_type, s.site) for s in train}) < 2:
        raise InputError("training patients do not differ in cancer type or site")
    answers: list[dict[str, FieldAnswer]] = [{} for _ in scored]
    for name in FIELD_VALUES:
        known = [sample for sample in train if sample.label(name) is not None]
        if len(known) < _LEAST_TRAIN:
            continue
        for own, answer in zip(answers, _clinical_field(known, scored, name), strict=True):
            own[name] = answer
    return PredictionSet(
        engine=CLINICAL,
        digest=_digest(train),
        answers=tuple(
            PatientAnswer(patient_id=sample.patient_id, fields=own)
            for sample, own in zip(scored, answers, strict=True)
        ),
    )


def _clinical_field(
    known: Sequence[Sample], scored: Sequence[Sample], name: str
) -> list[FieldAnswer]:
    labels = [sample.label(name) for sample in known]
    if len(set(labels)) == 1:  # nothing to learn
        same = FieldAnswer(value=labels[0], probabilities=_distribution(labels, name))
        return [same] * len(scored)
    fit = _numbers_by_facts if FIELD_VALUES[name] is None else _classes_by_facts
    return fit(_facts(known), labels, _facts(scored), name)


def _classes_by_facts(x: Any, labels: Sequence[Label], new: Any, name: str) -> list[FieldAnswer]:  # noqa: ANN401
    from sklearn.linear_model import LogisticRegression

    model = _after_one_hot(LogisticRegression(max_iter=1000))
    model.fit(x, labels)
    order = FIELD_VALUES[name] or ()
    found = []
    for row in model.predict_proba(new):
        by_class = dict(zip(map(str, model.classes_), map(float, row), strict=True))
        table = {value: by_class.get(value, 0.0) for value in order}
        found.append(FieldAnswer(value=max(table, key=lambda v: table[v]), probabilities=table))
    return found


def _numbers_by_facts(x: Any, labels: Sequence[Label], new: Any, _: str) -> list[FieldAnswer]:  # noqa: ANN401
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import cross_val_predict

    truth = np.array(labels, dtype=np.float64)
    model = _after_one_hot(Ridge())
    left_out = cross_val_predict(model, x, truth, cv=FOLDS)
    model.fit(x, truth)
    found = []
    for centre in model.predict(new):
        spread = np.clip(centre + truth - left_out, 0, 1)
        value = float(np.clip(centre, 0, 1))
        found.append(FieldAnswer(value=value, probabilities=grid_table(spread)))
    return found


FITTED: Final = {MAJORITY: majority, CLINICAL: clinical}
"""The baselines that are fitted on training patients, by name."""


def grid_table(values: Floats) -> dict[str, float]:
    """Return how numbers in [0, 1] are distributed over the grid, empty cells left out."""
    cells = np.clip(np.rint(values * 100), 0, 100).astype(np.int64)
    shares = np.bincount(cells, minlength=len(GRID)) / len(values)
    return {key: float(share) for key, share in zip(GRID, shares, strict=True) if share > 0}


def _after_one_hot(model: Any) -> Any:  # noqa: ANN401 - scikit-learn has no types
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    return make_pipeline(OneHotEncoder(handle_unknown="ignore"), model)


def _facts(samples: Sequence[Sample]) -> list[list[str]]:
    return [[sample.cancer_type, sample.site] for sample in samples]


def _known(samples: Sequence[Sample], name: str) -> list[Label]:
    return [label for s in samples if (label := s.label(name)) is not None]


def _best_constant(known: Sequence[Label], name: str) -> str | float:
    order = FIELD_VALUES[name]
    if order is None:
        return float(np.median(np.array(known, dtype=np.float64)))
    counts = Counter(known)
    return max(order, key=lambda value: counts[value])


def _distribution(known: Sequence[Label], name: str) -> dict[str, float]:
    order = FIELD_VALUES[name]
    if order is None:
        return grid_table(np.array(known, dtype=np.float64))
    counts = Counter(known)
    return {value: counts[value] / len(known) for value in order}


def _same_for_all(
    engine: str,
    scored: Sequence[Sample],
    fields: Mapping[str, FieldAnswer],
    fitted_on: Sequence[Sample],
) -> PredictionSet:
    return PredictionSet(
        engine=engine,
        digest=_digest(fitted_on),
        answers=tuple(
            PatientAnswer(patient_id=sample.patient_id, fields=dict(fields)) for sample in scored
        ),
    )


def _require_train(train: Sequence[Sample]) -> None:
    if len(train) < _LEAST_TRAIN:
        raise InputError(
            f"the cohort has {counted(len(train), 'training patient')}, at least {_LEAST_TRAIN} "
            "are needed"
        )


def _digest(samples: Sequence[Sample]) -> str:
    text = "\n".join(sample.model_dump_json() for sample in samples)
    return hashlib.sha256(text.encode()).hexdigest()
