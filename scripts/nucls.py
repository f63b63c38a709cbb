"""The ten NuCLS patches: reading, matching points to annotations, scores and baselines."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.stats import spearmanr

from immunopath.models.embedded.candidates import Candidates, base_maps, find_candidates
from immunopath.models.embedded.classifier import NucleiClassifier, gain_from
from immunopath.models.embedded.density import (
    WORK_MPP,
    Workspace,
    channel_histogram,
    optical_density,
    white_point,
)
from immunopath.models.embedded.features import Measured, measure
from immunopath.models.embedded.merge import Nuclei, call_nuclei, merge_nuclei

NUCLS_MPP = 0.2
LYMPHOCYTE_LABEL = 2
RGB = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Patch:
    """One annotated patch: pixels at 0.2 µm/px, points (n, 2) in µm, is_lymphocyte (n,)."""

    name: str
    rgb: RGB
    points: F64
    lymphocyte: npt.NDArray[np.bool_]

    @property
    def share(self) -> float:
        """Annotated share of lymphocytes."""
        return float(self.lymphocyte.mean())


@dataclass(frozen=True)
class Seen:
    """A patch as the engine sees it, before classification."""

    found: Candidates
    measured: Measured
    gain: float
    red_od: npt.NDArray[np.float32]


def load(folder: Path) -> tuple[list[Patch], str]:
    """Return the patches in numeric order and one SHA-256 over all files read."""
    digest, patches = hashlib.sha256(), []
    for path in sorted((folder / "images").glob("*.png"), key=lambda p: int(p.stem.split("_")[1])):
        labels = folder / "labels" / f"{path.stem}.csv"
        for file in (path, labels):
            digest.update(file.read_bytes())
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if bgr is None:
            raise SystemExit(f"{path} is not an image")
        rows = np.loadtxt(labels, delimiter=",", dtype=int, ndmin=2)
        points = (rows[:, :2] + 0.5) * NUCLS_MPP
        rgb = np.ascontiguousarray(bgr[..., ::-1]).astype(np.uint8)
        patches.append(Patch(path.stem, rgb, points, rows[:, 2] == LYMPHOCYTE_LABEL))
    return patches, digest.hexdigest()


def to_working(rgb: RGB, mpp: float) -> RGB:
    """Resample to 0.5 µm/px: area average down, cubic up."""
    size = (round(rgb.shape[1] * mpp / WORK_MPP), round(rgb.shape[0] * mpp / WORK_MPP))
    how = cv2.INTER_AREA if mpp < WORK_MPP else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb, size, interpolation=how), np.uint8)


def see(rgb: RGB, mpp: float = NUCLS_MPP) -> Seen:
    """Run every stage before classification on one image, as a case of its own."""
    work = Workspace()
    small = to_working(rgb, mpp) if abs(mpp - WORK_MPP) > 1e-3 else rgb
    od = optical_density(small, white_point(channel_histogram(small)), work)
    maps = base_maps(od, work)
    found = find_candidates(maps, work)
    gain = gain_from(found.colour[0])
    return Seen(found, measure(maps, found, work), gain, od[0].copy())


def nuclei_of(seen: Seen, classifier: NucleiClassifier) -> Nuclei:
    """Return the final nuclei of an image."""
    called = call_nuclei(seen.found, seen.measured, classifier, seen.gain)
    return merge_nuclei(called, seen.measured, seen.gain)


def match(points: F64, truth: F64, radius: float = 4.0) -> list[tuple[int, int]]:
    """Return the optimal one-to-one pairs (point, truth) within `radius` µm."""
    if len(points) == 0 or len(truth) == 0:
        return []
    distance = np.hypot(*(points[:, None] - truth[None]).transpose(2, 0, 1))
    cost = np.where(distance <= radius, distance - 1e3, 0)
    rows, columns = linear_sum_assignment(cost)
    return [
        (int(i), int(j)) for i, j in zip(rows, columns, strict=True) if distance[i, j] <= radius
    ]


def candidate_labels(seen: Seen, patch: Patch) -> npt.NDArray[np.int64]:
    """Return 0 none, 1 lymphocyte, 2 other per candidate, by matching at 4 µm."""
    points = (np.stack([seen.found.x, seen.found.y], 1) + 0.5) * WORK_MPP
    labels = np.zeros(len(seen.found), np.int64)
    for i, j in match(points, patch.points):
        labels[i] = 1 if patch.lymphocyte[j] else 2
    return labels


@dataclass(frozen=True)
class Score:
    """Counts of one image; sums over images give the table."""

    n: int
    n_truth: int
    hits4: int
    hits25: int
    lym: int
    lym_truth: int
    lym_hits: int
    other_called_lym: int
    other_matched: int
    lym_matched: int
    share: float
    truth: float


def score(nuclei: Nuclei, patch: Patch) -> Score:
    """Compare nuclei with the annotation of a patch."""
    points = np.stack([nuclei.x_um, nuclei.y_um], 1).astype(float)
    pairs = match(points, patch.points)
    lym = nuclei.is_lymphocyte
    is_lym = [(bool(lym[i]), bool(patch.lymphocyte[j])) for i, j in pairs]
    return Score(
        n=len(nuclei),
        n_truth=len(patch.points),
        hits4=len(pairs),
        hits25=len(match(points, patch.points, 2.5)),
        lym=int(lym.sum()),
        lym_truth=int(patch.lymphocyte.sum()),
        lym_hits=sum(a and b for a, b in is_lym),
        other_called_lym=sum(a and not b for a, b in is_lym),
        other_matched=sum(not b for _, b in is_lym),
        lym_matched=sum(b for _, b in is_lym),
        share=float(lym.mean()) if len(nuclei) else 0.0,
        truth=patch.share,
    )


def summary(scores: list[Score], shares: list[float] | None = None) -> dict[str, float]:
    """Return the pooled figures; `shares` replaces the raw shares when given."""
    total = {k: sum(getattr(s, k) for s in scores) for k in Score.__dataclass_fields__}
    share = np.array([s.share for s in scores] if shares is None else shares)
    truth = np.array([s.truth for s in scores])
    return {
        "detection_f1_4um": 2 * total["hits4"] / (total["n"] + total["n_truth"]),
        "detection_f1_2.5um": 2 * total["hits25"] / (total["n"] + total["n_truth"]),
        "lymphocyte_f1": 2 * total["lym_hits"] / (total["lym"] + total["lym_truth"]),
        "share_mae": float(np.abs(share - truth).mean()),
        "share_spearman": rank_correlation(share, truth),
    }


def rank_correlation(a: F64, b: F64) -> float:
    """Return Spearman's rho, NaN when one side is constant."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)


def interval(a: F64, b: F64, what: str, draws: int = 2000) -> tuple[float, float]:
    """Return the 95 % bootstrap interval over images of ``spearman`` or ``mae``."""
    rng, values = np.random.default_rng(0), []
    for _ in range(draws):
        pick = rng.integers(0, len(a), len(a))
        x, y = a[pick], b[pick]
        values.append(rank_correlation(x, y) if what == "spearman" else np.abs(x - y).mean())
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
