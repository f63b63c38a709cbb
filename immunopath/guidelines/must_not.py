"""What a vignette forbids: the ``must_not`` tokens of `guidelines.md` 6.1, and how they break."""

from collections.abc import Callable, Mapping
from typing import Any

from immunopath.domain.guidance import Guidance
from immunopath.guidelines.loader import Knowledge
from immunopath.guidelines.options import classes_of, is_ici_mono

_CLASS_TOKENS: Mapping[str, frozenset[str]] = {
    "ANY_ICI": frozenset({"ICI"}),
    "ANY_CHEMO": frozenset({"CHEMO"}),
    "EGFR_TKI": frozenset({"EGFR_TKI"}),
}
_DRUG_TOKENS = {
    "PEMETREXED": "pemetrexed",
    "BEVACIZUMAB": "bevacizumab",
    "DURVALUMAB": "durvalumab",
}


def violates(kb: Knowledge, token: str, inputs: Mapping[str, Any], guidance: Guidance) -> bool:
    """Return True when the guidance does what `token` forbids."""
    if token in kb.regimens:
        return token in guidance.regimen_ids()
    if token in _CLASS_TOKENS:
        return bool(classes_of(kb, guidance.option_drugs()) & _CLASS_TOKENS[token])
    if token in _DRUG_TOKENS:
        return _DRUG_TOKENS[token] in guidance.option_drugs()
    return _OTHER_TOKENS[token](kb, inputs, guidance)


def _ici_mono(kb: Knowledge, inputs: Mapping[str, Any], guidance: Guidance) -> bool:
    return any(is_ici_mono(kb, kb.regimens[i]) for i in guidance.regimen_ids())


def _any_drug(kb: Knowledge, inputs: Mapping[str, Any], guidance: Guidance) -> bool:
    return bool(guidance.options)


def _ici_ranked_first(kb: Knowledge, inputs: Mapping[str, Any], guidance: Guidance) -> bool:
    top = [drug for o in guidance.options if o.rank == 1 for drug in o.drugs]
    return "ICI" in classes_of(kb, top)


def _negative_from_unknown(kb: Knowledge, inputs: Mapping[str, Any], guidance: Guidance) -> bool:
    unknown = inputs.get("drivers", "all_unknown") in {
        "all_unknown",
        "ctdna_negative_no_shedding",
    }
    stated = {guidance.measured.get("driver_EGFR_ANY"), guidance.measured.get("driver_ALK")}
    return unknown and "false" in stated


def _prediction_as_measured(kb: Knowledge, inputs: Mapping[str, Any], guidance: Guidance) -> bool:
    """A TPS stratum or MSI status that the inputs did not measure must not appear as measured."""
    tps, msi = inputs.get("pdl1_tps"), inputs.get("msi")
    tps_measured = isinstance(tps, int | float | str)
    msi_measured = isinstance(msi, str) and msi != "not_done"
    stratum = guidance.measured.get("tps_stratum") in {"neg", "low", "high"}
    return (stratum and not tps_measured) or ("msi" in guidance.measured and not msi_measured)


_Check = Callable[[Knowledge, Mapping[str, Any], Guidance], bool]
_OTHER_TOKENS: Mapping[str, _Check] = {
    "ICI_MONO": _ici_mono,
    "ANY_DRUG": _any_drug,
    "ICI_RANKED_FIRST": _ici_ranked_first,
    "NEGATIVE_FROM_UNKNOWN": _negative_from_unknown,
    "PRED_AS_MEASURED": _prediction_as_measured,
}
MUST_NOT = frozenset({*_CLASS_TOKENS, *_DRUG_TOKENS, *_OTHER_TOKENS})
"""Every token that is not a regimen id."""
