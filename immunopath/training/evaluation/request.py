"""What ``immunopath evaluate`` is asked for and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from immunopath.models.protocols import EngineInfo
from immunopath.training.evaluation.baselines import CONSTANT, FITTED
from immunopath.training.evaluation.evaluate import Evaluation
from immunopath.training.evaluation.resample import DEFAULT, Plan
from immunopath.training.evaluation.runner import Notify
from immunopath.training.predictions import PredictionSet
from immunopath.training.samples import Split
from immunopath.training.tile_source import Control

MAIN: Final = "predictor"
WITHOUT_IMAGE: Final = (CONSTANT, *FITTED)
"""Predictors by name that look at no image: to be put through the same command."""


@dataclass(frozen=True)
class Request:
    """What the command line asks for.

    predictor: an engine string, one of `WITHOUT_IMAGE`, or None when its answers come from a file;
    controls: of ``blank`` and ``shuffled``; engines and files: further sets by name, files also the
    predictor's own under `MAIN`; free_texts: how many patients are asked without a forced answer
    too; external: the caller's word that the checkpoint never saw these patients or their sites;
    checkpoint: folder that the validation is written to, default that of the engine.
    """

    cohort: Path
    out: Path
    predictor: str | None = None
    split: Split = "test"
    controls: tuple[Control, ...] = ()
    engines: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, Path], ...] = ()
    device: str = "cpu"
    free_texts: int = 0
    external: bool = False
    checkpoint: Path | None = None
    plan: Plan = DEFAULT
    notify: Notify = field(default=lambda _: None)


@dataclass(frozen=True)
class Asked:
    """Sets of answers by name, and of the predictor's engine what it is and where its card goes.

    failed: why a baseline's engine gave no answers, by name.
    """

    sets: dict[str, PredictionSet]
    info: EngineInfo | None = None
    validation: Path | None = None
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """The evaluation, the sets of answers behind it, and where the validation was written."""

    evaluation: Evaluation
    sets: dict[str, PredictionSet]
    validation: Path | None
    why_no_validation: str = ""
