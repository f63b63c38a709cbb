"""Predicted values. Never interchangeable with `Measured`: no base class but `Frozen` is shared."""

from enum import StrEnum
from typing import Generic, Literal, Self, TypeVar

from pydantic import Field, model_validator

from immunopath.domain.base import Frozen
from immunopath.domain.provenance import Provenance

V = TypeVar("V", str, float)

Probability = float


class Quantity(StrEnum):
    """What stands behind a number called ``til_fraction``; never subtract across quantities."""

    rna_score_minmax = "rna_score_minmax"
    rna_score_sigmoid = "rna_score_sigmoid"
    lymphocyte_share_of_nuclei = "lymphocyte_share_of_nuclei"


class ValidationCard(Frozen):
    """How a field of an engine did on data with known truth (`guidelines.md` 3.2)."""

    cohort: str
    n: int = Field(gt=0)
    metric: str
    value: float
    ci_low: float
    ci_high: float
    null_value: float
    """What guessing reaches on this metric: 0.5 for AUROC, 0 for Spearman, 1/k for accuracy."""
    external: bool
    ece: float | None = None
    labelled: int | None = Field(default=None, gt=0)
    """Patients with a label; `n` of them got an answer, and only these are in the figures."""
    clinical_value: float | None = None
    """What cancer type and site alone reach on the metric, over the patients that were answered."""

    @property
    def silent_share(self) -> float | None:
        """Return the share of labelled patients without an answer; None when not stated."""
        return None if self.labelled is None else 1 - min(self.n, self.labelled) / self.labelled


class FieldPrediction(Frozen, Generic[V]):
    """One biomarker as an engine sees it, or its abstention with the population prior.

    ``value`` is ``None`` exactly when ``abstained``; then ``reason`` says why and ``prior`` may
    hold the population frequencies (which are not a prediction for this case).
    """

    quantity: str
    scope: Literal["field", "slide"] = "field"
    n_tiles: int = Field(ge=0)
    tile_disagreement: float | None = Field(default=None, ge=0, le=1)
    """Share of tiles whose own call differs from the case's; None with fewer than two tiles."""
    effective_tiles: float | None = Field(default=None, ge=0)
    """How many equally weighted tiles carry as much: (sum of weights)² / sum of squares."""
    spread: float | None = Field(default=None, ge=0, le=1)
    """How far single tiles lie from the case: mean total variation distance of their tables."""
    qc_pass: bool
    ood_score: float | None = None
    validation: ValidationCard | None = None
    """Written by ``immunopath evaluate``; None means not informative (trust gate closed)."""
    value: V | None
    raw_value: V | None = None
    """Value before a stated correction, when the engine applies one."""
    probabilities: dict[str, float] | None = None
    """Over all allowed values, in [0, 1], summing to 1; None when the engine has none."""
    interval: tuple[float, float] | None = None
    prediction_set: tuple[str, ...] | None = None
    coverage: float | None = Field(default=None, gt=0, lt=1)
    """Stated coverage of `interval` or `prediction_set`."""
    prior: dict[str, float] | None = None
    off_schema_mass: float | None = Field(default=None, ge=0, le=1)
    """Of a language model: probability that the answer would begin outside the allowed values."""
    unknown_mass: float | None = Field(default=None, ge=0, le=1)
    """Part of `off_schema_mass` that goes to the answer ``unknown``."""
    conditioning: str | None = None
    """On which earlier answers the probabilities rest: ``greedy`` or ``marginal:n``."""
    calibrated: bool = False
    hint: bool = False
    """True for a value that no validation supports at all; shown apart."""
    abstained: bool
    reason: str = ""
    source: Provenance

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.abstained != (self.value is None):
            raise ValueError("value is None exactly when abstained")
        if self.abstained and not self.reason:
            raise ValueError("an abstention gives its reason")
        for name, table in (("probabilities", self.probabilities), ("prior", self.prior)):
            if table is not None:
                _require_shares(name, table)
        if self.interval is not None and self.interval[0] > self.interval[1]:
            raise ValueError("interval is (low, high)")
        return self


def _require_shares(name: str, table: dict[str, float]) -> None:
    if not all(0 <= share <= 1 for share in table.values()):
        raise ValueError(f"{name} must lie in [0, 1]")
    if not 0.999 <= sum(table.values()) <= 1.001:
        raise ValueError(f"{name} sum to {sum(table.values()):.4f}, not 1")


FIELD_VALUES: dict[str, tuple[str, ...] | None] = {
    "cd274_expression": ("high", "low"),
    "msi_status": ("MSI-H", "MSS"),
    "tme_subtype": ("IE", "IE/F", "F", "D"),
    "til_fraction": None,
    "til_density": ("high", "moderate", "low"),
    "immune_phenotype": ("inflamed", "excluded", "desert"),
    "cd8_infiltration": ("high", "moderate", "low"),
    "immune_score": None,
}
"""Allowed values of the eight fields in contract order; None marks a number in [0, 1]."""
GRID: tuple[str, ...] = tuple(f"{n / 100:.2f}" for n in range(101))
"""The cells of a number's table, ``0.00`` to ``1.00``."""


class BiomarkerProfile(Frozen):
    """The eight fields, in the published order (compatibility contract)."""

    cd274_expression: FieldPrediction[str]
    msi_status: FieldPrediction[str]
    tme_subtype: FieldPrediction[str]
    til_fraction: FieldPrediction[float]
    til_density: FieldPrediction[str]
    immune_phenotype: FieldPrediction[str]
    cd8_infiltration: FieldPrediction[str]
    immune_score: FieldPrediction[float]

    @model_validator(mode="after")
    def _allowed_values(self) -> Self:
        for name, allowed in FIELD_VALUES.items():
            field = getattr(self, name)
            if field.value is None:
                continue
            if allowed is None and not 0 <= field.value <= 1:
                raise ValueError(f"{name} {field.value} is outside [0, 1]")
            if allowed is not None and field.value not in allowed:
                raise ValueError(f"{name} {field.value!r} is not one of {allowed}")
            given = field.probabilities
            if allowed is not None and given is not None and set(given) != set(allowed):
                raise ValueError(f"{name}: probabilities must cover {allowed}")
        return self

    def items(self) -> tuple[tuple[str, FieldPrediction[str] | FieldPrediction[float]], ...]:
        """Return ``(key, field)`` pairs in contract order."""
        return tuple((name, getattr(self, name)) for name in FIELD_VALUES)


class CutPoints(Frozen):
    """Where an engine cuts its own quantity into low | moderate | high."""

    low: float
    high: float

    def density_class(self, value: float) -> str:
        """Return ``low`` below `low`, ``high`` from `high` on, else ``moderate``."""
        return "low" if value < self.low else "high" if value >= self.high else "moderate"


class Morphometry(Frozen):
    """What was counted in the accepted tissue of a case."""

    n_nuclei: int = Field(ge=0)
    n_lymphocytes: int = Field(ge=0)
    """Lymphocyte-like nuclei: mononuclear or small dark; plasma cells and neutrophils included."""
    tissue_mm2: float = Field(ge=0)
    lymphocytes_per_mm2: float | None = Field(default=None, ge=0)
    """Raw count over tissue area; None without tissue."""
    raw_share: float | None = Field(default=None, ge=0, le=1)
    corrected_share: float | None = Field(default=None, ge=0, le=1)
    median_nuclear_area_um2: float | None = Field(default=None, ge=0)
    mpp_plausible: bool | None = None
    """False when the nuclear size speaks against the resolution; None with too few nuclei."""
    nest_mm2: float | None = Field(default=None, ge=0)
    lymphocytes_per_mm2_in_nests: float | None = Field(default=None, ge=0)
    lymphocytes_per_mm2_outside: float | None = Field(default=None, ge=0)
    morisita_horn: float | None = Field(default=None, ge=0, le=1)
    warnings: tuple[str, ...] = ()


class EngineCaution(Frozen):
    """What limits every answer of an engine: the adjudicator turns it into a finding."""

    code: str
    severity: Literal["note", "caution", "serious"]
    message: str
    action: str
    fields: tuple[str, ...] = ()


class ModelAnswer(Frozen):
    """One answer of a language model as it was read, for whoever wants to check the tables."""

    text: str
    """The greedy answer, whole."""
    log_probability: float
    """Of the greedy path, natural logarithm."""
    conditional: bool
    """True when only allowed continuations were scored, so that it is too high."""
    tile_ids: tuple[str, ...]


class ImageCall(Frozen):
    """What a predictor says of one image alone: the material of slide-wide estimates."""

    image_index: int = Field(ge=0)
    til: float
    """``til_fraction`` in the engine's quantity. It may lie a little outside [0, 1]: a correction
    is clipped after averaging, never before."""
    weight: float = Field(gt=0)
    """What the value is a share of (nuclei), or 1 for engines that count nothing."""
    phenotype: str | None = None


class PredictorResult(Frozen):
    """What a predictor engine says of a case."""

    profile: BiomarkerProfile
    cut_points: CutPoints | None
    """For ``til_fraction`` in this engine's own quantity; None = the engine does not know them."""
    morphometry: Morphometry | None = None
    cautions: tuple[EngineCaution, ...] = ()
    answers: tuple[ModelAnswer, ...] = ()
    images: tuple[ImageCall, ...] = ()
    """By image, for cases whose images are regions of slides; empty when the engine has none."""
    layout_note: str = ""
    """E.g. ``lymphocyte share in the field; tumour not confirmed``."""


class PhenotypeScores(Frozen):
    """An independent estimate of the immune phenotype."""

    scores: dict[str, float]
    """Over inflamed, excluded, desert; each in [0, 1], sum 1. Uncalibrated unless said so."""
    value: str | None
    """The leading phenotype, or None when the engine abstains."""
    abstained: bool
    reason: str = ""
    calibrated: bool = False
    features: dict[str, float] = Field(default_factory=dict)
    """The measurements the scores rest on, by name."""
    prompt_probabilities: dict[str, float] = Field(default_factory=dict)
    """Of a sigmoid model: how likely each prompt alone fits the pixels, by prompt id. These are
    no shares of one whole and are never mixed with `scores`."""
    source: Provenance

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.abstained != (self.value is None):
            raise ValueError("value is None exactly when abstained")
        if self.scores:  # an abstention may have none
            _require_shares("scores", self.scores)
        if self.value is not None and self.value not in self.scores:
            raise ValueError(f"value {self.value!r} has no score")
        return self


class Neighbour(Frozen):
    """One reference patch near the case in embedding space."""

    neighbour_id: str
    similarity: float = Field(ge=-1.0001, le=1.0001)
    """Cosine of the two unit embeddings."""
    title: str
    tissue: str
    """Free text of the atlas: organ and diagnosis as far as known."""
    labels: dict[str, str | float] = Field(default_factory=dict)
    """Only what is known of the patch, keyed by profile field name."""
    patient_id: str | None = None
    licence: str
    attribution: str


class FieldVote(Frozen):
    """What the neighbours say on one field."""

    field: str
    n_votes: int = Field(ge=0)
    value: str | float | None
    """None = no opinion: fewer than three neighbours carry a label for the field."""
    shares: dict[str, float] = Field(default_factory=dict)


class RetrievalResult(Frozen):
    """Neighbours of a case and their votes."""

    neighbours: tuple[Neighbour, ...]
    votes: tuple[FieldVote, ...]
    atlas_id: str
    atlas_size: int
    excluded: dict[str, int] = Field(default_factory=dict)
    """How many entries were left out and why: ``same_patient``, ``identical_pixels``."""
    source: Provenance
