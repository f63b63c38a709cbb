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
    UNDECLARED,
    CheckpointRecord,
    TrainingFacts,
    write_record,
)
from immunopath.models.foundation.weights import Weights
from immunopath.training.lora.cohort import TrainingCohort
from immunopath.training.lora.config import DataConfig, TrainConfig
from immunopath.training.lora.manifest import versions
from immunopath.training.mil.targets import cut_points_of
from immunopath.training.seen import seen_of

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
    cohort, data = session.cohort, session.data
    quantity = data.quantity
    if quantity == UNDECLARED and cohort.recipe is not None:
        quantity = cohort.recipe.quantity.value
    return CheckpointRecord(
        base=session.gemma.weights.repo_id,
        prompt=data.prompt,
        prompt_text=data.prompt_text,
        images=data.images,
        format=data.format,
        keys=data.keys,
        decimals=data.decimals,
        quantity=quantity,
        cut_points=data.cut_points
        or cut_points_of([p.sample for p in cohort.train], cohort.recipe),
        mpp=cohort.mpp,
        patch_px=cohort.patch_px,
        cautions=(SYNTHETIC,) if "synthetic" in cohort.origins else (),
        training=_facts(session, state),
    )


def _facts(session: Session, state: Any) -> TrainingFacts:
    config, cohort = session.config, session.cohort
    return TrainingFacts(
        preset=config.preset,
        base_digest=session.gemma.weights.digest,
        versions=versions(),
        cohort_digests=dict(cohort.tables),
        origins=dict(cohort.origins),
        patients={"train": len(cohort.train), "val": len(cohort.val)},
        seen=seen_of([p.sample for p in cohort.train], [p.sample for p in cohort.val]),
        seed=config.run.seed,
        steps=state.global_step,
        best_step=state.best_global_step if cohort.val else None,
        val_loss=state.best_metric if cohort.val else None,
        label_constants=cohort.constants,
    )


def _name_base(path: Path, base: Weights) -> None:
    """Name the base by hub id, or not at all: a folder of this machine says nothing elsewhere."""
    settings = json.loads(path.read_text("utf-8"))
    settings["base_model_name_or_path"] = base.repo_id
    settings["revision"] = base.revision
    if isinstance(settings["target_modules"], list):
        settings["target_modules"].sort()  # peft holds a set: equal runs, equal bytes
    write_text(path, json.dumps(settings, indent=2, sort_keys=True) + "\n")
