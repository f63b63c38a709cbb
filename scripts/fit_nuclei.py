"""Fit the nucleus classifier on the ten NuCLS patches and write its constants file.

    python scripts/fit_nuclei.py DATA/nucls_til                # writes constants/nuclei.json
    python scripts/fit_nuclei.py DATA/nucls_til --loio         # prints leave-one-image-out figures
    python scripts/fit_nuclei.py DATA/nucls_til --loio --json  # the same as one JSON object

Deterministic: fixed seeds, one thread. Nothing but the ten patches and their labels is read.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from nucls import (
    NUCLS_MPP,
    Patch,
    Score,
    Seen,
    candidate_labels,
    interval,
    load,
    nuclei_of,
    rank_correlation,
    score,
    see,
    summary,
)
from sklearn.linear_model import LogisticRegression
from stain_jitter import jitter

from immunopath.models.embedded.classifier import NucleiClassifier, from_json
from immunopath.models.embedded.features import GAIN_POWER, NAMES

VERSION = "nuclei-2"
SEED = 20261124
TEST_SEED = 777
COPIES = 24
STRENGTH = 0.08 / COPIES  # inverse L2 penalty; copies add no patches, so each weighs less
NUCLEUS_THRESHOLD = 0.5
LYMPHOCYTE_THRESHOLD = 0.55
DARK_RED_OD = 0.9
LUNG_FLOOR, LUNG_CEILING = 0.12, 0.88
CORRECTION_SOURCE = (
    "floor and ceiling: stated values of the method, from lung fields without and full of "
    "lymphocytes, not fitted here; NuCLS left-out rates {other} (sd {other_sd}) and {lymphocyte} "
    "(sd {lymphocyte_sd}) set the spread"
)
OUT = Path(__file__).parents[1] / "immunopath/models/embedded/constants/nuclei.json"


@dataclass(frozen=True)
class Sample:
    """A patch with what the engine sees of it: as it is, and in jittered copies."""

    patch: Patch
    clean: Seen
    copies: tuple[Seen, ...]


def prepare(patches: list[Patch], copies: int = COPIES, seed: int = SEED) -> list[Sample]:
    """Run the stages before classification on every patch and its jittered copies."""
    samples = []
    for k, patch in enumerate(patches):
        rng = np.random.default_rng([seed, k])
        jittered = tuple(see(jitter(patch.rgb, NUCLS_MPP, rng)) for _ in range(copies))
        samples.append(Sample(patch, see(patch.rgb), jittered))
    return samples


def fit(samples: list[Sample], digest: str, correction: dict[str, float | str]) -> str:
    """Return the text of a constants file fitted on `samples`."""
    seen = [(s.patch, one) for s in samples for one in (s.clean, *s.copies)]
    x = np.concatenate(
        [one.measured.values * np.power(np.float32(one.gain), GAIN_POWER) for _, one in seen]
    ).astype(np.float64)
    y = np.concatenate([candidate_labels(one, patch) for patch, one in seen])
    mean, scale = x.mean(axis=0), x.std(axis=0)
    model = LogisticRegression(C=STRENGTH, max_iter=5000, tol=1e-8).fit((x - mean) / scale, y)

    def rounded(values: np.ndarray) -> list[float]:  # type: ignore[type-arg]
        return [float(f"{v:.7g}") for v in values]

    constants = {
        "version": VERSION,
        "feature_names": list(NAMES),
        "mean": rounded(mean),
        "scale": rounded(scale),
        "coefficients": [rounded(row) for row in model.coef_],
        "intercepts": rounded(model.intercept_),
        "nucleus_threshold": NUCLEUS_THRESHOLD,
        "lymphocyte_threshold": LYMPHOCYTE_THRESHOLD,
        "correction": correction,
        "fit_data": "NuCLS train_1 to train_10 (CC0 1.0), points as in labels/*.csv",
        "fit_data_sha256": digest,
        "fit_images": len(samples),
        "fit_nuclei": sum(len(s.patch.points) for s in samples),
        "seed": SEED,
    }
    return json.dumps(constants, indent=1) + "\n"


NO_CORRECTION: dict[str, float | str] = {
    "floor": 0.0,
    "ceiling": 1.0,
    "floor_sd": 0.0,
    "ceiling_sd": 0.0,
    "source": "none: left-out fits use raw shares",
}


def left_out(samples: list[Sample], digest: str) -> list[tuple[Sample, NucleiClassifier]]:
    """Return each sample with the classifier that was fitted on the others."""
    return [
        (one, from_json(fit([s for s in samples if s is not one], digest, NO_CORRECTION)))
        for one in samples
    ]


def call_rates(scores: list[Score]) -> dict[str, float]:
    """Return how often matched nuclei of each kind are called lymphocytes, left-out images.

    other: floor of a raw share; lymphocyte: its ceiling (Rogan and Gladen 1978). Standard
    deviations by resampling images.
    """

    def rates(part: list[Score]) -> tuple[float, float]:
        other, lym = (sum(getattr(s, k) for s in part) for k in ("other_matched", "lym_matched"))
        wrong, right = (sum(getattr(s, k) for s in part) for k in ("other_called_lym", "lym_hits"))
        return (wrong / other if other else np.nan), (right / lym if lym else np.nan)

    rng = np.random.default_rng(SEED)
    picks = rng.integers(0, len(scores), (2000, len(scores)))
    sd = np.nanstd([rates([scores[i] for i in pick]) for pick in picks], axis=0)
    other, lymphocyte = rates(scores)
    return {
        "other": round(float(other), 4),
        "lymphocyte": round(float(lymphocyte), 4),
        "other_sd": round(float(sd[0]), 4),
        "lymphocyte_sd": round(float(sd[1]), 4),
    }


def correction_with(rates: dict[str, float]) -> dict[str, float | str]:
    """Return the correction: its middle from lung, its spread at least what NuCLS shows.

    The standard deviation of each end covers the resampling of images and half the distance to the
    rate seen on NuCLS, so that the interval of a corrected share holds both origins.
    """

    def spread(sd: float, here: float, there: float) -> float:
        return round(float(np.hypot(sd, (here - there) / 2)), 4)

    return {
        "floor": LUNG_FLOOR,
        "ceiling": LUNG_CEILING,
        "floor_sd": spread(rates["other_sd"], rates["other"], LUNG_FLOOR),
        "ceiling_sd": spread(rates["lymphocyte_sd"], rates["lymphocyte"], LUNG_CEILING),
        "source": CORRECTION_SOURCE.format(**rates),
    }


def baselines(samples: list[Sample]) -> dict[str, dict[str, float | None]]:
    """Return what simple rules reach on the same patches, each fitted on the other nine."""
    truth = np.array([s.patch.share for s in samples])
    dark = np.array([float((s.clean.red_od > DARK_RED_OD).mean()) for s in samples])
    haem = np.array([float(s.clean.red_od.mean()) for s in samples])
    out: dict[str, dict[str, float | None]] = {}
    for name, x in (("constant", None), ("mean_haematoxylin", haem), ("dark_pixels", dark)):
        guess = np.empty(len(truth))
        for i in range(len(truth)):
            others = np.arange(len(truth)) != i
            guess[i] = truth[others].mean()
            if x is not None:
                slope, start = np.polyfit(x[others], truth[others], 1)
                guess[i] = np.clip(start + slope * x[i], 0, 1)
        rho = rank_correlation(x, truth) if x is not None else None
        out[name] = {"share_mae": float(np.abs(guess - truth).mean()), "share_spearman": rho}
    return out


def evaluate(patches: list[Patch], digest: str) -> dict[str, object]:
    """Return leave-one-image-out figures, jittered and rescaled, beside the baselines."""
    samples = prepare(patches)
    pairs = left_out(samples, digest)
    clean = [score(nuclei_of(s.clean, c), s.patch) for s, c in pairs]
    raw = np.array([s.share for s in clean])
    truth = np.array([s.truth for s in clean])
    corrected = np.clip((raw - LUNG_FLOOR) / (LUNG_CEILING - LUNG_FLOOR), 0, 1)
    tests = prepare(patches, copies=3, seed=TEST_SEED)
    jittered = [
        score(nuclei_of(one, c), s.patch)
        for s, (_, c) in zip(tests, pairs, strict=True)
        for one in s.copies
    ]
    return {
        "n_images": len(samples),
        "clean": summary(clean),
        "spearman_95": interval(raw, truth, "spearman"),
        "mae_95": interval(raw, truth, "mae"),
        "mae_corrected": float(np.abs(corrected - truth).mean()),
        "jittered": summary(jittered),
        "scale": at_other_scales(pairs, raw),
        "baselines": baselines(samples),
        "called_lymphocyte": call_rates(clean),
        "shares": {s.patch.name: [round(float(r), 3), round(s.patch.share, 3)]
                   for s, r in zip(samples, raw, strict=True)},
    }  # fmt: skip


def at_other_scales(
    pairs: list[tuple[Sample, NucleiClassifier]], at_source: "np.typing.NDArray[np.float64]"
) -> dict[str, dict[str, float]]:
    """Return the figures when the same patches are given at 0.25, 0.5 and 1.0 µm/px."""
    out = {}
    for mpp in (0.25, 0.5, 1.0):
        scores = []
        for s, c in pairs:
            size = tuple(round(n * NUCLS_MPP / mpp) for n in s.patch.rgb.shape[1::-1])
            rgb = np.asarray(cv2.resize(s.patch.rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
            scores.append(score(nuclei_of(see(rgb, mpp), c), s.patch))
        change = np.abs(np.array([s.share for s in scores]) - at_source).mean()
        out[f"{mpp:g}"] = {**summary(scores), "mean_change": float(change)}
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with images/ and labels/ of nucls_til")
    parser.add_argument("--loio", action="store_true", help="evaluate instead of writing the file")
    parser.add_argument("--json", action="store_true", help="with --loio: print one JSON object")
    parser.add_argument("--out", type=Path, default=OUT, help="where to write the constants")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    patches, digest = load(args.data)
    if args.loio:
        report = evaluate(patches, digest)
        print(json.dumps(report) if args.json else json.dumps(report, indent=2))
        return
    samples = prepare(patches)
    held = [score(nuclei_of(s.clean, c), s.patch) for s, c in left_out(samples, digest)]
    text = fit(samples, digest, correction_with(call_rates(held)))
    args.out.write_text(text, encoding="utf-8")
    print(f"wrote {args.out.name}: {from_json(text).digest}")


if __name__ == "__main__":
    main()
