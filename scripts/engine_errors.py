"""Do the embedded predictor and the embedded phenotype engine err together? One JSON object.

    python scripts/engine_errors.py DATA

NuCLS patches, leave one image out for both engines. The error of the phenotype engine's lymphoid
share is set against the error of the predictor's ``til_fraction``, both against the annotated
share. Agreement of two engines whose errors correlate says less than it seems; the closer to 0,
the more it says. Shrinking toward the mean makes any two estimates err alike, so the correlation
with the annotated share held fixed stands beside. n = 10: the intervals are wide.
"""

import argparse
import json
import sys
from pathlib import Path

import cv2
import fit_nuclei
import fit_phenotype
import nucls
import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
DRAWS = 5000


def predictor_shares(folder: Path) -> tuple[F64, F64]:
    """Return the corrected shares of left-out patches and the annotated ones, numeric order."""
    patches, digest = nucls.load(folder)
    pairs = fit_nuclei.left_out(fit_nuclei.prepare(patches), digest)
    scores = [nucls.score(nucls.nuclei_of(s.clean, c), s.patch) for s, c in pairs]
    raw = np.array([s.share for s in scores])
    width = fit_nuclei.LUNG_CEILING - fit_nuclei.LUNG_FLOOR
    corrected = np.clip((raw - fit_nuclei.LUNG_FLOOR) / width, 0, 1)
    return corrected, np.array([s.truth for s in scores])


def phenotype_shares(folder: Path) -> F64:
    """Return the lymphoid shares of left-out patches, numeric order."""
    blocks, digest = fit_phenotype.read(folder)
    shares = []
    for image in np.unique(blocks.image):
        others = fit_phenotype.fit(blocks.take(blocks.image != image), digest)
        model = fit_phenotype.as_model(others)
        own = blocks.take((blocks.image == image) & (blocks.copy == 0))
        share, _, nuclei = model.heads(own.x.astype(np.float32))
        shares.append(float(np.average(share, weights=nuclei + 1e-6)))
    return np.array(shares)


def correlation(a: F64, b: F64, given: F64 | None = None) -> float:
    """Return Pearson's r; with `given`, of what a line in it leaves."""
    if given is not None:
        design = np.column_stack([np.ones_like(given), given])
        a, b = (v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in (a, b))
    a, b = a - a.mean(), b - b.mean()
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size > 1e-12 else float("nan")


def with_interval(a: F64, b: F64, given: F64 | None = None) -> dict[str, float | list[float]]:
    """Return r and its 95 % bootstrap interval over images."""
    rng, values = np.random.default_rng(0), []
    for _ in range(DRAWS):
        pick = rng.integers(0, len(a), len(a))
        values.append(correlation(a[pick], b[pick], None if given is None else given[pick]))
    low, high = np.nanpercentile(values, [2.5, 97.5])
    ends = [round(float(low), 2), round(float(high), 2)]
    return {"r": round(correlation(a, b, given), 2), "interval_95": ends}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    folder = options.data / "nucls_til"
    counted, truth = predictor_shares(folder)
    textured = phenotype_shares(folder)
    wrong_counted, wrong_textured = counted - truth, textured - truth
    result = {
        "n": len(truth),
        "error_correlation": with_interval(wrong_counted, wrong_textured),
        "error_correlation_given_truth": with_interval(wrong_counted, wrong_textured, truth),
        "predictor_mae": round(float(np.abs(wrong_counted).mean()), 3),
        "phenotype_mae": round(float(np.abs(wrong_textured).mean()), 3),
        "mean_of_both_mae": round(float(np.abs(wrong_counted + wrong_textured).mean() / 2), 3),
        "truth_predictor_phenotype": np.round(
            np.column_stack([truth, counted, textured]), 2
        ).tolist(),
    }
    json.dump(result, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
