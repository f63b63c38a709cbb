"""The marker keys of the case vocabulary: drivers, PD-L1, MSI, MMR, TMB, IHC."""

import math
import re
from collections.abc import Mapping
from typing import Any, get_args

from immunopath.domain.clinical import InputProblem
from immunopath.domain.molecular import ALTERATIONS, FUSION, NEGATIVE, Gene, Method

_STATES = frozenset({"pending", "not_done", "failed", "indeterminate", "unknown"})
_GATE_AND_KRAS = (
    Gene.EGFR, Gene.ALK, Gene.ROS1, Gene.RET, Gene.BRAF, Gene.MET, Gene.NTRK1, Gene.NTRK2,
    Gene.NTRK3, Gene.ERBB2, Gene.KRAS,
)  # fmt: skip
DEFAULT_METHOD = "NGS_DNA_RNA"
REST_NEGATIVE = "rest_neg"
_ALIASES = {"HER2": "ERBB2", "NTRK": "NTRK1", "LKB1": "STK11", "C-MET": "MET"}
_NEGATIVE_WORDS = frozenset({"negative", "neg", "wildtype", "wt", "wild-type"})
_WORDS: Mapping[Gene, Mapping[str, str]] = {
    Gene.EGFR: {
        "exon19del": "ex19del", "del19": "ex19del", "ex19": "ex19del", "exon20ins": "ex20ins",
    },
    Gene.MET: {
        "ex14skip": "ex14", "ex14skipping": "ex14", "exon14": "ex14", "exon14skipping": "ex14",
        "ex14skippping": "ex14", "amp": "amplification",
    },
    Gene.ERBB2: {
        "mutation": "TKD_mutation", "mut": "TKD_mutation", "tkd": "TKD_mutation",
        "tkdmutation": "TKD_mutation", "ex20ins": "TKD_mutation", "exon20ins": "TKD_mutation",
        "amp": "amplification",
    },
    Gene.STK11: {"mutation": "pathogenic", "mut": "pathogenic", "loss": "pathogenic"},
    Gene.KEAP1: {"mutation": "pathogenic", "mut": "pathogenic", "loss": "pathogenic"},
}  # fmt: skip


class MarkerError(Exception):
    """A marker value that cannot be taken over; carries the problem for the rejection."""

    def __init__(self, field: str, code: str, message: str) -> None:
        super().__init__(message)
        self.problem = InputProblem(field=field, code=code, message=message)


def _refuse_prediction(field: str, value: object) -> None:
    if isinstance(value, Mapping):
        raise MarkerError(
            field, "PREDICTION_IN_MEASURED_SLOT", f"{field} takes a measured value only"
        )


def gene_results(value: object, method: object) -> tuple[dict[str, Any], ...]:
    """Return gene results from a macro or from ``GENE:alteration`` items separated by ``;``.

    A gene that is not named stays unknown, unless `REST_NEGATIVE` is among the items: then the
    other gate genes and KRAS are negative by the stated method, which must be stated. ``all_neg``
    means negative by DNA and RNA sequencing (6.1) unless a method is stated.
    """
    _refuse_prediction("drivers", value)
    if method is not None and method not in get_args(Method):
        raise MarkerError("drivers_method", "VALUE", f"{str(method)!r} is no method")
    assay = None if method is None else str(method)
    if not isinstance(value, str):
        raise MarkerError("drivers", "VALUE", f"{value!r} is not text")
    if value in {"all_unknown", "unknown"}:
        return ()
    if value == "all_neg":
        return tuple(_result(gene, NEGATIVE, assay or DEFAULT_METHOD) for gene in _GATE_AND_KRAS)
    if value == "ctdna_negative_no_shedding":
        return tuple(
            _result(gene, NEGATIVE, "CTDNA_NGS") | {"shedding_detected": False}
            for gene in _GATE_AND_KRAS
        )
    return _listed([text.strip() for text in value.split(";") if text.strip()], assay)


def _listed(items: list[str], assay: str | None) -> tuple[dict[str, Any], ...]:
    stated = [_item(text) for text in items if text != REST_NEGATIVE]
    if not stated:
        raise MarkerError("drivers", "VALUE", "no driver is named")
    found = [_result(g, a, assay) for g, a in sorted(set(stated)) if a is not None]
    if REST_NEGATIVE not in items:
        return tuple(found)
    if assay is None:
        text = f"{REST_NEGATIVE} needs drivers_method: which assay found the other genes negative"
        raise MarkerError("drivers_method", "VALUE", text)
    named = {gene for gene, _ in stated}
    rest = [_result(g, NEGATIVE, assay) for g in _GATE_AND_KRAS if g not in named]
    return (*found, *rest)


def as_in_vignettes(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return `inputs` with what a vignette leaves unsaid (6.1): the other genes are negative.

    A person's case file gets none of this: what it does not state is unknown.
    """
    value = inputs.get("drivers")
    method = {"drivers_method": DEFAULT_METHOD} | dict(inputs)
    if not isinstance(value, str) or ":" not in value:
        return method
    return method | {"drivers": f"{value}; {REST_NEGATIVE}"}


def _result(gene: Gene, value: str, method: str | None) -> dict[str, Any]:
    return {"gene": gene, "result": {"state": "measured", "value": value}, "method": method}


def _item(text: str) -> tuple[Gene, str] | tuple[Gene, None]:
    name, _, alteration = (part.strip() for part in text.partition(":"))
    upper = _ALIASES.get(name.upper(), name.upper())
    if upper not in Gene.__members__ or not alteration:
        raise MarkerError("drivers", "VALUE", f"{text!r} is not GENE:alteration")
    gene, plain = Gene[upper], re.sub(r"[\s_]", "", alteration.lower())
    if plain in {"unknown", "notdone", "pending", "failed", "indeterminate"}:
        return gene, None
    if plain in _NEGATIVE_WORDS:
        return gene, NEGATIVE
    allowed = ALTERATIONS[gene]
    by_plain = {re.sub(r"[\s_]", "", a.lower()): a for a in allowed}
    if allowed == FUSION:
        by_plain |= {"positive": "fusion", "rearrangement": "fusion", "rearranged": "fusion"}
    found = by_plain.get(plain) or _WORDS.get(gene, {}).get(plain)
    if found is None:
        raise MarkerError("drivers", "VALUE", f"{gene} {alteration!r}: one of {', '.join(allowed)}")
    return gene, found


def pdl1_result(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return one PD-L1 result; the number itself is judged by rules PDL-1 to PDL-10."""
    value = inputs["pdl1_tps"]
    _refuse_prediction("pdl1_tps", value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise MarkerError("pdl1_tps", "TPS_RANGE", f"{value!r} is not a percentage")
    if isinstance(value, float) and not math.isfinite(value):
        raise MarkerError("pdl1_tps", "TPS_RANGE", f"{value} is not a percentage")
    measured: dict[str, Any] = (
        {"state": value} if value in _STATES else {"state": "measured", "value": value}
    )
    specimen = {
        field: inputs[key]
        for key, field in (
            ("viable_tumour_cells", "viable_tumour_cells"),
            ("specimen_collected", "collected"),
            ("specimen_type", "type"),
        )
        if key in inputs
    }
    return {
        "tps": measured | ({"specimen": specimen} if specimen else {}),
        "unit": inputs.get("pdl1_unit", "percent"),
        "score_type": inputs.get("pdl1_score_type", "unknown"),
        "assay": inputs.get("pdl1_assay", "unknown"),
    }


def _choice(inputs: Mapping[str, Any], key: str, synonyms: Mapping[str, str]) -> dict[str, Any]:
    if key not in inputs:
        return {}
    value = inputs[key]
    _refuse_prediction(key, value)
    if isinstance(value, str):
        if value in _STATES:
            return {key: {"state": value}}
        value = synonyms.get(value, value)
    elif isinstance(value, bool):
        raise MarkerError(key, "VALUE", f"{key} takes no truth value (got {value})")
    return {key: {"state": "measured", "value": value}}


def msi_result(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the MSI and MMR results; MSI-L counts as MSS."""
    return _choice(inputs, "msi", {"MSI-L": "MSS"}) | _choice(inputs, "mmr", {})


def tmb_result(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return TMB with its test: ``labelled_tissue``, ``other_tissue`` or ``blood``."""
    found = _choice(inputs, "tmb", {})
    test = inputs.get("tmb_test")
    if test is not None and test not in ("labelled_tissue", "other_tissue", "blood"):
        raise MarkerError("tmb_test", "VALUE", f"{test!r} is no TMB test")
    if found and test is not None:
        found["tmb"]["method"] = "blood" if test == "blood" else "tissue"
        found["tmb"]["assay"] = "FoundationOne CDx" if test == "labelled_tissue" else None
    return found


def ihc_result(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return HER2 IHC (0-3) and MET IHC (% of cells 3+)."""
    return _choice(inputs, "her2_ihc", {}) | _choice(inputs, "met_ihc_3plus_pct", {})
