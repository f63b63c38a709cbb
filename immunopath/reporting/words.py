"""The words for keys of engines, fields and records: no reader meets a name of code."""

import re

from immunopath.domain.prediction import Quantity
from immunopath.reporting.text import number, plain_name, scale_origin

FIELD_NAMES = {
    "cd274_expression": "CD274 RNA",
    "msi_status": "MSI status",
    "tme_subtype": "TME subtype",
    "til_fraction": "TIL fraction",
    "til_density": "TIL density",
    "immune_phenotype": "Immune phenotype",
    "cd8_infiltration": "CD8 infiltration",
    "immune_score": "Immune score",
}
_LABELS = {"lymphocyte_rich": "Lymphocyte-rich"}
"""Fields of reference patches that are none of the profile."""
_FIELD_KEYS = re.compile(rf"\b({'|'.join((*FIELD_NAMES, *_LABELS))})\b")

QUANTITIES = {
    "cd274_rna_median_split": "CD274 RNA, high or low against the median of the source cohort",
    "msi_call": "MSI as called in the source cohort",
    "bagaev_class": "microenvironment class of bulk RNA (Bagaev 2021)",
    "til_and_cd8_rna_medians": "phenotype from TIL and CD8 RNA against their medians",
    "cd8_rna_score_class": "class of a CD8 score of bulk RNA",
    "immune_rna_score_minmax": "immune score of bulk RNA, scaled to its range",
    "rna_score_minmax": "lymphocyte score of bulk RNA, scaled to its range",
    "rna_score_sigmoid": "lymphocyte score of bulk RNA on a sigmoid scale",
    "lymphocyte_share_of_nuclei": "share of all nuclei that look like lymphocytes",
    "lymphocyte_layout_against_nests": "where lymphocyte-like nuclei lie against the nests",
    "hint_equal_to_lymphocyte_share": "the TIL fraction, shown again",
    "share_of_1mm2_cells_by_engine_phenotype": "share of 1 mm² cells by the engine's phenotype",
    "undeclared": "not declared by the engine",
}
_FEATURES = {
    "field_um": ("largest field", "µm"),
    "tissue_mm2": ("tissue", "mm²"),
    "judged_mm2": ("tissue judged", "mm²"),
    "nest_mm2": ("nests", "mm²"),
    "lymphoid_share": ("lymphocyte-like share of nuclei", "%"),
    "lymphoid_per_mm2_in_nests": ("lymphocyte-like nuclei in nests", "per mm²"),
    "lymphoid_per_mm2_outside": ("lymphocyte-like nuclei outside nests", "per mm²"),
    "views": ("views of the field", ""),
    "margin": ("lead of the first phenotype", ""),
    "prompt_agreement": ("prompts that agree", "%"),
    "view_agreement": ("views that agree", "%"),
}
_UNITS = {"um": "µm", "um2": "µm²", "mm2": "mm²", "share": "%"}
_TOPICS = {
    "nsclc_dose": "Dose in NSCLC",
    "us_nsclc_use": "US use in NSCLC",
    "half_life": "Half-life",
    "boxed_warning": "Boxed warning",
}
_STATUS = {
    "nsclc_label": "US label in NSCLC",
    "no_nsclc_label": "no US label in NSCLC",
    "unverified": "US label unverified",
}
_SYSTEMS = {"atc": "ATC", "chembl": "ChEMBL", "drugbank": "DrugBank", "rxnorm": "RxNorm"}
_METHODS = {
    "NGS_DNA_RNA": "NGS of DNA and RNA",
    "NGS_DNA": "NGS of DNA",
    "NGS_RNA": "NGS of RNA",
    "CTDNA_NGS": "NGS of ctDNA",
}
_SCALE = re.compile(r"(µm/px) \(([a-z_]+)\)")
_LONG_NUMBER = re.compile(r"(?<![\w.])\d+\.\d{3,}(?![\w.])")


def field_name(key: str) -> str:
    """Return the reader's name of a profile field or of a label of the atlas."""
    return FIELD_NAMES.get(key) or _LABELS.get(key) or plain_name(key)


def named_fields(sentence: str) -> str:
    """Return `sentence` with fields by their names, and how a scale is known in words."""
    told = _SCALE.sub(lambda hit: f"{hit[1]} ({scale_origin(hit[2])})", sentence)
    return _FIELD_KEYS.sub(lambda hit: field_name(hit[0]), told)


def quantity_name(key: str) -> str:
    """Return what stands behind a value; the class of a quantity is named as such."""
    base = key.removesuffix("_class")
    if key not in QUANTITIES and base != key and base in QUANTITIES:
        return f"class of the {QUANTITIES[base]}"
    return QUANTITIES.get(key, plain_name(key))


def slide_name(quantity: str) -> str:
    """Return what the number of a slide is called: only counted nuclei make a lymphocyte share."""
    return "Lymphocyte share" if is_share(quantity) else FIELD_NAMES["til_fraction"]


def is_share(quantity: str) -> bool:
    """Return whether a TIL fraction is a share of nuclei, and so may be said in percent."""
    return quantity == Quantity.lymphocyte_share_of_nuclei


def feature_text(key: str, value: float) -> str:
    """Return a measurement by its name, with its unit."""
    stem, _, last = key.rpartition("_")
    guess = (plain_name(stem), _UNITS[last]) if stem and last in _UNITS else (plain_name(key), "")
    name, unit = _FEATURES.get(key, guess)
    if unit == "%":
        return f"{name} {percent(value)}"
    return f"{name} {number(value, 3)} {unit}".rstrip()


def percent(share: float) -> str:
    """Return a share in percent with at most three significant digits."""
    return f"{100 * share:.3g} %"


def topic_name(key: str) -> str:
    """Return the heading of a drug fact."""
    return _TOPICS.get(key, plain_name(key).capitalize())


def label_status(key: str) -> str:
    """Return whether a drug has a US label in NSCLC."""
    return _STATUS.get(key, plain_name(key))


def system_name(key: str) -> str:
    """Return the name of a registry of drugs."""
    return _SYSTEMS.get(key, key)


def method_name(key: str) -> str:
    """Return how a result was obtained."""
    return _METHODS.get(key, plain_name(key))


def rounded(sentence: str) -> str:
    """Return `sentence` with its long decimals cut to three significant digits."""
    return _LONG_NUMBER.sub(lambda hit: f"{float(hit[0]):.3g}", sentence)
