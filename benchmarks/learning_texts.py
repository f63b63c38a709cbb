"""What the base of the learning benchmark learns to write of a synthetic field, never a label."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from immunopath.domain.prediction import FIELD_VALUES
from immunopath.training.synthetic.cohort import SyntheticTile
from immunopath.training.synthetic.scene import place_field

GRID = 4
"""Squares a side of the map that the base learns to write: one per soft token of the image."""


@dataclass(frozen=True)
class Seen:
    """A drawn field and what its three texts say of it."""

    pixels: npt.NDArray[np.uint8]
    lymphocytes: npt.NDArray[np.float64]
    inside: npt.NDArray[np.float64]
    nests: npt.NDArray[np.float64]
    share: float
    inside_share: float

    def turned(self, quarter: int, mirrored: bool) -> "Seen":
        """Return the field turned and mirrored, its maps with it."""

        def moved(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
            found = np.rot90(values, quarter)
            return np.ascontiguousarray(found[:, ::-1] if mirrored else found)

        maps = (moved(m) for m in (self.pixels, self.lymphocytes, self.inside, self.nests))
        return Seen(*maps, self.share, self.inside_share)

    def map_text(self) -> str:
        """Return the map: digits for the squares, row by row."""
        many, within = (
            "".join(str(min(9, round(1.8 * n**0.5))) for n in counts.ravel())
            for counts in (self.lymphocytes, self.inside)
        )
        nests = "".join(str(min(9, int(share * 9.99))) for share in self.nests.ravel())
        return f"lymphocytes {many} inside {within} nests {nests}"

    def count_text(self) -> str:
        """Return the counts as roots of shares, which spread evenly."""
        return (
            f"share {min(self.share**0.5, 0.99):.2f} inside {min(self.inside_share**0.5, 0.99):.2f}"
        )


def seen(tile: SyntheticTile) -> Seen:
    """Draw a field and count it square by square."""
    import cv2

    cells = place_field(tile.scene, tile.seed)
    side = tile.scene.side_um
    points = cells.lymphocytes[((cells.lymphocytes >= 0) & (cells.lymphocytes < side)).all(axis=1)]
    at = (points / tile.scene.mpp).astype(int)
    squares = (points / side * GRID).astype(int)
    within = cells.nest[at[:, 1], at[:, 0]]

    def counted(keep: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        found = np.zeros((GRID, GRID))
        np.add.at(found, (squares[keep, 1], squares[keep, 0]), 1)
        return found

    nests = cv2.resize(cells.nest.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
    truth = tile.truth
    in_nests = truth.lymphocytes_inside / max(1, truth.lymphocytes_inside + truth.tumour)
    everywhere = np.ones(len(points), dtype=np.bool_)
    return Seen(tile.pixels(), counted(everywhere), counted(within), nests, truth.share, in_nests)


def random_answer(rng: np.random.Generator) -> str:
    """Return an eight-field answer that says nothing: every value drawn at random."""
    found = {
        name: round(float(rng.random()), 2) if values is None else str(rng.choice(values))
        for name, values in FIELD_VALUES.items()
    }
    return json.dumps(found, separators=(",", ":"))
