"""The history keys of the case vocabulary: operation, autoimmune disease, earlier therapy."""

import difflib
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from immunopath.guidelines.loader import load_knowledge
from immunopath.guidelines.vocabulary_markers import MarkerError

_LIFE_THREATENING = tuple(
    frozenset(name.split())
    for name in (
        "myasthenia", "gbs", "guillain barre", "encephalitis", "encephalomyelitis", "myocarditis",
        "vasculitis", "ms", "multiple sclerosis", "lambert eaton", "myositis", "dermatomyositis",
        "polymyositis", "neuromyelitis",
    )
)  # fmt: skip
"""Words that name a disease of CI-6, wherever they stand in what was stated."""
_ACTIVITY = frozenset({"active", "inactive"})
_MILD = frozenset(
    {"hypothyroid", "hypothyroidism", "hashimoto", "vitiligo", "t1dm", "type_1_diabetes"}
)


def surgery(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the operation: a margin is known of what was resected."""
    return {"surgery": {"done": True, "margin": inputs["margin"]}} if "margin" in inputs else {}


def folded(text: str) -> str:
    """Return small ASCII words joined by underscores: ``Guillain-Barré`` is ``guillain_barre``."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    return re.sub(r"[^a-z0-9]+", "_", plain.casefold()).strip("_")


def autoimmune(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the autoimmune disease from its name, with the word ``active`` when it is.

    Spelling does not matter. A life-threatening or neuromuscular disease must say whether it is
    active: read as inactive, it would let a checkpoint inhibitor through (CI-6).
    """
    value = inputs.get("autoimmune", "unknown")
    words = folded(value).split("_") if isinstance(value, str) else []
    if words == ["unknown"]:
        return {}
    if words == ["none"]:
        return {"autoimmune": {"present": False}}
    named = [word for word in words if word not in _ACTIVITY]
    said = set(words) & _ACTIVITY
    if not any(named) or "none" in named or len(said) > 1:
        text = f"{value!r} is not none, a disease, or a disease with _active or _inactive"
        raise MarkerError("autoimmune", "VALUE", text)
    name, severe = "_".join(named), any(kind <= set(named) for kind in _LIFE_THREATENING)
    if severe and not said:
        text = f"{value!r}: say whether it is active: {name}_active or {name}_inactive"
        raise MarkerError("autoimmune", "ACTIVITY_NOT_STATED", text)
    return {
        "autoimmune": {
            "present": True,
            "disease": name,
            "active": said == {"active"} and name not in _MILD,
            "life_threatening": severe,
        }
    }


def prior_therapies(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return earlier therapies by regimen id; another name is refused with the nearest one."""
    if "prior_therapies" not in inputs:
        return {}
    value = inputs["prior_therapies"]
    items = list(value) if isinstance(value, list | tuple) else [] if value is None else [value]
    known = load_knowledge().regimens
    for item in items:
        if not isinstance(item, str) or item not in known:
            near = difflib.get_close_matches(str(item), known, n=1, cutoff=0.0)
            text = f"{item!r} is no regimen id; nearest: {near[0]}"
            raise MarkerError("prior_therapies", "REGIMEN_UNKNOWN", text)
    return {"prior_therapies": tuple({"regimen": i} for i in sorted(set(items)))}


def prior_io(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return earlier ICI from a word or a mapping."""
    value, days = inputs.get("prior_io", "unknown"), inputs.get("last_ici_days")
    if isinstance(value, Mapping):
        extra = set(value) - {"agent", "worst_irae", "grade", "progressed", "end"}
        if extra:
            raise MarkerError("prior_io", "VALUE", f"unknown key {sorted(extra)[0]!r} in prior_io")
        agent, grade = value.get("agent"), value.get("grade")
        event = _event(value.get("worst_irae"), grade)
        data: dict[str, Any] = {
            "given": True,
            "agents": (agent,) if agent else (),
            "worst_irae": event,
            "worst_irae_grade": grade,
            "progressed": value.get("progressed"),
            "end": value.get("end"),
        }
    elif value == "progressed":
        data = {"given": True, "progressed": True}
    elif value == "none":
        if days is not None:
            raise MarkerError("last_ici_days", "CONTRADICTS", "prior_io says that none was given")
        data = {"given": False}
    elif value == "unknown":
        if days is None:
            return {}
        data = {"given": True}
    else:
        raise MarkerError("prior_io", "VALUE", f"{value!r} is not none, progressed or a mapping")
    return {"prior_io": data | {"days_since_last_dose": days}}


def _event(stated: object, grade: object) -> str | None:
    """Return the worst event as words; a severe one must be named, or CI-4 cannot be judged."""
    if stated is not None and not isinstance(stated, str):
        raise MarkerError("prior_io", "VALUE", f"{stated!r} is not the name of an event")
    event = folded(stated or "")
    if not event and isinstance(grade, int) and grade >= 3:
        text = f"an event of grade {grade} needs its name: worst_irae: pneumonitis, colitis, ..."
        raise MarkerError("prior_io", "VALUE", text)
    return event or None
