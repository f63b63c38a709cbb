"""The thumbnail of a slide with every tile of its grid marked by what became of it."""

from collections.abc import Mapping

import cv2
import numpy as np

from immunopath.domain.errors import ImageReadError
from immunopath.imaging.arrays import RGB
from immunopath.imaging.slides.plan import TilePlan
from immunopath.imaging.tiles import Box

SELECTED, ACCEPTED = "selected", "accepted"
_COLOURS = {
    SELECTED: (0, 110, 0),
    ACCEPTED: (70, 130, 180),
    "pen": (0, 0, 0),
    "fold": (200, 120, 0),
    "blur": (150, 0, 150),
}
_OTHER = (200, 0, 0)
_SHOWN_PX = 1600
_LINE_PX = 2


def overlay_png(plan: TilePlan, bounds: Box, states: Mapping[tuple[int, int], str]) -> bytes:
    """Return a PNG of the thumbnail with frames; places without a state (glass) have none.

    `states` maps (column, row) to ``selected``, ``accepted`` or the reason of a rejection.
    """
    picture = _enlarged(plan.mask.rgb)
    across = picture.shape[1] / bounds[2]
    down = picture.shape[0] / bounds[3]
    for place in plan.places:
        state = states.get((place.column, place.row))
        if state is None or state == "glass":
            continue
        x, y, width, height = place.box
        corner = (round((x - bounds[0]) * across) + 1, round((y - bounds[1]) * down) + 1)
        end = (
            round((x - bounds[0] + width) * across) - 2,
            round((y - bounds[1] + height) * down) - 2,
        )
        cv2.rectangle(picture, corner, end, _COLOURS.get(state, _OTHER), _LINE_PX)
    done, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not done:
        raise ImageReadError("the thumbnail cannot be encoded")
    return data.tobytes()


def _enlarged(rgb: RGB) -> RGB:
    """Return a copy that is large enough to draw on."""
    longest = max(rgb.shape[:2])
    factor = max(1, min(8, _SHOWN_PX // longest))
    size = (rgb.shape[1] * factor, rgb.shape[0] * factor)
    bigger = cv2.resize(np.ascontiguousarray(rgb), size, interpolation=cv2.INTER_NEAREST)
    return np.array(bigger, dtype=np.uint8)
