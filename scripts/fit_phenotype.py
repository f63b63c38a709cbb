"""Fit the block models of the embedded phenotype engine on the ten NuCLS patches.

    python scripts/fit_phenotype.py DATA [--write]

DATA is the folder that holds ``nucls_til``. Prints leave-one-image-out figures as one JSON object;
``--write`` puts the constants into the package. Only NuCLS patches and stain-jittered copies of
them are read.
"""

import argparse
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr
from stain_jitter import jitter

from immunopath.imaging.tiles import resample
from immunopath.models.embedded import phenotype_constants as pc
from immunopath.models.embedded.texture import (
    CELL_UM,
    FEATURES,
    block_features,
    cell_channels,
    stain_gain,
)

MPP = 0.2
COPIES = 12
SEED = 0
CLIP = 2.5
VERSION = "1"
TUMOUR, LYMPHOCYTE = 0, 2
FOR_SHARE = tuple(f for f in FEATURES if f not in ("e", "tissue"))
FOR_NEST = ("e", "small_to_medium", "edge_to_h", "tissue")
RIDGE = {"share": 0.001, "nest": 0.03, "nuclei": 0.03}
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Blocks:
    """Rows are blocks: features (n, F), counts per label (n, 4), image, copy (0 = original)."""

    x: F64
    counts: F64
    image: npt.NDArray[np.int64]
    copy: npt.NDArray[np.int64]

    def take(self, keep: npt.NDArray[np.bool_]) -> "Blocks":
        """Return the rows where `keep`."""
        return Blocks(self.x[keep], self.counts[keep], self.image[keep], self.copy[keep])

    @property
    def total(self) -> F64:
        """Return the number of nuclei per block."""
        return self.counts.sum(axis=1)

    def share(self, label: int) -> F64:
        """Return the share of one label per block."""
        return self.counts[:, label] / np.maximum(self.total, 1)


def read(folder: Path) -> tuple[Blocks, str]:
    """Return the blocks of all patches and copies, and one SHA-256 over the files read."""
    rng, digest, parts = np.random.default_rng(SEED), hashlib.sha256(), []
    for path in sorted((folder / "images").glob("*.png"), key=lambda p: int(p.stem.split("_")[1])):
        labels = folder / "labels" / f"{path.stem}.csv"
        for file in (path, labels):
            digest.update(file.read_bytes())
        rgb = np.ascontiguousarray(cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1])
        points = np.loadtxt(labels, delimiter=",", ndmin=2)
        for copy in range(COPIES + 1):
            seen = rgb if copy == 0 else jitter(rgb, MPP, rng)
            x = patch_features(seen)
            counts = _counts(points, x.shape[0], x.shape[1])
            n = x.shape[0] * x.shape[1]
            number = int(path.stem.split("_")[1])
            parts.append((x.reshape(n, -1), counts.reshape(n, -1), [number] * n, [copy] * n))
    columns = [np.concatenate([p[i] for p in parts]) for i in range(4)]
    return Blocks(columns[0].astype(float), *columns[1:]), digest.hexdigest()


def patch_features(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the block features of one patch as a case of its own."""
    side = round(rgb.shape[0] * MPP / CELL_UM)
    cells = cell_channels(resample(rgb, MPP, 0.5), side, side)
    return block_features(cells, stain_gain([cells]))


def _counts(points: F64, rows: int, cols: int) -> F64:
    cells = np.zeros((rows + 1, cols + 1, 4))
    for x, y, label in points:
        row, col = min(int(y * MPP / CELL_UM), rows), min(int(x * MPP / CELL_UM), cols)
        cells[row, col, int(label)] += 1
    blocks: F64 = cells[:-1, :-1] + cells[1:, :-1] + cells[:-1, 1:] + cells[1:, 1:]
    return blocks


def logistic_head(z: F64, names: tuple[str, ...], y: F64, w: F64, ridge: float) -> pc.Head:
    """Return the L2 logistic model of fractional targets `y` with weights `w` (Newton steps)."""
    picked = z[:, [FEATURES.index(n) for n in names]]
    design = np.column_stack([np.ones(len(z)), picked])
    penalty = np.diag([1e-6] + [ridge] * len(names))
    beta, weight = np.zeros(design.shape[1]), w / w.sum()
    for _ in range(50):
        p = 1 / (1 + np.exp(-design @ beta))
        gradient = design.T @ (weight * (p - y)) + penalty @ beta
        hessian = (design * (weight * p * (1 - p))[:, None]).T @ design + penalty
        step = np.linalg.solve(hessian, gradient)
        beta -= step
        if np.abs(step).max() < 1e-9:
            break
    return _head(beta, names)


def ridge_head(z: F64, names: tuple[str, ...], y: F64, ridge: float) -> pc.Head:
    """Return the ridge regression of `y`."""
    picked = z[:, [FEATURES.index(n) for n in names]]
    design = np.column_stack([np.ones(len(z)), picked])
    penalty = np.diag([0.0] + [ridge * len(z)] * len(names))
    return _head(np.linalg.solve(design.T @ design + penalty, design.T @ y), names)


def _head(beta: F64, names: tuple[str, ...]) -> pc.Head:
    weights = {n: round(float(b), 5) for n, b in zip(names, beta[1:], strict=True)}
    return pc.Head(intercept=round(float(beta[0]), 5), weights=weights)


def fit(blocks: Blocks, digest: str) -> pc.PhenotypeConstants:
    """Return the constants fitted on `blocks`."""
    mean, scale = blocks.x.mean(axis=0), blocks.x.std(axis=0) + 1e-6
    z = np.clip((blocks.x - mean) / scale, -CLIP, CLIP)
    n = blocks.total
    return pc.PhenotypeConstants(
        version=VERSION,
        feature_names=FEATURES,
        mean=tuple(round(float(v), 6) for v in mean),
        scale=tuple(round(float(v), 6) for v in scale),
        clip=CLIP,
        share=logistic_head(z, FOR_SHARE, blocks.share(LYMPHOCYTE), n, RIDGE["share"]),
        nest=logistic_head(z, FOR_NEST, blocks.share(TUMOUR), n + 0.5, RIDGE["nest"]),
        root_nuclei=ridge_head(z, FOR_SHARE, np.sqrt(n), RIDGE["nuclei"]),
        fit_data="NuCLS train_1 … train_10 (CC0 1.0), 0.2 µm/px, blocks of 25 µm",
        fit_data_sha256=digest,
        seed=SEED,
        jittered_copies=COPIES,
    )


def as_model(constants: pc.PhenotypeConstants) -> pc.PhenotypeModel:
    return pc.from_json(to_text(constants))


def to_text(constants: pc.PhenotypeConstants) -> str:
    return json.dumps(constants.model_dump(), indent=1, ensure_ascii=False) + "\n"


def evaluate(blocks: Blocks, digest: str) -> dict[str, object]:
    """Return leave-one-image-out figures of originals and jittered copies, beside baselines."""
    rows = []
    for image in np.unique(blocks.image):
        model = as_model(fit(blocks.take(blocks.image != image), digest))
        for copy in range(COPIES + 1):
            part = blocks.take((blocks.image == image) & (blocks.copy == copy))
            share, nest, nuclei = model.heads(part.x.astype(np.float32))
            n = part.total
            rows.append(
                (
                    copy,
                    np.average(share, weights=nuclei + 1e-6),
                    np.average(part.share(LYMPHOCYTE), weights=n),
                    np.average(nest, weights=nuclei + 1e-6),
                    np.average(part.share(TUMOUR), weights=n),
                    part.x[:, FEATURES.index("h")].mean(),
                )
            )
    table = np.array(rows)
    return {
        "originals": _figures(table[table[:, 0] == 0]),
        "jittered": _figures(table[table[:, 0] > 0]),
    }


def _figures(table: F64) -> dict[str, float]:
    share, truth, nest, tumour, dark = table[:, 1:].T
    return {
        "share_spearman": round(float(spearmanr(share, truth).statistic), 3),
        "share_mae": round(float(np.abs(share - truth).mean()), 3),
        "constant_mae": round(float(np.abs(np.median(truth) - truth).mean()), 3),
        "mean_haematoxylin_spearman": round(float(spearmanr(dark, truth).statistic), 3),
        "nest_spearman": round(float(spearmanr(nest, tumour).statistic), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    blocks, digest = read(options.data / "nucls_til")
    if options.write:
        target = Path(pc.__file__).parent / pc.CONSTANTS
        target.write_text(to_text(fit(blocks, digest)), encoding="utf-8")
    json.dump(evaluate(blocks, digest), sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
