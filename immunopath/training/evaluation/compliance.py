"""What a model writes when nothing is forced: is it JSON, does it follow the schema?"""

import json
from collections.abc import Sequence
from typing import Any

from immunopath.domain.base import Frozen
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.training.predictions import FieldAnswer, PatientAnswer, PredictionSet


class Compliance(Frozen):
    """Free texts against the contract, and beside the slot decoder's answers.

    n: free texts; json_object: a JSON object and nothing else; fenced: one only after code fences
    or other text around it are removed; valid: of `n`, an object with exactly the eight keys and
    allowed values; by_field: share of `n` with an allowed value; agrees: of the texts with an
    allowed value, share that equals the decoded value (numbers: to 0.01). Slot decoding itself
    answers within the schema by construction: `decoded` is the share of patients with a value for
    every asked field.
    """

    n: int
    json_object: float
    fenced: float
    valid: float
    by_field: dict[str, float]
    agrees: dict[str, float]
    decoded: float


def compliance(found: PredictionSet, patients: Sequence[str]) -> Compliance | None:
    """Return the compliance of the free texts of `patients`; None when there are none."""
    wanted = set(patients)
    kept = [a for a in found.answers if a.patient_id in wanted and a.free_text is not None]
    if not kept:
        return None
    n = len(kept)
    parsed = [parse(answer.free_text or "") for answer in kept]
    allowed = {name: [_allowed(name, table) for table, _ in parsed] for name in FIELD_VALUES}
    agrees = {}
    for name, ok in allowed.items():
        pairs = [
            _same(answer.fields.get(name), (table or {})[name])
            for answer, (table, _), good in zip(kept, parsed, ok, strict=True)
            if good
        ]
        if pairs:
            agrees[name] = sum(pairs) / len(pairs)
    return Compliance(
        n=n,
        json_object=sum(table is not None and clean for table, clean in parsed) / n,
        fenced=sum(table is not None and not clean for table, clean in parsed) / n,
        valid=sum(_whole(table) for table, _ in parsed) / n,
        by_field={name: sum(ok) / n for name, ok in allowed.items()},
        agrees=agrees,
        decoded=sum(_complete(answer) for answer in kept) / n,
    )


def parse(text: str) -> tuple[dict[str, Any] | None, bool]:
    """Return the object in a free text and whether the text is nothing but it."""
    stripped = text.strip()
    found = _object(stripped)
    if found is not None:
        return found, True
    start, end = stripped.find("{"), stripped.rfind("}")
    return (_object(stripped[start : end + 1]) if 0 <= start < end else None), False


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _allowed(name: str, table: dict[str, Any] | None) -> bool:
    if table is None or name not in table:
        return False
    value, values = table[name], FIELD_VALUES[name]
    if values is not None:
        return isinstance(value, str) and value in values
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _whole(table: dict[str, Any] | None) -> bool:
    return (
        table is not None
        and set(table) == set(FIELD_VALUES)
        and all(_allowed(name, table) for name in FIELD_VALUES)
    )


def _same(decoded: FieldAnswer | None, written: Any) -> bool:  # noqa: ANN401 - any JSON value
    if decoded is None or decoded.value is None:
        return False
    if isinstance(decoded.value, str):
        return bool(decoded.value == written)
    return abs(decoded.value - float(written)) <= 0.01 + 1e-9


def _complete(answer: PatientAnswer) -> bool:
    return bool(answer.fields) and all(f.value is not None for f in answer.fields.values())
