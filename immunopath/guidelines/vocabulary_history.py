"""The history keys of the case vocabulary: operation, autoimmune disease, earlier therapy."""

import difflib
from collections.abc import Mapping
from typing import Any

from immunopath.guidelines.loader import load_knowledge
from immunopath.guidelines.vocabulary_markers import MarkerError

_LIFE_THREATENING = frozenset(
    {"myasthenia", "myasthenia_gravis", "gbs", "guillain_barre", "encephalitis", "myocarditis",
     "vasculitis", "ms", "multiple_sclerosis", "lambert_eaton", "myositis"}
)  # fmt: skip
_MILD = frozenset(
    {"hypothyroid", "hypothyroidism", "hashimoto", "vitiligo", "t1dm", "type_1_diabetes"}
)


def surgery(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the operation: a margin is known of what was resected."""
    return {"surgery": {"done": True, "margin": inputs["margin"]}} if "margin" in inputs else {}


def autoimmune(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the autoimmune disease from its name, ``_active`` when active."""
    value = inputs.get("autoimmune", "unknown")
    if not isinstance(value, str):
        raise MarkerError("autoimmune", "VALUE", f"{value!r} is not a disease name")
    if value == "unknown":
        return {}
    if value == "none":
        return {"autoimmune": {"present": False}}
    name = value.removesuffix("_active").removesuffix("_inactive")
    active = value.endswith("_active") and name not in _MILD
    return {
        "autoimmune": {
            "present": True,
            "disease": name,
            "active": active,
            "life_threatening": name in _LIFE_THREATENING,
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
        agent = value.get("agent")
        data: dict[str, Any] = {
            "given": True,
            "agents": (agent,) if agent else (),
            "worst_irae": value.get("worst_irae"),
            "worst_irae_grade": value.get("grade"),
            "progressed": value.get("progressed"),
            "end": value.get("end"),
        }
    elif value == "progressed":
        data = {"given": True, "progressed": True}
    elif value == "none":
        data = {"given": days is not None}
    elif value == "unknown":
        if days is None:
            return {}
        data = {"given": True}
    else:
        raise MarkerError("prior_io", "VALUE", f"{value!r} is not none, progressed or a mapping")
    return {"prior_io": data | {"days_since_last_dose": days}}
