"""Fit the score that recognises exchanged red and blue channels, from NuCLS patches only.

    python scripts/fit_exchange.py FOLDER_OF_PNG --out immunopath/imaging/constants/exchange.json

Every patch enters as it is (0.2 um per pixel), at 0.5 um per pixel and as stain-jittered copies,
each with its mirror image under the exchange as the opposite class. Deterministic.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from sklearn.linear_model import LogisticRegression
from stain_jitter import jitter

from immunopath.imaging.control import control_image
from immunopath.imaging.decode import decode_image
from immunopath.imaging.exchange import FEATURES, ExchangeFit, exchange_features
from immunopath.imaging.tiles import resample

SOURCE_MPP = 0.2
COPIES = 20
PENALTY_C = 0.03


def rows(paths: list[Path]) -> np.ndarray:
    """Return one row of features per patch and copy."""
    rng = np.random.default_rng(20240501)
    found = []
    for path in paths:
        rgb = decode_image(path).pixels
        versions = [rgb, resample(rgb, SOURCE_MPP, 0.5)]
        versions += [jitter(rgb, SOURCE_MPP, rng) for _ in range(COPIES)]
        found += [exchange_features(control_image(version)) for version in versions]
    return np.array([row for row in found if row is not None])


def fit(features: np.ndarray, n_images: int) -> ExchangeFit:
    """Fit the logistic without intercept on the rows (+) and their mirror images (-)."""
    scale = np.sqrt((features**2).mean(axis=0))
    scaled = features / scale
    both = np.concatenate([scaled, -scaled])
    label = np.concatenate([np.ones(len(scaled)), np.zeros(len(scaled))])
    model = LogisticRegression(C=PENALTY_C, fit_intercept=False).fit(both, label)
    return ExchangeFit(
        version=1,
        features=FEATURES,
        scale=tuple(round(float(v), 6) for v in scale),
        weights=tuple(round(float(v), 6) for v in model.coef_[0]),
        fitted_on="NuCLS train patches (CC0), with stain-jittered copies",
        n_images=n_images,
        n_copies=COPIES,
        penalty_c=PENALTY_C,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    paths = sorted(args.folder.glob("*.png"))
    if not paths:
        sys.exit(f"{args.folder}: no PNG patches")
    result = fit(rows(paths), len(paths))
    args.out.write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")
    print(f"weights {result.weights} -> {args.out}")


if __name__ == "__main__":
    main()
