"""From a scene and a look to pixels: stain maps are drawn, then light passes (Beer-Lambert)."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from immunopath.imaging.arrays import RGB, FloatMap
from immunopath.training.synthetic.look import Look
from immunopath.training.synthetic.scene import Cells, FieldTruth, Points, Scene, place_field
from immunopath.training.synthetic.texture import smooth_field

STAIN_UNIT: Final = 100.0
"""Stain maps are drawn with anti-aliasing, which OpenCV has for bytes only: 100 = 1.0."""
SHIFT: Final = 4
"""Coordinates keep a sixteenth of a pixel."""


@dataclass(frozen=True)
class NucleusKind:
    """Radii in µm (mean, spread), elongation (mean, spread), haematoxylin (mean, spread)."""

    radius_um: tuple[float, float]
    elongation: tuple[float, float]
    stain: tuple[float, float]
    pale_centre: float = 0.0
    """How much paler the centre is than the rim: vesicular chromatin."""


LYMPHOCYTE: Final = NucleusKind((2.9, 0.25), (1.08, 0.06), (1.55, 0.12))
TUMOUR: Final = NucleusKind((4.6, 0.6), (1.3, 0.15), (0.72, 0.1), 0.25)
STROMA: Final = NucleusKind((1.9, 0.25), (3.4, 0.7), (0.85, 0.12))


@dataclass(frozen=True)
class Field:
    """A rendered field and what can be counted in it."""

    rgb: RGB
    truth: FieldTruth


def render(scene: Scene, seed: int, look: Look | None = None) -> RGB:
    """Return the pixels of a scene, shape (size_px, size_px, 3), uint8; synthetic.

    The same scene, seed and look give the same bytes; the seed alone decides where cells lie.
    """
    return draw(scene, seed, look).rgb


def draw(scene: Scene, seed: int, look: Look | None = None) -> Field:
    """Return pixels and truth of a scene."""
    look = Look() if look is None else look
    textures, sensor = (np.random.default_rng([seed, part]) for part in (1, 2))
    cells = place_field(scene, seed)
    haematoxylin, eosin = _stains(scene, cells, textures)
    return Field(_light(haematoxylin, eosin, look, scene.mpp, sensor), cells.truth(scene))


def _stains(scene: Scene, cells: Cells, rng: np.random.Generator) -> tuple[FloatMap, FloatMap]:
    """Return the amounts of haematoxylin and eosin at every pixel."""
    size, nest = scene.size_px, cells.nest
    canvas = np.zeros((size, size), dtype=np.uint8)
    for kind, points in (
        (STROMA, cells.stroma), (TUMOUR, cells.tumour), (LYMPHOCYTE, cells.lymphocytes),
    ):  # fmt: skip
        _paint(canvas, kind, points, scene.mpp, rng)
    nuclei = canvas.astype(np.float32) / STAIN_UNIT
    grain = smooth_field(size, 1.2 / scene.mpp, rng)
    fibres = smooth_field(size, 2.5 / scene.mpp, rng, stretch=5.0, turned=True)
    cloud = smooth_field(size, 40.0 / scene.mpp, rng)
    haematoxylin = nuclei * (1 + 0.12 * grain) + np.where(nest, 0.16, 0.05) * (1 + 0.15 * cloud)
    stroma = 0.22 + 0.3 * scene.fibrosis + (0.08 + 0.1 * scene.fibrosis) * fibres
    eosin = np.where(nest, 0.30 + 0.04 * grain, stroma) * (1 + 0.08 * cloud)
    eosin = np.clip(eosin, 0.03, None) * (1 - 0.6 * np.clip(nuclei, 0, 1))
    return haematoxylin.astype(np.float32), eosin.astype(np.float32)


def _paint(
    canvas: npt.NDArray[np.uint8],
    kind: NucleusKind,
    points: Points,
    mpp: float,
    rng: np.random.Generator,
) -> None:
    """Draw ellipses; later ones lie on top."""
    n = len(points)
    radius = np.clip(rng.normal(*kind.radius_um, n), kind.radius_um[0] * 0.6, None) / mpp
    long = np.sqrt(np.clip(rng.normal(*kind.elongation, n), 1.0, None))
    stain = np.clip(rng.normal(*kind.stain, n), 0.2, 2.2) * STAIN_UNIT
    angle = rng.uniform(0, 180, n)
    scale = 1 << SHIFT
    for i in range(n):
        centre = (round(points[i, 0] / mpp * scale), round(points[i, 1] / mpp * scale))
        axes = (round(radius[i] * long[i] * scale), round(radius[i] / long[i] * scale))
        turn, dark = float(angle[i]), float(stain[i])
        cv2.ellipse(canvas, centre, axes, turn, 0, 360, dark, -1, cv2.LINE_AA, SHIFT)
        if kind.pale_centre:
            core = (round(axes[0] * 0.62), round(axes[1] * 0.62))
            pale = dark * (1 - kind.pale_centre)
            cv2.ellipse(canvas, centre, core, turn, 0, 360, pale, -1, cv2.LINE_AA, SHIFT)


def _light(
    haematoxylin: FloatMap,
    eosin: FloatMap,
    look: Look,
    mpp: float,
    rng: np.random.Generator,
) -> RGB:
    """Send white light through the stains, then optics, sensor and compression."""
    density = haematoxylin[..., None] * (
        np.asarray(look.haematoxylin, dtype=np.float32) * look.haematoxylin_strength
    ) + eosin[..., None] * (np.asarray(look.eosin, dtype=np.float32) * look.eosin_strength)
    passed = np.exp(-look.gamma * density) * np.asarray(look.white, dtype=np.float32)
    if look.blur_um / mpp > 0.2:
        passed = cv2.GaussianBlur(passed, (0, 0), look.blur_um / mpp)
    if look.noise:
        passed += look.noise * rng.standard_normal(passed.shape, dtype=np.float32)
    rgb = np.clip(np.rint(passed), 0, 255).astype(np.uint8)
    return rgb if look.jpeg is None else _compressed(rgb, look.jpeg)


def _compressed(rgb: RGB, quality: int) -> RGB:
    """Return the pixels after JPEG at a quality."""
    done, coded = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR) if done else None
    if decoded is None:
        raise RuntimeError("OpenCV could not code a JPEG")
    return np.ascontiguousarray(decoded[..., ::-1])
