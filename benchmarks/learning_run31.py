"""The published run's preset on a base that knows its prompt and layout: does it collapse here?

The base of the main figures never saw the run's prompt and indented answers. Here it practises
them first, with random answers to two random fields, so that only the link between image and answer
is missing, as in MedGemma. Then the ``run-v3.1`` preset adapts it, and variants that change
what our own recipe does otherwise, one thing at a time and together.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from learning_base import COUNT, COUNTS, MAPS, BaseRun, Task, train_base
from learning_figures import detail, figures
from learning_texts import Seen
from synthetic_bench import Clock

from immunopath.domain.prediction import FIELD_VALUES
from immunopath.imaging.tile_manifest import read_tiles
from immunopath.models.foundation.decoding.answer import AnswerFormat
from immunopath.models.foundation.medgemma.prompts import CANCER_TYPES, prompt_of
from immunopath.models.protocols import AsksHistology
from immunopath.models.registry import build_engine, close_engine
from immunopath.models.spec import EngineSpec
from immunopath.training.evaluation.evaluate import Evaluation
from immunopath.training.evaluation.run import Request, run
from immunopath.training.evaluation.runner import HISTOLOGIES
from immunopath.training.lora.config import merged
from immunopath.training.lora.config_file import make_config
from immunopath.training.lora.metrics import read_metrics
from immunopath.training.lora.run import TrainedCheckpoint, train
from immunopath.training.samples import SAMPLES, TILES, Sample, read_samples
from immunopath.training.synthetic.cohort import CohortSettings
from immunopath.training.tile_source import PatientTiles, selected_tiles

RUN_PROMPT: Final = prompt_of("v3.1-run")
RUN_FORMAT: Final = AnswerFormat(layout="indented", decimals=3)


def random_run_answer(rng: np.random.Generator, _: Sequence[Seen]) -> str:
    """Return an answer in the run's layout that says nothing: every value drawn at random."""
    literals = [
        repr(round(float(rng.random()), RUN_FORMAT.decimals))
        if RUN_FORMAT.is_number(key)
        else str(rng.choice(RUN_FORMAT.literals(key)))
        for key in RUN_FORMAT.keys
    ]
    return RUN_FORMAT.render(literals)


def both_counts(_: np.random.Generator, fields: Sequence[Seen]) -> str:
    """Return the counts of all fields of a row together."""
    mean = replace(
        fields[0],
        share=float(np.mean([field.share for field in fields])),
        inside_share=float(np.mean([field.inside_share for field in fields])),
    )
    return mean.count_text()


ANSWERS: Final = tuple(
    Task(f"v3.1-run {name}", RUN_PROMPT.filled(words), random_run_answer, images=2, share=0.5)
    for name, words in CANCER_TYPES.items()
)
TASKS: Final = (
    MAPS, ANSWERS[0], Task("both counted", COUNT, both_counts, images=2), ANSWERS[1], COUNTS,
    ANSWERS[0], MAPS, ANSWERS[1],
)  # fmt: skip
PRACTICE: Final = BaseRun(fields=800, steps=208, rate=1e-3, seed=9002)

HERE: Final[dict[str, Any]] = {
    "run": {"quant": "none", "dtype": "float32", "gradient_checkpointing": False}
}
RATE: Final[dict[str, Any]] = {"optim": {"lr": 3e-3, "max_grad_norm": 1.0}}
LONGER: Final[dict[str, Any]] = {"optim": {"epochs": 8}}
FIELDS: Final[dict[str, Any]] = {"loss": {"kind": "fields", "weights": {"immune_phenotype": 3}}}
DRAWN: Final[dict[str, Any]] = {
    "data": {
        "choice": "random", "tiles": 4,
        "augment": {"geometric": True, "stain": 0.03, "light": 0.01},
    }
}  # fmt: skip
VARIANTS: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    "rate": (RATE,),
    "fields": (FIELDS,),
    "tiles": (DRAWN,),
    "rate_fields": (RATE, FIELDS),
    "rate_fields_tiles": (RATE, FIELDS, DRAWN),
    "rate_fields_tiles_longer": (RATE, FIELDS, DRAWN, LONGER),
}
"""What differs from the preset: the learning rate of our recipe (and its clipping), its loss by
field, its random and altered tiles (twice the rows), its number of epochs."""
SHOWN: Final = ("rate",)
"""Variants that every run of the benchmark makes; the others are asked for, see its options."""
READ_PATIENTS: Final = 40
"""Test patients whose raw readings are summed up; the figures are over all of them."""


def practised_base(base: Path, out: Path, run: BaseRun, like: CohortSettings) -> dict[str, float]:
    """Train the base further until it writes the run's layout; returns the losses by task.

    like: settings of the cohort; the fields are those of other patients (`PRACTICE.seed`).
    """
    return train_base(base, out, run, like, TASKS)


def adapt(folder: Path, name: str, changes: Sequence[Mapping[str, Any]]) -> TrainedCheckpoint:
    """Run the ``run-v3.1`` preset with changes; of itself only what a CPU without NF4 cannot do."""
    found: dict[str, Any] = {
        "preset": "run-v3.1",
        "base": str(folder / "base31"),
        "cohort": str(folder / "cohort"),
        "out": str(folder / name),
    }
    for change in (HERE, *changes):
        found = merged(found, change)
    return train(make_config(found))


def readings(engine: str, cohort: Path) -> dict[str, dict[str, float | None]]:
    """Return by field what lies behind the answers of the first test patients.

    allowed: mean share of probability on the allowed values; entropy: mean entropy of the table of
    a class field in nats, and uniform_entropy that of an even one; None without any table.
    """
    everybody = read_samples(cohort / SAMPLES)
    samples = [s for s in everybody if s.split == "test"]
    tiles = selected_tiles(cohort, everybody, read_tiles(cohort / TILES))
    built = cast("AsksHistology", build_engine("predictor", EngineSpec.parse(engine), "cpu"))
    try:
        profiles = [
            built.predict_for(
                PatientTiles(cohort, tiles[s.patient_id]), HISTOLOGIES.get(s.cancer_type)
            ).result.profile
            for s in samples[:READ_PATIENTS]
        ]
    finally:
        close_engine(built)
    made: dict[str, dict[str, float | None]] = {}
    for name, values in FIELD_VALUES.items():
        fields = [dict(profile.items())[name] for profile in profiles]
        off = [f.off_schema_mass for f in fields if f.off_schema_mass is not None]
        made[name] = {"allowed": round(1 - float(np.mean(off)), 4) if off else None}
        if values is not None:
            tables = [f.probabilities for f in fields if f.probabilities]
            found = [-sum(p * math.log(p) for p in t.values() if p > 0) for t in tables]
            made[name]["entropy"] = round(float(np.mean(found)), 4) if found else None
            made[name]["uniform_entropy"] = round(math.log(len(values)), 4)
    return made


def marginal_nats(samples: Sequence[Sample]) -> dict[str, float]:
    """Return by field the mean negative log-likelihood of validation labels that the shares of the
    training labels alone reach: what a model knows that never looks.

    Numbers: shares of tenths, even over the hundred values of one. Every value counts one more.
    """
    made = {}
    for name, values in FIELD_VALUES.items():

        def kind(sample: Sample, name: str = name, values: object = values) -> object:
            label = sample.labels.get(name)
            return label if values is not None or label is None else min(9, int(float(label) * 10))

        seen = Counter(kind(s) for s in samples if s.split == "train")
        asked = [kind(s) for s in samples if s.split == "val"]
        kinds = 10 if values is None else len(values)
        known = sum(count for label, count in seen.items() if label is not None) + kinds
        within = math.log(100) if values is None else 0.0
        found = [within - math.log((seen[a] + 1) / known) for a in asked if a is not None]
        if found:
            made[name] = round(float(np.mean(found)), 3)
    return made


def nats(made: TrainedCheckpoint) -> dict[str, float]:
    """Return by field, and for the skeleton, the validation loss in nats of the weights kept."""
    rows = [row for row in read_metrics(made.metrics) if row["split"] == "val"]
    kept = next((row for row in rows if int(row["step"]) == made.best_step), rows[-1])
    return {
        name.removeprefix("nll_"): round(float(value), 3)
        for name, value in kept.items()
        if name.startswith("nll_") and value
    }


@dataclass(frozen=True)
class Variant:
    """An adapter and what was found of it."""

    made: TrainedCheckpoint
    evaluation: Evaluation
    readings: dict[str, dict[str, float | None]]

    def summary(self) -> dict[str, Any]:
        """Return figures, answers, alarm, readings and losses, ready for JSON."""
        fields = self.evaluation.main.fields
        return {
            **figures(self.evaluation, None, ""),
            **figures(self.evaluation, "blank", "blank_"),
            "steps": self.made.steps,
            "best_step": self.made.best_step,
            "nats": nats(self.made),
            "readings": self.readings,
            "answered": {name: found.answered for name, found in fields.items()},
            "calls": {name: found.calls for name, found in fields.items() if found.calls},
            "alarm": self.evaluation.alarm.model_dump(mode="json"),
            "detail": detail(self.evaluation, None),
        }


def try_variant(folder: Path, name: str, changes: Sequence[Mapping[str, Any]]) -> Variant:
    """Adapt, evaluate with white tiles beside, and read what lies behind the answers."""
    made = adapt(folder, name, changes)
    request = Request(
        cohort=folder / "cohort",
        out=folder / f"evaluation-{name}",
        predictor=made.engine,
        controls=("blank",),
    )
    return Variant(made, run(request).evaluation, readings(made.engine, folder / "cohort"))


def report(
    folder: Path, practice: BaseRun, like: CohortSettings, names: Sequence[str], clock: Clock
) -> dict[str, Any]:
    """Return the figures of the preset (``run31_``), and what lies behind them and its variants."""
    losses = practised_base(folder / "base", folder / "base31", practice, like)
    clock.mark("run31_base")
    preset = try_variant(folder, "run31", ())
    clock.mark("run31")
    variants = {}
    for name in names:
        variants[name] = try_variant(folder, f"run31-{name}", VARIANTS[name]).summary()
        clock.mark(f"run31_{name}")
    samples = read_samples(folder / "cohort" / SAMPLES)
    return {
        **figures(preset.evaluation, None, "run31_"),
        **figures(preset.evaluation, "blank", "run31_blank_"),
        "run31": {
            **preset.summary(),
            "val_loss": preset.made.val_loss,
            "base_losses": losses,
            "marginal_nats": marginal_nats(samples),
            "variants": variants,
        },
    }
