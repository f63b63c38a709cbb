"""Drug facts from the curated knowledge base. Never a model's text."""

from datetime import date
from typing import Literal

from immunopath.domain.base import Frozen

Modality = Literal["small_molecule", "mab", "bispecific", "adc", "metal_complex", "device"]
Grade = Literal["V", "M", "?"]
IdStatus = Literal["matched", "unverified", "conflict", "absent"]


class DrugFact(Frozen):
    """One curated statement with its source and grade (V read, M memory, ? uncertain)."""

    topic: str
    """E.g. ``mechanism``, ``half_life``, ``toxicity``, ``monitoring``, ``nsclc_dose``."""
    text: str
    source: str
    grade: Grade


class DrugId(Frozen):
    """A registry id. In conflict or absent, ``value`` is None; nothing is guessed."""

    system: Literal["atc", "chembl", "drugbank", "rxnorm"]
    value: str | None
    status: IdStatus
    note: str = ""


class Structure(Frozen):
    """A structure that was checked against its key."""

    smiles: str
    inchikey: str
    check: Literal["inchikey", "formula"]
    """What was verified with a chemistry toolkit."""


class DrugProfile(Frozen):
    """One curated drug record."""

    kind: Literal["curated"] = "curated"
    drug_id: str
    name: str
    """International non-proprietary name."""
    synonyms: tuple[str, ...] = ()
    drug_class: str
    classes: tuple[str, ...]
    """Class tokens the rules read, e.g. ``PD1``, ``ICI``, ``CHEMO``."""
    modality: Modality
    targets: tuple[str, ...] = ()
    facts: tuple[DrugFact, ...]
    ids: tuple[DrugId, ...]
    structure: Structure | None = None
    nsclc_regimens: tuple[str, ...] = ()
    """Regimen ids of the catalogue that contain it."""
    us_status: Literal["nsclc_label", "no_nsclc_label", "unverified"]
    txgemma_applicable: bool
    label_asof: date
    curated_by: str
    knowledge_version: str


class NotInKnowledgeBase(Frozen):
    """The asked name is not curated. Nothing is invented in its place."""

    kind: Literal["not_in_knowledge_base"] = "not_in_knowledge_base"
    name: str
    nearest: tuple[str, ...] = ()
    """Close spellings that are curated."""
    knowledge_version: str


DrugAnswer = DrugProfile | NotInKnowledgeBase
