"""What a checkpoint was trained with: the file ``immunopath.json`` beside its weights.

Asked with another prompt, another number of images or another answer format, a fine-tuned model
still answers, and wrongly. So the record travels with the weights, and a checkpoint without one is
refused unless the user says prompt and format.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from immunopath.domain.base import Frozen, first_fault
from immunopath.domain.errors import EngineSpecError, RecordMissing
from immunopath.domain.files import write_text
from immunopath.domain.json_file import JsonFile
from immunopath.domain.prediction import FIELD_VALUES, CutPoints, EngineCaution
from immunopath.models.foundation.decoding.answer import AnswerFormat, Layout
from immunopath.models.foundation.medgemma.prompts import CARD, PROMPTS, Prompt, prompt_of
from immunopath.models.seen import Seen

FILE: Final = "immunopath.json"
UNDECLARED: Final = "undeclared"


class TrainingFacts(Frozen):
    """What a checkpoint of ``immunopath train`` was made of; the run's own files say more.

    base_digest: of the base weights' files; cohort_digests: SHA-256 of the tables of samples and
    tiles; origins: patients by origin of their labels; seen: whom it was made from;
    label_constants: what turned expression into labels, verbatim.
    """

    preset: str
    base_digest: str
    versions: dict[str, str]
    cohort_digests: dict[str, str]
    origins: dict[str, int]
    patients: dict[str, int]
    seen: Seen | None = None
    seed: int
    steps: int
    best_step: int | None = None
    val_loss: float | None = None
    label_constants: dict[str, Any] | None = None


class CheckpointRecord(Frozen):
    """The contract of one checkpoint.

    prompt: id of a shipped prompt, or any id when `prompt_text` holds the text; prompt_digest:
    checked against the text; images: per prompt; keys: answer order, a subset of the eight fields;
    decimals: of numbers; quantity: what stands behind ``til_fraction``; mpp (µm per pixel) and
    patch_px: of the patches; base: hub id of the model under the adapter; training: how it was
    made, None for a checkpoint that ``immunopath train`` did not make.
    """

    schema_version: Literal[1] = 1
    base: str | None = None
    prompt: str
    prompt_text: str | None = None
    prompt_digest: str | None = None
    images: int = Field(ge=1, le=16)
    format: Layout
    keys: tuple[str, ...] = tuple(FIELD_VALUES)
    decimals: int = Field(default=3, ge=2, le=3)
    quantity: str = UNDECLARED
    cut_points: CutPoints | None = None
    mpp: float = Field(default=0.5, gt=0.01, lt=32)
    patch_px: int = Field(default=512, ge=16, le=8192)
    cautions: tuple[EngineCaution, ...] = ()
    training: TrainingFacts | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        unknown = [key for key in self.keys if key not in FIELD_VALUES]
        if unknown or not self.keys or len(set(self.keys)) != len(self.keys):
            raise ValueError(f"keys must be different fields of {', '.join(FIELD_VALUES)}")
        if self.prompt_text is None and self.prompt not in PROMPTS:
            raise ValueError(f"prompt {self.prompt!r} is not shipped and no prompt_text is given")
        if self.prompt_digest is not None and self.prompt_digest != self.the_prompt.digest:
            raise ValueError(f"prompt {self.prompt!r} is not the one that prompt_digest names")
        return self

    @property
    def the_prompt(self) -> Prompt:
        """Return the prompt with its text."""
        if self.prompt_text is None:
            return PROMPTS[self.prompt]
        return Prompt(id=self.prompt, text=self.prompt_text, origin="checkpoint record")

    @property
    def answer(self) -> AnswerFormat:
        """Return the form that answers are decoded in."""
        return AnswerFormat(layout=self.format, keys=self.keys, decimals=self.decimals)


_FILE = JsonFile(CheckpointRecord, f"an {FILE}", whole="record", error=RecordMissing)


def read_record(path: Path) -> CheckpointRecord:
    """Return the record in a file; raises `RecordMissing` naming the file and the key."""
    return _FILE.read(path)


def write_record(record: CheckpointRecord, folder: Path) -> Path:
    """Write ``immunopath.json`` into a checkpoint's folder, with the prompt's digest.

    Raises `OutputError`.
    """
    sealed = record.model_copy(update={"prompt_digest": record.the_prompt.digest})
    path = folder / FILE
    write_text(path, sealed.model_dump_json(indent=2) + "\n")
    return path


ZERO_SHOT: Final = CheckpointRecord(
    prompt=CARD.id,
    images=1,
    format="indented",
    cautions=(
        EngineCaution(
            code="ZERO_SHOT_MODEL",
            severity="serious",
            message="The predictor has no adapter: this model was not trained for the eight fields "
            "and nothing is known of what its answers are worth.",
            action="Read its values as a demonstration; load an adapter with 'adapter='.",
        ),
    ),
)
"""How a model without adapter and record is asked."""

OVERRIDES: Final = ("prompt", "format", "images", "mpp", "px")
"""Options of the engine string that replace what a record says."""


def overridden(record: CheckpointRecord, options: Mapping[str, str]) -> CheckpointRecord:
    """Return the record with what the engine string says instead, and a caution that it does.

    Raises `EngineSpecError` for values that make no record.
    """
    given = {key: options[key] for key in OVERRIDES if key in options}
    if not given:
        return record
    values = record.model_dump() | {"patch_px" if k == "px" else k: v for k, v in given.items()}
    if "prompt" in given:
        values |= {"prompt": prompt_of(given["prompt"]).id, "prompt_text": None}
        values["prompt_digest"] = None
    try:
        changed = CheckpointRecord.model_validate(values)
    except ValidationError as error:
        fault = first_fault(error, "options")
        raise EngineSpecError(
            f"{fault.replace('patch_px:', 'px:', 1)}; give another value or leave it out"
        ) from error
    trained = [k for k in given if _value(record, k) != _value(changed, k)]
    if not trained or record is ZERO_SHOT:
        return changed
    caution = EngineCaution(
        code="ASKED_OTHERWISE_THAN_TRAINED",
        severity="caution",
        message=f"The checkpoint's record says otherwise than the engine string on "
        f"{', '.join(trained)}.",
        action="Leave these options out unless the difference is what you study.",
    )
    return changed.model_copy(update={"cautions": (*changed.cautions, caution)})


def _value(record: CheckpointRecord, key: str) -> object:
    return getattr(record, "patch_px" if key == "px" else key)


def record_from_options(options: Mapping[str, str], who: str) -> CheckpointRecord:
    """Return a record made of the engine string alone.

    Raises `RecordMissing` unless it gives prompt and format.
    """
    if not {"prompt", "format"} <= set(options):
        raise RecordMissing(
            f"{who}: has no {FILE} that says which prompt and answer format it was trained with; "
            f"add one, or give prompt= ({', '.join(PROMPTS)}) and format= (indented, single_line, "
            "compact), or record= with a file"
        )
    bare = CheckpointRecord(prompt=prompt_of(options["prompt"]).id, images=1, format="indented")
    plain = overridden(bare, options)
    caution = EngineCaution(
        code="RECORD_BY_USER",
        severity="caution",
        message="Prompt and answer format of the checkpoint come from the engine string, not from "
        "a record of its training; its quantities and cut points are not known.",
        action=f"Put an {FILE} beside the weights.",
    )
    return plain.model_copy(update={"cautions": (caution,)})
