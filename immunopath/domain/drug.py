"""Drug facts from the curated knowledge base; what a model says stands apart, and after them."""

from datetime import date
from typing import Literal, Self

from pydantic import Field, model_validator

from immunopath.domain.base import Frozen
from immunopath.domain.provenance import Provenance

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


class InSilicoFact(Frozen):
    """What a model answered to one property question about a structure. No fact, no evidence.

    Old drugs are in the public sets such models were trained on, so that agreement with the
    curated record shows nothing.
    """

    kind: Literal["in_silico"] = "in_silico"
    task: str
    """Key of the question, e.g. ``BBB_Martins`` of the Therapeutics Data Commons."""
    topic: str
    state: Literal["answered", "unparsed", "not_computed"]
    statement: str = ""
    """The option that was chosen, in the words of the prompt."""
    answer: Literal["A", "B"] | None = None
    """(B) is the positive statement."""
    probability: float | None = Field(default=None, ge=0, le=1)
    """P(B) / (P(A) + P(B)) from the logits of the answer's first letter. Uncalibrated."""
    rank: int | None = Field(default=None, ge=0, le=1000)
    """Place on the training set's own scale from 0 to 1000; it has no unit."""
    caveat: str = ""
    reason: str = ""
    """Why there is no answer."""
    text: str = ""
    """What the model wrote."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        answers = (self.answer is not None) + (self.rank is not None)
        if answers != (self.state == "answered"):
            raise ValueError("an answered question has either a letter or a rank, others neither")
        if self.state != "answered" and not self.reason:
            raise ValueError("a question without an answer says why")
        return self


class InSilicoPanel(Frozen):
    """The answers of one model about one drug, or why it was not asked."""

    status: Literal["ok", "not_applicable", "unavailable"]
    """``not_applicable``: the drug is no small molecule with a curated structure."""
    reason: str = ""
    """Why there are no answers or, beside answers, what went wrong with them."""
    facts: tuple[InSilicoFact, ...] = ()
    source: Provenance | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.status == "ok" and self.source is None:
            raise ValueError("answers of a model name the model")
        if self.status != "ok" and (self.facts or not self.reason):
            raise ValueError("a panel without answers gives its reason and no facts")
        return self


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
    in_silico: InSilicoPanel | None = None
    """What a model adds, always after the curated facts; None when no model was asked for."""


class NotInKnowledgeBase(Frozen):
    """The asked name is not curated. Nothing is invented in its place."""

    kind: Literal["not_in_knowledge_base"] = "not_in_knowledge_base"
    name: str
    nearest: tuple[str, ...] = ()
    """Close spellings that are curated."""
    knowledge_version: str


DrugAnswer = DrugProfile | NotInKnowledgeBase
