"""The attention-MIL head on a synthetic cohort: one JSON object, from nothing but this repository.

``python benchmarks/mil.py --json -``. One core: set OMP_NUM_THREADS=1. The cohort is that of
``benchmarks/learning.py``; every figure is taken on its test patients by ``immunopath evaluate``'s
own code. Synthetic: it proves the way, and says nothing about tissue.

Figures without prefix are those of the head; ``majority_`` is what training labels alone say,
``clinical_`` cancer type and site, ``blank_`` the head shown white tiles, ``shuffled_labels_`` a
head trained on labels dealt out anew among the training (and among the validation) patients, five
times. The noise curve trains on labels of rising noise over the same images: `til_spearman` against
the noisy labels of the test patients, `_clean` against those without noise, and `_of_clean_labels`
what the noise-free labels reach against the noisy ones: about the most that an image can give.
``in_the_large`` holds what the tables say of every class on average beside its share, over the test
patients of four divisions of the cohort.
"""

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import synthetic_bench
from benchmark_json import write_figures
from in_the_large import in_the_large, splits_anew
from synthetic_bench import COHORT, METRICS, MORE, Clock, working_folder

from immunopath.models.registry import build_engine
from immunopath.models.spec import EngineSpec
from immunopath.training.evaluation import baselines
from immunopath.training.evaluation.collect import collect
from immunopath.training.evaluation.score import Drawn, score
from immunopath.training.mil.cohort import read_cohort
from immunopath.training.mil.features import cohort_features
from immunopath.training.mil.predict import predict_cohort
from immunopath.training.mil.settings import MilSettings
from immunopath.training.mil.train import Means, make_plan, train_mil
from immunopath.training.predictions import FieldAnswer, PatientAnswer, PredictionSet
from immunopath.training.samples import SAMPLES, Sample, write_samples
from immunopath.training.synthetic import CAPTION
from immunopath.training.synthetic.cohort import CohortSettings, SyntheticCohort, make_cohort
from immunopath.training.synthetic.folder import write_cohort

NOISE = (0.0, 0.3, 0.6, 1.0, 1.5, 2.5)
SEED = 1
DEALS = 5
SPLITS = 4


@dataclass(frozen=True)
class Bench:
    """The folder that everything lies in, the cohort, and how heads are trained."""

    folder: Path
    cohort: CohortSettings
    settings: MilSettings

    @property
    def data(self) -> Path:
        """The cohort folder."""
        return self.folder / "cohort"

    @property
    def vectors(self) -> Path:
        """The file of vectors: all heads are trained on the same images."""
        return self.folder / "features.safetensors"


def figures(found: PredictionSet, truth: tuple[Sample, ...], prefix: str = "") -> dict[str, Any]:
    """Return every metric that can be taken; a constant's correlation is 0."""
    made: dict[str, Any] = {}
    for name, (field, metric) in (METRICS | MORE).items():
        data = collect(truth, found, field)
        estimate = score(Drawn(data)).metrics.get(metric)
        if estimate is not None:
            made[prefix + name] = round(estimate.value, 4)
            if metric == "spearman":
                made[f"{prefix}{name}_constant"] = estimate.constant
            if not prefix:
                bounds = (estimate.low, estimate.high)
                made[f"{name}_95"] = [None if v is None else round(v, 3) for v in bounds]
    return made


def test_patients(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
    return tuple(sample for sample in samples if sample.split == "test")


def clean_labels(cohort: SyntheticCohort) -> tuple[Sample, ...]:
    """Return the samples with the labels that they would have without noise."""
    truth = {own.patient_id: own.clean_labels for own in cohort.truths}
    return tuple(s.model_copy(update={"labels": truth[s.patient_id]}) for s in cohort.samples)


def dealt_out_anew(samples: tuple[Sample, ...], seed: int) -> list[Sample]:
    """Return the samples with labels permuted within train and within val."""
    rng = np.random.default_rng(seed)
    made = list(samples)
    for split in ("train", "val"):
        places = [i for i, sample in enumerate(samples) if sample.split == split]
        for place, source in zip(places, rng.permutation(places), strict=True):
            made[place] = made[place].model_copy(update={"labels": samples[source].labels})
    return made


def head_on(bench: Bench, samples: list[Sample], name: str, control: str = "none") -> PredictionSet:
    """Train a head on these labels of the same images; return its answers for the test split."""
    write_samples(bench.data / SAMPLES, samples)
    out = bench.folder / name
    if not out.is_dir():
        plan = make_plan(bench.data, "embedded", bench.settings)
        train_mil(plan, out, Means(features=bench.vectors))
    vectors = bench.vectors if control == "none" else None
    return predict_cohort(out, bench.data, "test", control=control, features=vectors)  # type: ignore[arg-type]


def shuffled_labels(bench: Bench, samples: tuple[Sample, ...]) -> dict[str, Any]:
    """Return means over several deals: one axis rules these images, so one deal's luck shows."""
    deals = [
        figures(
            head_on(bench, dealt_out_anew(samples, deal), f"deal-{deal}"), test_patients(samples)
        )
        for deal in range(DEALS)
    ]
    made: dict[str, Any] = {}
    for name in ("til_spearman", "til_mae_skill", "phenotype_balanced_accuracy"):
        each = [deal[name] for deal in deals if name in deal]
        made[f"shuffled_labels_{name}"] = round(float(np.mean(each)), 4) if each else None
        made[f"shuffled_labels_{name}_each"] = each
    return made


def as_answers(samples: tuple[Sample, ...]) -> PredictionSet:
    """Return labels as if they were predictions."""
    return PredictionSet(
        engine="labels",
        digest="labels",
        answers=tuple(
            PatientAnswer(
                patient_id=sample.patient_id,
                fields={k: FieldAnswer(value=v) for k, v in sample.labels.items()},
            )
            for sample in samples
        ),
    )


def noise_curve(bench: Bench) -> list[dict[str, Any]]:
    rows = []
    for noise in NOISE:
        drawn = make_cohort(bench.cohort.model_copy(update={"noise": noise}), SEED)
        found = head_on(bench, list(drawn.samples), f"noise-{noise:g}")
        noisy, clean = test_patients(drawn.samples), test_patients(clean_labels(drawn))
        row: dict[str, Any] = {"noise": noise}
        for kind, own in (
            ("", figures(found, noisy)),
            ("_clean", figures(found, clean)),
            ("_of_clean_labels", figures(as_answers(clean), noisy)),
        ):
            for metric in ("til_spearman", "phenotype_balanced_accuracy"):
                row[metric + kind] = own.get(metric)
        sys.stderr.write(f"{row}\n")
        rows.append(row)
    return rows


def of_all_splits(bench: Bench, samples: tuple[Sample, ...]) -> dict[str, dict[str, Any]]:
    """Return calibration in the large over the test patients of several divisions in splits."""
    pairs: list[tuple[Sample, PatientAnswer]] = []
    for deal in range(SPLITS):
        dealt = splits_anew(samples, deal)
        found = {a.patient_id: a for a in head_on(bench, dealt, f"splits-{deal}").answers}
        pairs += [(s, found[s.patient_id]) for s in dealt if s.split == "test"]
    return in_the_large(pairs)


def measure(bench: Bench) -> dict[str, Any]:
    drawn = write_cohort(bench.data, bench.cohort, SEED)
    scored, train = test_patients(drawn.samples), [s for s in drawn.samples if s.split == "train"]
    clock = Clock()
    embedder = build_engine("embedder", EngineSpec(name="embedded"), "cpu")
    cohort_features(read_cohort(bench.data), embedder, bench.vectors)
    clock.mark("embed")
    found = head_on(bench, list(drawn.samples), f"noise-{bench.cohort.noise:g}")
    clock.mark("fit")
    report: dict[str, Any] = {"caption": CAPTION} | figures(found, scored)
    blank = head_on(bench, list(drawn.samples), f"noise-{bench.cohort.noise:g}", "blank")
    for prefix, other in (
        ("majority_", baselines.majority(train, scored)),
        ("clinical_", baselines.clinical(train, scored)),
        ("blank_", blank),
    ):
        report |= figures(other, scored, prefix)
    report |= shuffled_labels(bench, drawn.samples)
    report["in_the_large"] = of_all_splits(bench, drawn.samples)
    return report | {
        "noise_curve": noise_curve(bench),
        "seconds": clock.wall_s | {f"{stage}_cpu": s for stage, s in clock.cpu_s.items()},
        "patients": {s: sum(p.split == s for p in drawn.samples) for s in ("train", "val", "test")},
        "tiles": len(drawn.tiles),
        "cohort": bench.cohort.model_dump(mode="json"),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
    }


def main() -> None:
    options = synthetic_bench.parser(__doc__).parse_args()
    cohort = synthetic_bench.QUICK if options.quick else COHORT
    settings = MilSettings(members=1, epochs=20) if options.quick else MilSettings()
    with working_folder(options.keep, "mil") as folder:
        report = measure(Bench(folder, cohort, settings))
    write_figures(report, options.json)


if __name__ == "__main__":
    main()
