"""The case vocabulary (`guidelines.md` 6.1): one flat mapping to a `ClinicalContext`.

With ``defaults=True`` (vignettes) absent keys take the defaults of 6.1. Without them (a user's
file) absent is unknown. An unknown key raises; a wrong value is recorded in
``ClinicalContext.problems``, on which `evaluate` rejects the case.
"""

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from immunopath.domain.clinical import ClinicalContext, InputProblem
from immunopath.domain.errors import CaseFileError
from immunopath.guidelines.loader import load_knowledge
from immunopath.guidelines.vocabulary_markers import (
    MarkerError,
    gene_results,
    ihc_result,
    msi_result,
    pdl1_result,
    tmb_result,
)

DEFAULTS: Mapping[str, Any] = {
    "age": 65,
    "jurisdiction": "US",
    "primary_site": "lung",
    "stage": "IVB",
    "staging_system": "AJCC8",
    "line": 1,
    "ecog": 1,
    "smoking": "former",
    "brain_mets": "none",
    "tempo": "routine",
    "transplant": "none",
    "autoimmune": "none",
    "ild": "none",
    "prednisone_mg": 0,
    "prior_io": "none",
    "prior_therapies": (),
    "msi": "not_done",
    "tmb": "not_done",
    "tmb_test": "labelled_tissue",
    "pdl1_assay": "22C3",
    "pdl1_score_type": "TPS",
}

PLAIN: Mapping[str, str] = {
    "age": "age_years",
    "sex": "sex_at_birth",
    "pregnancy": "pregnancy_or_lactation",
    "smoking": "smoking_status",
    "pack_years": "pack_years",
    "jurisdiction": "jurisdiction",
    "question": "question",
    "diagnosed_on": "diagnosed_on",
    "primary_site": "primary_site",
    "histology": "histology",
    "histology_evidence": "histology_evidence",
    "staging_system": "staging_system",
    "t": "t",
    "n": "n",
    "m": "m",
    "stage": "stage_group",
    "tumour_size_cm": "tumour_size_cm",
    "resectability": "resectability",
    "crt_status": "crt_status",
    "crt_end_date": "crt_end_date",
    "progression_after_crt": "progression_after_crt",
    "adjuvant_chemo_done": "adjuvant_chemo_done",
    "neoadjuvant_given": "neoadjuvant_given",
    "brain_mets": "brain_mets",
    "metastatic_sites": "metastatic_sites",
    "oligometastatic": "oligometastatic",
    "emergency": "emergency",
    "line": "line",
    "ecog": "ecog",
    "ecog_cause": "ecog_cause",
    "weight_kg": "weight_kg",
    "height_cm": "height_cm",
    "tempo": "tumour_tempo",
    "transplant": "transplant",
    "ild": "ild_or_fibrosis",
    "idiopathic_pulmonary_fibrosis": "idiopathic_pulmonary_fibrosis",
    "prednisone_mg": "prednisone_equiv_mg_day",
    "prednisone_reason": "prednisone_reason",
    "neuropathy_grade": "neuropathy_grade",
    "hearing_loss": "hearing_loss",
    "allergies": "allergies",
    "concomitant_drugs": "concomitant_drugs",
}
"""Keys that are one field of `ClinicalContext`."""

NESTED: Mapping[str, tuple[str, str]] = {
    "crcl_ml_min": ("organ_function", "crcl_ml_min"),
    "lvef_pct": ("organ_function", "lvef_pct"),
    "qtc_ms": ("organ_function", "qtc_ms"),
    "anc_per_ul": ("organ_function", "anc_per_ul"),
    "bilirubin_x_uln": ("organ_function", "bilirubin_x_uln"),
    "heart_failure": ("organ_function", "heart_failure"),
    "haemoptysis": ("bleeding_vascular", "haemoptysis"),
    "recent_surgery_days": ("bleeding_vascular", "recent_surgery_days"),
    "arterial_event_6mo": ("bleeding_vascular", "arterial_event_6mo"),
    "uncontrolled_htn": ("bleeding_vascular", "uncontrolled_htn"),
    "active_infection": ("infections", "active_serious"),
    "hiv": ("infections", "hiv"),
    "hbv": ("infections", "hbv"),
    "hcv": ("infections", "hcv"),
    "specimen_type": ("specimen", "type"),
    "tumour_cellularity_pct": ("specimen", "tumour_cellularity_pct"),
    "viable_tumour_cells": ("specimen", "viable_tumour_cells"),
    "specimen_collected": ("specimen", "collected"),
}
"""Keys that are one field of a nested object."""

SPECIAL = (
    "margin", "autoimmune", "prior_therapies", "prior_io", "last_ici_days", "drivers",
    "drivers_method", "pdl1_tps", "pdl1_unit", "pdl1_score_type", "pdl1_assay", "msi", "mmr",
    "tmb", "tmb_test", "her2_ihc", "met_ihc_3plus_pct", "pred",
)  # fmt: skip
KEYS = frozenset((*PLAIN, *NESTED, *SPECIAL))
"""Every key of the vocabulary: those of 6.1 and further fields of 1.2 under short names."""

_FIELD_TO_KEY = {field: key for key, field in PLAIN.items()}
_TUPLES = frozenset(
    {"histology_evidence", "neoadjuvant_given", "metastatic_sites", "emergency", "allergies",
     "concomitant_drugs"}
)  # fmt: skip
_LIFE_THREATENING = frozenset(
    {"myasthenia", "myasthenia_gravis", "gbs", "guillain_barre", "encephalitis", "myocarditis",
     "vasculitis", "ms", "multiple_sclerosis", "lambert_eaton", "myositis"}
)  # fmt: skip
_MILD = frozenset(
    {"hypothyroid", "hypothyroidism", "hashimoto", "vitiligo", "t1dm", "type_1_diabetes"}
)


def parse_inputs(mapping: Mapping[str, Any], defaults: bool) -> ClinicalContext:
    """Return the context; raises `CaseFileError` on a key outside the vocabulary."""
    check_keys(mapping)
    inputs = {k: v.strip() if isinstance(v, str) else v for k, v in mapping.items()}
    if defaults:
        inputs = dict(DEFAULTS) | inputs
    problems: list[InputProblem] = []
    data = _plain(inputs)
    for build in (_surgery, _autoimmune, _prior_therapies, _prior_io, _markers):
        try:
            data |= build(inputs)
        except MarkerError as error:
            problems.append(error.problem)
    return _validated(data, problems)


def check_keys(mapping: Mapping[str, Any]) -> None:
    """Raise `CaseFileError` for the first unknown key, naming the nearest allowed one."""
    for key in mapping:
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), sorted(KEYS), n=1, cutoff=0.0)
            raise CaseFileError(f"unknown key {str(key)!r}: did you mean {near[0]!r}?")


def _plain(inputs: Mapping[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key, field in PLAIN.items():
        if key in inputs:
            value = inputs[key]
            if field in _TUPLES and isinstance(value, str):
                value = (value,)
            data[field] = tuple(value) if isinstance(value, list) else value
    for key, (group, field) in NESTED.items():
        if key in inputs:
            data.setdefault(group, {})[field] = inputs[key]
    return data


def _surgery(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {"surgery": {"done": True, "margin": inputs["margin"]}} if "margin" in inputs else {}


def _autoimmune(inputs: Mapping[str, Any]) -> dict[str, Any]:
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


def _prior_therapies(inputs: Mapping[str, Any]) -> dict[str, Any]:
    if "prior_therapies" not in inputs:
        return {}
    value = inputs["prior_therapies"]
    items = [value] if isinstance(value, str) else list(value or ())
    known = load_knowledge().regimens
    for item in items:
        if item not in known:
            near = difflib.get_close_matches(str(item), known, n=1, cutoff=0.0)
            text = f"{item!r} is no regimen id; nearest: {near[0]}"
            raise MarkerError("prior_therapies", "REGIMEN_UNKNOWN", text)
    return {"prior_therapies": tuple({"regimen": i} for i in sorted(set(items)))}


def _prior_io(inputs: Mapping[str, Any]) -> dict[str, Any]:
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


def _markers(inputs: Mapping[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if "drivers" in inputs:
        data["genes"] = gene_results(inputs["drivers"], inputs.get("drivers_method"))
    if "pdl1_tps" in inputs:
        data["pdl1"] = (pdl1_result(inputs),)
    data |= msi_result(inputs) | tmb_result(inputs) | ihc_result(inputs)
    return data


def _validated(data: dict[str, Any], problems: list[InputProblem]) -> ClinicalContext:
    """Build the context; fields that do not validate become problems instead of values."""
    try:
        return ClinicalContext.model_validate(data | {"problems": tuple(problems)})
    except ValidationError as error:
        for item in error.errors():
            field = str(item["loc"][0]) if item["loc"] else "input"
            data.pop(field, None)
            key = _FIELD_TO_KEY.get(field, ".".join(str(part) for part in item["loc"]))
            problems.append(
                InputProblem(
                    field=key, code="VALUE", message=f"{item['msg']} (got {item['input']!r})"
                )
            )
        return ClinicalContext.model_validate(data | {"problems": tuple(problems)})
