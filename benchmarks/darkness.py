"""How far the darkness of a thumbnail goes with the lymphocyte share, on real tissue: one object.

``python benchmarks/darkness.py IMAGES SLIDE --json -`` (seconds). IMAGES holds ``lung_he_til``,
``nucls_til`` and ``he_other`` as ``tests/data/images`` does (which has a part of the u24 patches),
SLIDE is ``tests/data/slides/CMU-1-Small-Region.svs``. For each set of patches: Pearson's and
Spearman's correlation of the shipped density of haematoxylin (`imaging.slides.darkness`), taken at
8, 16 and 32 µm/px, with the share: that of labels where there are any (``truth``), and that of the
embedded engine, which reads dark nuclei itself, so that part of ``engine`` is its own doing.
"""

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from benchmark_json import write_figures
from scipy import stats

from immunopath.imaging.decode import DecodedImage, decode_image, pixels_digest
from immunopath.imaging.slides.darkness import haematoxylin
from immunopath.imaging.slides.mask import HIGHEST_OD, Kind, TissueMask, densities, glass_colour
from immunopath.imaging.slides.opening import open_slide
from immunopath.imaging.tiles import TileStore, resample
from immunopath.models.embedded.classifier import shipped
from immunopath.models.embedded.predictor import EmbeddedPredictor

THUMBNAIL_MPP = (8.0, 16.0, 32.0)
CMU_SIDES_UM = (128, 256)
TMA_SIDES_UM = (64, 128)

RGB = npt.NDArray[np.uint8]
White = tuple[float, float, float]


@dataclass(frozen=True)
class Patches:
    """mpp: µm per pixel; white: glass of each patch's slide; truth: labelled share, if any."""

    name: str
    mpp: float
    pixels: tuple[RGB, ...]
    white: tuple[White, ...]
    truth: tuple[float, ...] = ()


def every_set(images: Path, slide_file: Path) -> Iterator[Patches]:
    """Return the sets of patches."""
    rows = _rows(images / "lung_he_til" / "patches.tsv")
    for name in ("u24_train300", "u24_cae100"):
        there = [row for row in rows if (images / "lung_he_til" / row["path"]).exists()]
        mine = [row for row in there if row["path"].startswith(name)]
        pixels = [decode_image(images / "lung_he_til" / row["path"]).pixels for row in mine]
        slides = [row["slide"] for row in mine]
        glass = {
            s: _glass([p for p, t in zip(pixels, slides, strict=True) if t == s]) for s in slides
        }
        labels = tuple(float(row["lym_label"]) for row in mine if row["lym_label"])
        yield Patches(name, 0.5, tuple(pixels), tuple(glass[s] for s in slides), labels)
    counts = _rows(images / "nucls_til" / "counts.tsv")
    files = {path.name: path for path in (images / "nucls_til").rglob("*.png")}
    pixels = [decode_image(files[row["image"]]).pixels for row in counts]
    shares = tuple(float(row["til_fraction"]) for row in counts)
    yield Patches("nucls", 0.2, tuple(pixels), tuple(_glass([p]) for p in pixels), shares)
    with open_slide(slide_file) as slide:
        width, height = slide.dimensions
        whole, mpp = slide.read_region((0, 0, width, height), (width, height)), slide.mpp
    yield from (_cut("cmu", whole, mpp, side) for side in CMU_SIDES_UM)
    core = decode_image(images / "he_other" / "instanseg_tma_HE_0.5mpp.tif").pixels
    yield from (_cut("tma_core", core, 0.5, side) for side in TMA_SIDES_UM)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open() as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def _glass(pixels: Sequence[RGB]) -> White:
    return glass_colour(np.concatenate([p.reshape(-1, 1, 3) for p in pixels]))


def _cut(name: str, rgb: RGB, mpp: float, side_um: int) -> Patches:
    """Return disjoint squares of an image."""
    side = round(side_um / mpp)
    rows, columns = (range(0, n - side + 1, side) for n in rgb.shape[:2])
    pixels = tuple(rgb[y : y + side, x : x + side] for y in rows for x in columns)
    return Patches(f"{name}_{side_um}um", mpp, pixels, (_glass([rgb]),) * len(pixels))


def density(rgb: RGB, mpp: float, white: White, at: float) -> float:
    """Return a patch's density of haematoxylin as a thumbnail at `at` µm/px shows it."""
    small = resample(rgb, mpp, at)
    stained = sum(densities(small, white)) > HIGHEST_OD
    kinds = np.where(stained, Kind.tissue, Kind.glass).astype(np.uint8)
    box = (0, 0, small.shape[1], small.shape[0])
    return float(haematoxylin([box], box, TissueMask(kinds, at, white, HIGHEST_OD, small))[0])


def engine_share(engine: EmbeddedPredictor, rgb: RGB, mpp: float) -> float:
    """Return the embedded engine's share of a patch; not a number with too few nuclei."""
    store, digest = TileStore(), pixels_digest(rgb)
    store.add_image(DecodedImage(rgb, "patch", digest, digest, "drawn", None, ()), mpp)
    calls = engine.predict(store).result.images
    return calls[0].til if calls else float("nan")


def correlation(density_of: Sequence[float], share: Sequence[float]) -> dict[str, object]:
    """Return n, Pearson's r with its 90 % interval (Fisher), and Spearman's."""
    table = np.array([density_of, share])
    one, two = table[:, np.isfinite(table).all(axis=0)]
    found = stats.pearsonr(one, two)
    low, high = found.confidence_interval(0.9)
    rank = stats.spearmanr(one, two).statistic
    return {
        "n": len(one),
        "pearson": [round(float(v), 2) for v in (found.statistic, low, high)],
        "spearman": round(float(rank), 2),
    }


def darkest(density_of: Sequence[float], share: Sequence[float]) -> dict[str, object]:
    """Return where the patch with the largest share stands among the dark ones."""
    dark = np.array(density_of)
    apart = dark - np.median(dark)
    deviation = 1.4826 * float(np.median(np.abs(apart)))
    top = int(np.argmax(share))
    return {"rank": int((dark >= dark[top]).sum()), "deviations": round(apart[top] / deviation, 2)}


def figures(images: Path, slide_file: Path) -> dict[str, object]:
    """Return the correlations of every set."""
    engine, found = EmbeddedPredictor(shipped()), dict[str, object]()
    for patches in every_set(images, slide_file):
        shares = {"engine": [engine_share(engine, p, patches.mpp) for p in patches.pixels]}
        if patches.truth:
            shares["truth"] = list(patches.truth)
        for at in THUMBNAIL_MPP:
            dark = [
                density(p, patches.mpp, white, at)
                for p, white in zip(patches.pixels, patches.white, strict=True)
            ]
            found[f"{patches.name}_at_{at:g}"] = {
                name: correlation(dark, share) for name, share in shares.items()
            }
            if patches.truth:
                found[f"{patches.name}_at_{at:g}_largest_truth"] = darkest(dark, patches.truth)
    return found


def main(arguments: Sequence[str]) -> int:
    """Run and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("images", type=Path, metavar="IMAGES")
    parser.add_argument("slide", type=Path, metavar="SLIDE")
    parser.add_argument("--json", required=True, metavar="PATH|-")
    asked = parser.parse_args(arguments)
    write_figures(figures(asked.images, asked.slide), asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
