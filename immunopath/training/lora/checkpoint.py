"""The checkpoint that a run leaves: weights, and ``immunopath.json`` that says how to ask them."""
# ruff: noqa: ANN401 - models, batches and trainers have no types of their own

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from immunopath.domain.files import write_text
from immunopath.domain.prediction import EngineCaution
from immunopath.models.foundation.medgemma.adapter import CONFIG as ADAPTER_CONFIG
from immunopath.models.foundation.medgemma.gemma import Gemma
from immunopath.models.foundation.medgemma.record import (
    CheckpointRecord,
    TrainingFacts,
    write_record,
)
from immunopath.models.foundation.weights import Weights
from immunopath.training.lora.cohort import TrainingCohort
from immunopath.training.lora.config import DataConfig, TrainConfig
from immunopath.training.lora.manifest import cohort_digests, versions

LABEL_CONSTANTS: Final = "labels.json"
SYNTHETIC: Final = EngineCaution(
    code="TRAINED_ON_SYNTHETIC_FIELDS",
    severity="serious",
    message="The checkpoint was trained on rendered fields whose truth is set, not on tissue.",
    action="Use it to test the way of training; read no value of it as evidence for a patient.",
)


@dataclass(frozen=True)
class Session:
    """What a run works with."""

    config: TrainConfig
    cohort: TrainingCohort
    gemma: Gemma

    @property
    def data(self) -> DataConfig:
        """The rows' settings, without the keys that no training patient knows."""
        return self.config.data.model_copy(update={"keys": self.cohort.keys})


def save_checkpoint(session: Session, trainer: Any, folder: Path) -> CheckpointRecord:
    """Write weights and record into `folder`, which appears whole or not at all."""
    temporary = folder.with_name(f".{folder.name}.part")
    temporary.mkdir(parents=True, exist_ok=True)
    trainer._save(str(temporary))
    (temporary / "README.md").unlink(missing_ok=True)  # peft's empty model card
    base = session.gemma.weights
    if session.config.lora.method == "lora":
        _name_base(temporary / ADAPTER_CONFIG, base)
    else:
        session.gemma.processor.save_pretrained(temporary)
    record = record_of(session, trainer.state)
    write_record(record, temporary)
    temporary.rename(folder)
    return record


def record_of(session: Session, state: Any) -> CheckpointRecord:
    """Return how the checkpoint is to be asked, and what it was trained on."""
    config, cohort, base = session.config, session.cohort, session.gemma.weights
    data = session.data
    facts = TrainingFacts(
        preset=config.preset,
        base_digest=base.digest,
        versions=versions(),
        cohort_digests=cohort_digests(config.cohort),
        origins=dict(cohort.origins),
        patients={"train": len(cohort.train), "val": len(cohort.val)},
        seed=config.run.seed,
        steps=state.global_step,
        best_step=state.best_global_step if cohort.val else None,
        val_loss=state.best_metric if cohort.val else None,
        label_constants=label_constants(config.cohort),
    )
    return CheckpointRecord(
        base=base.repo_id,
        prompt=data.prompt,
        prompt_text=data.prompt_text,
        images=data.images,
        format=data.format,
        keys=data.keys,
        decimals=data.decimals,
        quantity=data.quantity,
        cut_points=data.cut_points,
        mpp=cohort.mpp,
        patch_px=cohort.patch_px,
        cautions=(SYNTHETIC,) if "synthetic" in cohort.origins else (),
        training=facts,
    )


def label_constants(folder: Path) -> dict[str, Any] | None:
    """Return the constants that the cohort's labels were made with, if they lie beside it."""
    path = folder / LABEL_CONSTANTS
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def _name_base(path: Path, base: Weights) -> None:
    """Name the base by hub id, or not at all: a folder of this machine says nothing elsewhere."""
    settings = json.loads(path.read_text("utf-8"))
    settings["base_model_name_or_path"] = base.repo_id
    settings["revision"] = base.revision
    if isinstance(settings["target_modules"], list):
        settings["target_modules"].sort()  # peft holds a set: equal runs, equal bytes
    write_text(path, json.dumps(settings, indent=2, sort_keys=True) + "\n")
