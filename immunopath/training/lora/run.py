"""One training run: from a configuration to a checkpoint that the product's engine loads."""
# ruff: noqa: ANN401 - models, batches and trainers have no types of their own

import math
import os
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from immunopath.domain.errors import CaseFileError, EngineUnavailable, OutputError
from immunopath.domain.files import require_place
from immunopath.domain.words import counted
from immunopath.models.foundation.hf_loading import transformers
from immunopath.models.foundation.medgemma.gemma import load_gemma
from immunopath.models.foundation.medgemma.lora import lora_settings
from immunopath.models.foundation.medgemma.record import CheckpointRecord
from immunopath.models.foundation.precision import Precision, choose_precision, quiet_bitsandbytes
from immunopath.models.foundation.weights import resolve_weights
from immunopath.models.torchvision_guard import guard_torchvision
from immunopath.training.lora.checkpoint import Session, save_checkpoint
from immunopath.training.lora.cohort import checked_cohort
from immunopath.training.lora.config import LoraSettings, TrainConfig
from immunopath.training.lora.dataset import Collator, RowMaker, TrainRows, ValidationRows
from immunopath.training.lora.loss import enable_checkpointing
from immunopath.training.lora.manifest import (
    FILE,
    Clock,
    begin_manifest,
    check_same_run,
    end_manifest,
)
from immunopath.training.lora.metrics import MetricsTable
from immunopath.training.lora.pixels import TilePixels
from immunopath.training.lora.schedule import TrainSchedule
from immunopath.training.lora.trainer import (
    Feed,
    arguments,
    last_state,
    out_of_patience,
    step_of,
)

METRICS: Final = "metrics.csv"
STATES: Final = "states"
CHECKPOINT: Final = "checkpoint"


@dataclass(frozen=True)
class TrainedCheckpoint:
    """What a run made.

    folder: of the adapter (or of the model, method ``full``) with its ``immunopath.json``; base:
    what it was trained on; steps: done; best_step and val_loss: of the weights that were kept,
    None without validation patients; stopped_early: whether patience ran out.
    """

    folder: Path
    base: str
    record: CheckpointRecord
    metrics: Path
    steps: int
    best_step: int | None
    val_loss: float | None
    stopped_early: bool
    adapter: bool = True

    @property
    def engine(self) -> str:
        """The engine string of the trained predictor."""
        if self.adapter:
            return f"medgemma:{self.base},adapter={self.folder}"
        return f"medgemma:{self.folder}"


def train(
    config: TrainConfig, *, resume: bool = False, notify: Callable[[str], None] = lambda _: None
) -> TrainedCheckpoint:
    """Train as `config` says and return the checkpoint.

    resume: go on from the last whole state in `config.out`; the same configuration on the same
    machine then gives the same losses and weights as a run that was never stopped. notify: takes
    lines of progress. Everything that can be wrong with configuration and cohort is said before
    the weights are loaded: raises `CaseFileError`, `OutputError`, and what loading raises.
    """
    quiet_bitsandbytes()
    with warnings.catch_warnings():  # names that transformers 6 will have
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers\.")
        return _train(config, resume, notify)


def _train(config: TrainConfig, resume: bool, notify: Callable[[str], None]) -> TrainedCheckpoint:
    clock = Clock()
    _check_place(config, resume=resume)
    cohort = checked_cohort(config)
    device = _device(config)
    precision = _precision(config, device)
    base = resolve_weights(config.base)
    if resume:
        check_same_run(config, cohort, base)
    clock.mark("prepared")
    _seed(config)
    session = Session(config, cohort, load_gemma(base, precision, device))
    notify(cohort.summary)
    trainer = _trainer(session, notify)
    clock.mark("loaded")
    state = last_state(config.out / STATES)
    part = {"started": clock.started, "from_step": 0 if state is None else step_of(state)}
    begin_manifest(config, cohort, session.gemma, part)
    _go_on(trainer, state, config.run.patience)
    clock.mark("trained")
    return _finish(session, trainer, clock)


def _go_on(trainer: Any, state: Path | None, patience: int) -> None:
    """Train to the end, unless the run had ended and only its checkpoint was not yet written."""
    if state is not None:
        found = transformers().TrainerState.load_from_json(str(state / "trainer_state.json"))
        if out_of_patience(found.log_history, patience):
            trainer.state = found
            trainer._load_best_model()
            return
    trainer.train(resume_from_checkpoint=None if state is None else str(state))


def _check_place(config: TrainConfig, *, resume: bool) -> None:
    """Raise `OutputError` for a folder that is in the way, or that holds nothing to resume."""
    out = config.out
    if resume and not (out / FILE).is_file():
        raise OutputError(f"{out}: holds no run to resume; start it without --resume")
    if not resume and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out}: is not empty; add --resume to go on, or name another folder")
    require_place(out / FILE)


def _device(config: TrainConfig) -> str:
    import torch

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise EngineUnavailable(
            "training runs in one process on one GPU; start it without a launcher, and choose the "
            "GPU with CUDA_VISIBLE_DEVICES"
        )
    if config.run.threads:
        torch.set_num_threads(config.run.threads)
    if config.run.device != "auto":
        return config.run.device
    return "cuda:0" if torch.cuda.is_available() else "cpu"


def _precision(config: TrainConfig, device: str) -> Precision:
    run = config.run
    options = {"quant": run.quant} | ({} if run.dtype == "auto" else {"dtype": run.dtype})
    return choose_precision(options, device)


def _seed(config: TrainConfig) -> None:
    transformers().set_seed(config.run.seed)


def tuned(model: Any, settings: LoraSettings) -> Any:
    """Return the model with what is trained: fresh LoRA layers in float32, or all of it."""
    guard_torchvision()
    from peft import get_peft_model

    if settings.method == "full":
        return model.requires_grad_(requires_grad=True)
    return get_peft_model(
        model,
        lora_settings(
            settings.targets, rank=settings.rank, alpha=settings.alpha, dropout=settings.dropout
        ),
    )


def _feed(session: Session) -> tuple[Feed, int]:
    """Return the rows, every one encoded once as a check, and how many an epoch has."""
    config, cohort, gemma, data = session.config, session.cohort, session.gemma, session.data
    maker = RowMaker(gemma, data, config.loss)
    pixels = TilePixels(gemma.processor.image_processor, config.run.cache_mb, cohort.digests)
    schedule = TrainSchedule(cohort.train, data, config.run.seed)
    train = TrainRows(schedule, config.optim.epochs, cohort.train, maker, pixels, data.augment)
    train.check(data.images)
    val = None
    if cohort.val:
        val = ValidationRows(data, cohort.val, maker, pixels, None)
        val.check(data.images)
    return Feed(train, val, Collator(int(gemma.tokenizer.pad_token_id))), schedule.rows


def _trainer(session: Session, notify: Callable[[str], None]) -> Any:
    from immunopath.training.lora.field_trainer import FieldTrainer, Pace, Reporting

    config, gemma = session.config, session.gemma
    feed, rows = _feed(session)
    model = tuned(gemma.model, config.lora)
    if config.run.gradient_checkpointing:
        enable_checkpointing(gemma.model)
    a_step = config.optim.batch * config.optim.accumulation
    _check_length(config, math.ceil(len(feed.train) / a_step))
    pace = Pace(rows, a_step, config.run.patience)
    trainer = FieldTrainer(
        model=model,
        args=arguments(config, config.out / STATES, gemma, validates=feed.val is not None),
        train_dataset=feed.train,
        eval_dataset=feed.val,
        data_collator=feed.collator,
        callbacks=[Reporting(MetricsTable(config.out / METRICS), pace, notify)],
    )
    trainer.remove_callback(transformers().PrinterCallback)
    return trainer


def _check_length(config: TrainConfig, steps: int) -> None:
    """Raise `CaseFileError` for a run that ends before its learning rate has risen."""
    warm = math.ceil(config.optim.warmup * steps)
    if warm >= steps:
        raise CaseFileError(
            f"the run has {counted(steps, 'step')} and optim.warmup takes {warm} of "
            "them, so nothing would be "
            "learned; give more epochs, a smaller batch or optim.warmup 0"
        )


def _finish(session: Session, trainer: Any, clock: Clock) -> TrainedCheckpoint:
    config, state = session.config, trainer.state
    folder = config.out / CHECKPOINT
    if folder.exists():
        shutil.rmtree(folder)
    record = save_checkpoint(session, trainer, folder)
    clock.mark("saved")
    best = state.best_metric if session.cohort.val else None
    made = TrainedCheckpoint(
        folder=folder,
        base=config.base,
        record=record,
        metrics=config.out / METRICS,
        steps=state.global_step,
        best_step=state.best_global_step if best is not None else None,
        val_loss=best,
        stopped_early=state.global_step < state.max_steps,
        adapter=config.lora.method == "lora",
    )
    end_manifest(config, made.steps, made.best_step, made.val_loss, clock)
    return made
