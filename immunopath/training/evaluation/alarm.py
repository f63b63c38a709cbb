"""The collapse alarm: does a predictor answer the same for everybody, or whatever the image?

The published adapter called 93 of 94 patients ``low``; its metrics hid it. All limits are
project-set.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import numpy as np

from immunopath.domain.base import Frozen
from immunopath.training.evaluation.class_metrics import weighted_mean
from immunopath.training.evaluation.collect import FieldData, tenth_of
from immunopath.training.evaluation.resample import DEFAULT, Estimate, Plan, estimate, resamples

ENTROPY_LIMIT: Final = 0.25
"""Answers with less than this share of the truth's entropy have collapsed."""
SPREAD_LIMIT: Final = 0.1
"""Numbers with less than this share of the truth's standard deviation have collapsed."""
MOVED_LIMIT: Final = 0.05
"""Total variation below which a class field is called unmoved by a control (as in the probe)."""
SHIFT_LIMIT: Final = 0.1
"""The same for numbers, in standard deviations of the truth."""
MIN_PATIENTS: Final = 8
ImageUse = Literal["depends", "colours only", "ignores", "unclear", "not tested"]
"""``colours only``: glass changes the answer, the same pixels rearranged do not."""


class FieldAlarm(Frozen):
    """How varied the answers of one field are, and what the image does to them.

    mode, mode_share, truth_mode_share: the most frequent answer (numbers: rounded to 0.01), its
    share of answers, and the share of the most frequent label; entropy, truth_entropy: of answers
    and labels, nats (numbers: in tenths); distinct: different answers; spread: standard deviation
    of answers over that of labels, numbers only. moved: by control, the mean change from the true
    image to the control: total variation of the tables (without tables: share of other answers),
    for numbers the absolute change in standard deviations of the truth; a patient who gets a value
    only from one of the two counts as 1.
    """

    field: str
    mode: str
    mode_share: float
    truth_mode_share: float
    entropy: float
    truth_entropy: float
    distinct: int
    spread: float | None
    moved: dict[str, Estimate]
    collapsed: bool
    image: ImageUse


class Alarm(Frozen):
    """Raised when an evaluable field has collapsed or ignores the image; messages say which."""

    raised: bool
    messages: tuple[str, ...]
    warnings: tuple[str, ...]
    fields: dict[str, FieldAlarm]


def field_alarm(
    data: FieldData,
    controls: Mapping[str, FieldData],
    plan: Plan = DEFAULT,
) -> FieldAlarm | None:
    """Return the state of a field's answers; None without any answer."""
    if not len(data):
        return None
    answers = _shown(data, data.value.tolist())
    labels = _shown(data, data.truth.tolist())
    mode, times = Counter(answers).most_common(1)[0]
    spread = None
    if data.values is None:
        truth_sd = float(data.truth.std())
        spread = float(data.value.std()) / truth_sd if truth_sd > 0 else None
    entropy, truth_entropy = _entropy(data, answers), _entropy(data, labels)
    moved = {
        name: estimate(weighted_mean(_movement(data, other), resamples(len(data), plan)))
        for name, other in controls.items()
    }
    return FieldAlarm(
        field=data.field,
        mode=mode,
        mode_share=times / len(answers),
        truth_mode_share=Counter(labels).most_common(1)[0][1] / len(labels),
        entropy=entropy,
        truth_entropy=truth_entropy,
        distinct=len(set(data.value.tolist())),
        spread=spread,
        moved=moved,
        collapsed=_has_collapsed(data, spread, entropy, truth_entropy),
        image=_image_use(data, moved),
    )


def alarm(fields: Sequence[FieldAlarm], evaluable: Sequence[str]) -> Alarm:
    """Return the alarm of a predictor; only `evaluable` fields can raise it."""
    counted = [field for field in fields if field.field in evaluable]
    messages = [_collapse_text(field) for field in counted if field.collapsed]
    messages += [_ignored_text(field) for field in counted if field.image == "ignores"]
    untested = [field.field for field in counted if field.image == "not tested"]
    colours = [field.field for field in counted if field.image == "colours only"]
    unclear = [field.field for field in counted if field.image == "unclear"]
    warnings = []
    if untested:
        warnings.append(
            f"whether the image matters was not tested on {', '.join(untested)}: no control was run"
        )
    if colours:
        warnings.append(
            "nuclei and layout do not matter, rearranged pixels give the same answer: "
            + ", ".join(colours)
        )
    if unclear:
        warnings.append(f"whether the image matters is unclear on {', '.join(unclear)}")
    if not counted:
        warnings.append("no field could be evaluated, so nothing can be said about collapse")
    return Alarm(
        raised=bool(messages),
        messages=tuple(messages),
        warnings=tuple(warnings),
        fields={field.field: field for field in fields},
    )


def _shown(data: FieldData, values: Sequence[float]) -> list[str]:
    if data.values is None:
        return [f"{value:.2f}" for value in values]
    return [data.values[int(value)] for value in values]


def _entropy(data: FieldData, shown: Sequence[str]) -> float:
    kept = shown if data.values is not None else [str(tenth_of(float(s))) for s in shown]
    shares = np.array(list(Counter(kept).values())) / len(kept)
    return float(max(0.0, -(shares * np.log(shares)).sum()))


def _has_collapsed(
    data: FieldData, spread: float | None, entropy: float, truth_entropy: float
) -> bool:
    if data.values is None:
        return spread is not None and spread < SPREAD_LIMIT
    return entropy < ENTROPY_LIMIT * truth_entropy


def _movement(data: FieldData, other: FieldData) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the change of every patient of `data`; 1 where the control has no value."""
    place = {patient: i for i, patient in enumerate(other.patients)}
    where = np.array([place.get(patient, -1) for patient in data.patients])
    found = np.ones(len(data))
    both = where >= 0
    theirs = where[both]
    if data.values is None:
        scale = float(data.truth.std()) or 1.0
        found[both] = np.abs(data.value[both] - other.value[theirs]) / scale
    elif data.table is not None and other.table is not None:
        found[both] = np.abs(data.table[both] - other.table[theirs]).sum(axis=1) / 2
    else:
        found[both] = data.value[both] != other.value[theirs]
    return found


def _image_use(data: FieldData, moved: Mapping[str, Estimate]) -> ImageUse:
    if not moved:
        return "not tested"
    limit = SHIFT_LIMIT if data.values is None else MOVED_LIMIT
    if len(data) < MIN_PATIENTS:
        return "unclear"
    still = {k for k, v in moved.items() if v.high is not None and v.high < limit}
    moving = {k for k, v in moved.items() if v.low is not None and v.low > limit}
    if still == set(moved):
        return "ignores"
    if moving == set(moved):
        return "depends"
    if "blank" in moving and "shuffled" in still:
        return "colours only"
    return "unclear"


def _collapse_text(field: FieldAlarm) -> str:
    if field.spread is not None:
        return (
            f"{field.field}: answers vary {field.spread:.2f} times as much as the labels "
            f"({field.distinct} different, most often {field.mode})"
        )
    return (
        f"{field.field}: {field.mode!r} for {field.mode_share:.0%} of patients, while the most "
        f"frequent label has {field.truth_mode_share:.0%}"
    )


def _ignored_text(field: FieldAlarm) -> str:
    most = max(change.high or 0.0 for change in field.moved.values())
    return (
        f"{field.field}: ignores the image; {' and '.join(field.moved)} images move the answer by "
        f"at most {most:.3f}"
    )
