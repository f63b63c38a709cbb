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
from immunopath.guidelines.vocabulary_history import (
    autoimmune,
    prior_io,
    prior_therapies,
    surgery,
)
from immunopath.guidelines.vocabulary_markers import (
    MarkerError,
    as_in_vignettes,
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

SPECIAL = frozenset({
    "margin", "autoimmune", "prior_therapies", "prior_io", "last_ici_days", "drivers",
    "drivers_method", "pdl1_tps", "pdl1_unit", "pdl1_score_type", "pdl1_assay", "msi", "mmr",
    "tmb", "tmb_test", "her2_ihc", "met_ihc_3plus_pct", "pred",
})  # fmt: skip
KEYS = frozenset((*PLAIN, *NESTED, *SPECIAL))
"""Every key of the vocabulary: those of 6.1 and further fields of 1.2 under short names."""

MAX_SHOWN = 80
"""Characters of a wrong value that an error repeats."""

_YES_NO = frozenset({"adjuvant_chemo_done", "pregnancy"})
_TRUTH = frozenset(
    {"progression_after_crt", "oligometastatic", "idiopathic_pulmonary_fibrosis", "hearing_loss",
     "heart_failure", "haemoptysis", "arterial_event_6mo", "uncontrolled_htn", "active_infection",
     "hiv", "hbv", "hcv"}
)  # fmt: skip
_FIELD_TO_KEY = {field: key for key, field in PLAIN.items()}
_TUPLES = frozenset(
    {"histology_evidence", "neoadjuvant_given", "metastatic_sites", "emergency", "allergies",
     "concomitant_drugs"}
)  # fmt: skip


def parse_inputs(mapping: Mapping[str, Any], defaults: bool) -> ClinicalContext:
    """Return the context; raises `CaseFileError` on a key outside the vocabulary."""
    check_keys(mapping)
    inputs = {k: _tidied(k, v) for k, v in mapping.items()}
    if defaults:
        implied = {"prior_io": "unknown"} if "last_ici_days" in inputs else {}
        inputs = as_in_vignettes(dict(DEFAULTS) | implied | inputs)
    problems = _plain_problems(inputs)
    wrong = {problem.field for problem in problems}
    data = _plain({key: value for key, value in inputs.items() if key not in wrong})
    for build in _BUILDERS:
        try:
            data |= build(inputs)
        except MarkerError as error:
            problems.append(error.problem)
    return _validated(data, problems)


def _tidied(key: str, value: object) -> object:
    """Strip text; YAML reads an unquoted yes or no as a truth value, the vocabulary has words."""
    if key in _YES_NO and isinstance(value, bool):
        return "yes" if value else "no"
    if key == "stage" and value == 0 and not isinstance(value, bool):
        return "0"  # YAML reads the stage group 0 as a number
    return value.strip() if isinstance(value, str) else value


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


def _drivers(inputs: Mapping[str, Any]) -> dict[str, Any]:
    if "drivers" not in inputs:
        return {}
    return {"genes": gene_results(inputs["drivers"], inputs.get("drivers_method"))}


def _pdl1(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {"pdl1": (pdl1_result(inputs),)} if "pdl1_tps" in inputs else {}


_BUILDERS = (
    surgery, autoimmune, prior_therapies, prior_io, _drivers, _pdl1, msi_result, tmb_result,
    ihc_result,
)  # fmt: skip


def _plain_problems(inputs: Mapping[str, Any]) -> list[InputProblem]:
    """A truth value where a number or a word belongs is no value; ``true`` is not ECOG 1."""
    return [
        *(
            InputProblem(
                field=key, code="VALUE", message=f"{key} takes no truth value (got {value})"
            )
            for key, value in inputs.items()
            if isinstance(value, bool) and key not in _TRUTH | SPECIAL
        ),
        *(
            InputProblem(
                field=key, code="VALUE", message=f"{key} is true or false ({shown(value)})"
            )
            for key, value in inputs.items()
            if key in _TRUTH and not isinstance(value, bool) and value is not None
        ),
    ]


def shown(value: object) -> str:
    """Return what was given, cut to what fits a line."""
    text = repr(value)
    return f"got {text}" if len(text) <= MAX_SHOWN else f"got {text[:MAX_SHOWN]}..."


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
                    field=key, code="VALUE", message=f"{item['msg']} ({shown(item['input'])})"
                )
            )
        return ClinicalContext.model_validate(data | {"problems": tuple(problems)})
