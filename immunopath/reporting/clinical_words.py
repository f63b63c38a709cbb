"""The words and units of clinical facts; a fact without an entry is shown by its name."""

from immunopath.reporting.text import plain_name

_NAMES = {
    "age_years": "Age",
    "ecog": "ECOG",
    "ecog_cause": "ECOG cause",
    "line": "Line",
    "stage_group": "Stage",
    "t": "T",
    "n": "N",
    "m": "M",
    "weight_kg": "Weight",
    "height_cm": "Height",
    "tumour_size_cm": "Tumour size",
    "pack_years": "Pack-years",
    "crt_status": "Chemoradiation",
    "crt_end_date": "Chemoradiation ended",
    "progression_after_crt": "Progression after chemoradiation",
    "adjuvant_chemo_done": "Adjuvant chemotherapy done",
    "neoadjuvant_given": "Neoadjuvant therapy given",
    "brain_mets": "Brain metastases",
    "prior_io": "Prior immunotherapy",
    "ild_or_fibrosis": "ILD or fibrosis",
    "prednisone_equiv_mg_day": "Prednisone equivalent",
    "bleeding_vascular": "Bleeding and vascular risk",
    "oligometastatic": "Oligometastatic disease",
    "autoimmune": "Autoimmune disease",
    "jurisdiction": "Labels read for",
}
_PARTS = {
    "crcl_ml_min": "creatinine clearance",
    "ast_alt_x_uln": "AST or ALT",
    "alp_x_uln": "alkaline phosphatase",
    "bilirubin_x_uln": "bilirubin",
    "anc_per_ul": "neutrophils",
    "lvef_pct": "LVEF",
    "qtc_ms": "QTc",
    "hiv": "HIV",
    "hbv": "HBV",
    "hcv": "HCV",
    "untreated_tb": "untreated tuberculosis",
    "active_serious": "active serious infection",
    "worst_irae": "worst immune-related event",
    "worst_irae_grade": "its grade",
    "days_since_last_dose": "time since the last dose",
    "recent_surgery_days": "time since surgery",
    "arterial_event_6mo": "arterial event within 6 months",
    "uncontrolled_htn": "uncontrolled hypertension",
    "cavitation_or_great_vessel": "cavitation or contact to a great vessel",
    "gi_perforation_or_fistula": "gastrointestinal perforation or fistula",
    "tumour_cellularity_pct": "tumour cellularity",
}
_HEADS = {"given", "present", "done"}
"""Parts that answer the label of the whole fact: "Prior immunotherapy: no"."""
_UNITS = {
    "age_years": "years",
    "weight_kg": "kg",
    "height_cm": "cm",
    "tumour_size_cm": "cm",
    "prednisone_equiv_mg_day": "mg/day",
    "crcl_ml_min": "mL/min",
    "ast_alt_x_uln": "× ULN",
    "alp_x_uln": "× ULN",
    "bilirubin_x_uln": "× ULN",
    "anc_per_ul": "per µL",
    "lvef_pct": "%",
    "qtc_ms": "ms",
    "tumour_cellularity_pct": "%",
    "days_since_last_dose": "days",
    "recent_surgery_days": "days",
}


def fact_label(name: str) -> str:
    """Return the label of a clinical fact."""
    return _NAMES.get(name) or plain_name(name).capitalize()


def part_label(name: str) -> str:
    """Return the label of one part of a compound fact; none where it answers the fact itself."""
    return "" if name in _HEADS else _PARTS.get(name) or plain_name(name)


def with_unit(name: str, text: str) -> str:
    """Return a stated value with the unit of its fact; nothing stated stays nothing."""
    unit = _UNITS.get(name, "")
    return f"{text} {unit}" if text and unit else text
