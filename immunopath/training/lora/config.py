"""The parameter object of a training run: every choice that decides what comes out of it.

A file (YAML or TOML) names a preset and says what differs from it; presets are YAML files beside
this module. Everything is checked before anything heavy is loaded.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from immunopath.domain.base import Frozen
from immunopath.domain.prediction import FIELD_VALUES, CutPoints
from immunopath.models.foundation.decoding.answer import Layout
from immunopath.models.foundation.medgemma.lora import Targets
from immunopath.models.foundation.medgemma.prompts import PROMPTS, Prompt
from immunopath.models.foundation.medgemma.record import UNDECLARED

Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=100)]


class AugmentConfig(Frozen):
    """Random changes of a tile, drawn anew in every epoch; none in validation.

    geometric: the eight turns and mirrorings of a square; stain: standard deviation of the factor
    on haematoxylin and on eosin (0 = off); light: of the added optical density.
    """

    geometric: bool = False
    stain: float = Field(default=0.0, ge=0, le=0.5)
    light: float = Field(default=0.0, ge=0, le=0.5)


class DataConfig(Frozen):
    """What one row is: prompt, answer and tiles.

    prompt: id of a shipped prompt, or any id beside `prompt_text`; keys: fields in answer order;
    images: per prompt; tiles: per patient and epoch; choice: ``random`` draws them anew in each
    epoch from all tiles of the patient, ``first`` takes the first selected ones of the manifest;
    validation_tiles: per patient, evenly spread and always the same; max_length: tokens of a row,
    a longer one is an error, nothing is cut off; quantity: what stands behind ``til_fraction``,
    by default that of the cohort's ``labels.json``; cut_points: between the classes of
    ``til_density``, by default those of ``labels.json``, else where the training labels are cut.
    """

    prompt: str = "card-v1"
    prompt_text: str | None = None
    format: Layout = "indented"
    decimals: int = Field(default=2, ge=2, le=3)
    keys: tuple[str, ...] = tuple(FIELD_VALUES)
    images: int = Field(default=1, ge=1, le=16)
    tiles: int = Field(default=4, ge=1, le=1024)
    choice: Literal["random", "first"] = "random"
    validation_tiles: int = Field(default=4, ge=1, le=1024)
    augment: AugmentConfig = AugmentConfig()
    max_length: int = Field(default=2048, ge=16, le=131_072)
    quantity: str = UNDECLARED
    cut_points: CutPoints | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        if not self.keys or len(set(self.keys)) != len(self.keys):
            raise ValueError("keys: name at least one field, and none twice")
        wrong = [key for key in self.keys if key not in FIELD_VALUES]
        if wrong:
            raise ValueError(f"keys: {wrong[0]!r} is not one of {', '.join(FIELD_VALUES)}")
        if self.prompt_text is None and self.prompt not in PROMPTS:
            raise ValueError(
                f"prompt {self.prompt!r} is not shipped ({', '.join(PROMPTS)}); give prompt_text"
            )
        return self

    @property
    def the_prompt(self) -> Prompt:
        """Return the prompt with its text."""
        if self.prompt_text is None:
            return PROMPTS[self.prompt]
        return Prompt(id=self.prompt, text=self.prompt_text, origin="training configuration")


class LoraSettings(Frozen):
    """Which layers are adapted and how; method ``full`` trains the whole model without LoRA."""

    method: Literal["lora", "full"] = "lora"
    targets: Targets = "all_linear"
    rank: int = Field(default=16, ge=1, le=512)
    alpha: int = Field(default=16, ge=1, le=1024)
    dropout: Share = 0.05


class OptimConfig(Frozen):
    """The optimizer's schedule. `batch` rows per forward pass, `accumulation` passes per step."""

    lr: float = Field(default=1e-4, gt=0, le=1)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: Share = 0.03
    weight_decay: Share = 0.01
    max_grad_norm: float = Field(default=1.0, gt=0)
    epochs: int = Field(default=3, ge=1, le=10_000)
    batch: int = Field(default=1, ge=1, le=1024)
    accumulation: int = Field(default=8, ge=1, le=1024)


class LossConfig(Frozen):
    """What the loss is a mean of.

    ``tokens``: every token of the answer counts alike, so that most of the gradient goes into
    braces and digits. ``fields``: the loss of a row is the weighted mean of its fields' negative
    log-likelihoods. weights: by field, 1 where nothing is said; digit_decay: factor per further
    decimal of a number; skeleton: weight of every token between the values, which are soon learned.
    """

    kind: Literal["fields", "tokens"] = "fields"
    weights: dict[str, Weight] = Field(default_factory=dict)
    digit_decay: Share = 0.3
    skeleton: Weight = 0.1

    @model_validator(mode="after")
    def _known(self) -> Self:
        wrong = [key for key in self.weights if key not in FIELD_VALUES]
        if wrong:
            raise ValueError(f"weights: {wrong[0]!r} is not one of {', '.join(FIELD_VALUES)}")
        if self.kind == "tokens" and self.weights:
            raise ValueError("weights need kind: fields")
        return self


class RunConfig(Frozen):
    """Where and how it runs.

    device: another GPU than the first is chosen with ``CUDA_VISIBLE_DEVICES``.
    every: steps between two validations, each with a resumable state; patience: validations
    without a better loss before training stops (0 = never); keep: states kept beside the best;
    log: steps between two rows of the metrics; cache_mb: decoded tiles kept in memory.
    """

    seed: int = Field(default=0, ge=0, lt=2**31)
    device: Literal["auto", "cpu", "cuda:0"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    quant: Literal["none", "nf4"] = "none"
    gradient_checkpointing: bool = False
    every: int = Field(default=50, ge=1)
    patience: int = Field(default=0, ge=0)
    keep: int = Field(default=2, ge=2, le=100)
    log: int = Field(default=10, ge=1)
    workers: int = Field(default=0, ge=0, le=64)
    cache_mb: int = Field(default=1024, ge=0)
    threads: int = Field(default=0, ge=0, le=256)


class TrainConfig(Frozen):
    """A training run. base: hub id or folder; cohort: folder with samples and tiles; out: new
    folder; preset: which one the rest was filled up from, for the record."""

    preset: str = "default"
    base: str
    cohort: Path
    out: Path
    data: DataConfig = DataConfig()
    lora: LoraSettings = LoraSettings()
    optim: OptimConfig = OptimConfig()
    loss: LossConfig = LossConfig()
    run: RunConfig = RunConfig()

    def identity(self) -> dict[str, Any]:
        """Return what must be equal for a run to go on: all but places and speed.

        The cohort is compared by its digests, wherever its folder lies.
        """
        found = self.model_dump(mode="json", exclude={"out", "cohort"})
        for name in ("workers", "cache_mb", "keep", "device"):
            found["run"].pop(name)
        return found


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `under` with what `over` says instead, section by section."""
    found = dict(under)
    for key, value in over.items():
        below = found.get(key)
        nested = isinstance(value, Mapping) and isinstance(below, Mapping)
        found[key] = merged(below, value) if nested else value  # type: ignore[arg-type]
    return found
