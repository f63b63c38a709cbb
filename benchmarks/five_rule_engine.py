"""A five-rule engine, the baseline for comparison only: five rules in a fixed order, first match.

Written anew from the description of a published project's rules; it is no part of ImmunoPath and
no case is ever decided by it. It sees MSI, PD-L1 TPS, a predicted CD274 class and a predicted
phenotype. Histology, stage, line, drivers, fitness and contraindications are not among its inputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What the five rules say."""

    rule: int
    drugs: frozenset[str]
    """Drugs the answer names as primary treatment."""
    tests: frozenset[str]
    """Confirmatory tests, in the test codes of this project."""


_DRIVERS = frozenset({"NGS_DNA_RNA"})
_WORKUP = frozenset({"PDL1_IHC", "MMR_IHC", "NGS_DNA_RNA"})


def _status(inputs: Mapping[str, Any]) -> str | None:
    """Measured or predicted MSI: the engine makes no difference between the two."""
    predicted = inputs.get("pred") or {}
    measured = inputs.get("msi")
    return measured if measured in ("MSI-H", "MSS") else predicted.get("msi")


def _tps(inputs: Mapping[str, Any]) -> float | None:
    value = inputs.get("pdl1_tps")
    return float(value) if isinstance(value, int | float) else None


def five_rules(inputs: Mapping[str, Any]) -> Answer:
    """Return the first rule that matches the vignette inputs."""
    predicted = inputs.get("pred") or {}
    tps = _tps(inputs)
    if _status(inputs) == "MSI-H":
        return Answer(1, frozenset({"pembrolizumab"}), frozenset({"MMR_IHC", "MSI_NGS"}))
    if tps is not None and tps >= 50:
        return Answer(2, frozenset({"pembrolizumab"}), _DRIVERS)
    if tps is not None and tps >= 1:
        return Answer(3, frozenset({"pembrolizumab", "platinum doublet"}), _DRIVERS)
    if predicted.get("cd274") == "high" and predicted.get("phenotype") == "inflamed":
        return Answer(4, frozenset({"anti-PD-1 or anti-PD-L1 agent"}), _WORKUP)
    return Answer(5, frozenset(), _WORKUP)
