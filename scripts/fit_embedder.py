"""Fit standardisation and nuisance damping of the embedded embedder on the ten NuCLS patches.

    python scripts/fit_embedder.py DATA [--write]

Reads pixels only, no label. Each patch gives itself and stain-jittered copies; directions that
vary most among copies of one patch are damped. What the result is worth on other images:
``scripts/retrieval_figures.py``.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from stain_jitter import jitter

from immunopath.imaging.tiles import resample
from immunopath.models.embedded import embedder
from immunopath.models.embedded.descriptor import GROUPS, SIZE, describe

MPP = 0.2
COPIES = 24
SEED = 1
CLIP = 3.0
DIRECTIONS = 24
KEPT = 0.02
VERSION = "1"
F64 = npt.NDArray[np.float64]


def read(folder: Path) -> tuple[F64, str]:
    """Return raw descriptors (patch, copy, SIZE), originals first, and a SHA-256 of the files."""
    rng, digest, patches = np.random.default_rng(SEED), hashlib.sha256(), []
    for path in sorted((folder / "images").glob("*.png"), key=lambda p: int(p.stem.split("_")[1])):
        digest.update(path.read_bytes())
        rgb = np.ascontiguousarray(cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1])
        seen = [rgb, *(jitter(rgb, MPP, rng) for _ in range(COPIES))]
        patches.append([describe(resample(image, MPP, 0.5)) for image in seen])
    return np.array(patches, float), digest.hexdigest()


def fit(raw: F64, digest: str) -> embedder.EmbedderConstants:
    """Return the constants: mean and spread over everything, damping from within-patch scatter.

    A direction with variance v among copies keeps sqrt(KEPT / (v / v_max + KEPT)) of its length:
    shrunken within-class whitening.
    """
    flat = raw.reshape(-1, SIZE)
    mean, scale = flat.mean(axis=0), _floored(flat.std(axis=0))
    z = np.clip((raw - mean) / scale, -CLIP, CLIP)
    within = (z - z.mean(axis=1, keepdims=True)).reshape(-1, SIZE)
    values, vectors = np.linalg.eigh(within.T @ within / len(within))
    order = np.argsort(values)[::-1][:DIRECTIONS]
    basis = vectors[:, order].T
    damping = np.sqrt(KEPT / (values[order] / values.max() + KEPT))
    return embedder.EmbedderConstants(
        version=VERSION,
        groups=GROUPS,
        mean=_rounded(mean),
        scale=_rounded(scale),
        clip=CLIP,
        nuisance=tuple(_rounded(row) for row in basis),
        damping=_rounded(damping),
        fit_data="NuCLS train_1 … train_10 (CC0 1.0), 0.2 µm/px, pixels only",
        fit_data_sha256=digest,
        seed=SEED,
        jittered_copies=COPIES,
    )


def _floored(spread: F64) -> F64:
    """Hold each spread to at least half of its group's median: ten patches miss some variety."""
    found, start = spread.copy(), 0
    for _, size in GROUPS:
        part = slice(start, start + size)
        found[part] = np.maximum(spread[part], 0.5 * np.median(spread[part]) + 1e-3)
        start += size
    return found


def _rounded(values: F64) -> tuple[float, ...]:
    return tuple(round(float(v), 5) for v in values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    constants = fit(*read(options.data / "nucls_til"))
    if options.write:
        target = Path(embedder.__file__).parent / embedder.CONSTANTS
        text = json.dumps(constants.model_dump(), ensure_ascii=False) + "\n"
        target.write_text(text, encoding="utf-8")
    json.dump({"damping": constants.damping}, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
