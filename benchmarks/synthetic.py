"""The synthetic cohort: speed, labels against truth, what an engine made for tissue says: one JSON.

``python benchmarks/synthetic.py --json -``. One core: set OMP_NUM_THREADS=1. Milliseconds are CPU
time (`time.process_time`), the median of 30 fields. Synthetic: drawings, no tissue.
"""

import argparse
import statistics
from collections.abc import Sequence
from time import process_time
from typing import Any

import cv2
import numpy as np
from benchmark_json import write_figures
from scipy.stats import spearmanr

from immunopath.domain.quality import QualityReport, TileSummary, Verdict
from immunopath.models.embedded.predictor import build as embedded_predictor
from immunopath.models.protocols import RGB
from immunopath.models.spec import EngineSpec
from immunopath.training.synthetic import CAPTION
from immunopath.training.synthetic.cohort import CohortSettings, make_cohort
from immunopath.training.synthetic.look import site_look
from immunopath.training.synthetic.render import draw, render
from immunopath.training.synthetic.scene import scene_of


class OneField:
    """A `TileSource` of one field at 0.5 µm/px."""

    def __init__(self, rgb: RGB) -> None:
        self._rgb = rgb

    @property
    def tiles(self) -> Sequence[TileSummary]:
        """The field as one accepted tile."""
        height, width = self._rgb.shape[:2]
        report = QualityReport(verdict=Verdict.accept, checks=(), tissue_share=1.0)
        box = (0, 0, width, height)
        return (TileSummary(tile_id="field", image_index=0, box=box, mpp=0.5, quality=report),)

    def pixels(self, tile_id: str, mpp: float, halo_um: float = 0.0) -> RGB:
        """Return the field; the engine asks for 0.5 µm/px."""
        if mpp != 0.5:
            raise ValueError(f"the field is shown at 0.5 µm/px, asked for {mpp:g}")
        return self._rgb

    def halo(self, tile_id: str, halo_um: float) -> tuple[float, float, float, float]:
        """Return zeros: a field has no surroundings."""
        return (0.0, 0.0, 0.0, 0.0)

    def image(self, image_index: int, max_px: int) -> RGB:
        """Return the field."""
        return self._rgb


def speed(size: int, mpp: float) -> float:
    scene = scene_of("inflamed", size_px=size, mpp=mpp)
    render(scene, 0)
    times = []
    for seed in range(30):
        start = process_time()
        render(scene, seed)
        times.append((process_time() - start) * 1000)
    return round(statistics.median(times), 1)


def labels(noise: float, patients: int) -> dict[str, float]:
    """Return how closely labels follow the image's truth, and what perfect sight would reach."""
    cohort = make_cohort(
        CohortSettings(patients=patients, tiles=4, size_px=112, mpp=2.0, noise=noise), 7
    )
    til = np.array([sample.labels["til_fraction"] for sample in cohort.samples], dtype=float)
    clean = np.array([truth.clean_labels["til_fraction"] for truth in cohort.truths], dtype=float)
    score = np.array([truth.scores.til for truth in cohort.truths])
    signal = np.array([truth.clean_scores.til for truth in cohort.truths])
    kept = [
        sample.labels["immune_phenotype"] == truth.clean_labels["immune_phenotype"]
        for sample, truth in zip(cohort.samples, cohort.truths, strict=True)
    ]
    best = np.abs(til - np.median(til)).mean()
    fitted = np.polyval(np.polyfit(clean, til, 1), clean)
    return {
        "score_pearson": round(float(np.corrcoef(score, signal)[0, 1]), 3),
        "score_pearson_expected": round(float(1 / np.sqrt(1 + noise**2)), 3),
        "til_spearman_of_truth": round(float(spearmanr(til, clean).statistic), 3),
        "til_mae_skill_of_truth": round(float(1 - np.abs(til - fitted).mean() / best), 3),
        "phenotype_unchanged_by_noise": round(float(np.mean(kept)), 3),
    }


def embedded(fields: int) -> dict[str, float]:
    """Ask the embedded predictor, fitted on tissue, for the lymphocyte share of 256 µm fields."""
    engine = embedded_predictor(EngineSpec(name="embedded"))
    rng = np.random.default_rng(3)
    found, true = [], []
    for seed in range(fields):
        layout = ("inflamed", "excluded", "desert")[seed % 3]
        scene = scene_of(layout, float(rng.uniform(200, 4000)), size_px=512)
        field = draw(scene, seed, site_look(f"site {seed % 6}", 0))
        answer = engine.predict(OneField(field.rgb)).result.morphometry
        if answer is not None and answer.raw_share is not None:
            found.append(answer.raw_share)
            true.append(field.truth.share)
    return {"fields": len(found), "share_spearman": round(float(spearmanr(found, true)[0]), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", default="-", metavar="PATH|-")
    parser.add_argument("--patients", type=int, default=800)
    parser.add_argument("--fields", type=int, default=60)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    report: dict[str, Any] = {
        "caption": CAPTION,
        "ms_per_field": {
            f"{size} px at {mpp:g}": speed(size, mpp)
            for size, mpp in ((112, 0.5), (224, 0.5), (512, 0.5), (112, 2.0))
        },
        "labels_by_noise": {
            f"{noise:g}": labels(noise, options.patients) for noise in (0.0, 0.3, 1.0, 2.0)
        },
        "embedded_engine": embedded(options.fields),
    }
    write_figures(report, options.json)


if __name__ == "__main__":
    main()
