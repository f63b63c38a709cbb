"""The map of a slide: its thumbnail with the regions that were read, coloured by what they hold."""

from dataclasses import replace

import cv2
import numpy as np

from immunopath.agents.context import Workspace
from immunopath.domain.report import CaseReport
from immunopath.domain.words import counted
from immunopath.imaging.tiles import Box, SlidePicture
from immunopath.models.protocols import RGB, NucleiTable
from immunopath.reporting.figures import FigureImage

FULL_SHARE = 0.5
"""Share of lymphocyte-like nuclei at which the colour scale ends."""
RgbColour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""
_LINE_PX, _FONT = 2, cv2.FONT_HERSHEY_SIMPLEX
_MIN_SIDE_PX = 800


def slide_maps(report: CaseReport, workspace: Workspace, max_px: int) -> tuple[FigureImage, ...]:
    """Return one map for each slide of the case, in the order of its first region."""
    maps = []
    for digest, picture in workspace.store.slides.items():
        regions = {
            index: image.region
            for index, image in enumerate(report.images)
            if image.sha256 == digest and image.region is not None
        }
        if regions:
            nuclei = workspace.nuclei_of(report)
            first = set(report.sampling.rounds[0].images) if report.sampling else set(regions)
            shown = _map(picture, regions, _shares(nuclei, regions), max_px)
            later = len(set(regions) - first)
            picked = all(report.images[index].picked for index in regions)
            maps.append(
                replace(
                    shown,
                    name=f"{picture.name}: the regions that were {'picked' if picked else 'read'}",
                    caption=shown.caption + _later(len(regions) - later, later),
                )
            )
    return tuple(maps)


def _later(n_first: int, later: int) -> str:
    """Return which numbers are regions of further rounds; those come last."""
    return f" From {n_first + 1} on read in further rounds." if later else ""


def _shares(nuclei: NucleiTable | None, regions: dict[int, Box]) -> dict[int, float]:
    """Return the share of lymphocyte-like nuclei by image, where there are nuclei."""
    if nuclei is None:
        return {}
    mine = {index: nuclei.is_lymphocyte[nuclei.image_index == index] for index in regions}
    return {index: float(calls.mean()) for index, calls in mine.items() if len(calls)}


def _map(
    picture: SlidePicture, regions: dict[int, Box], shares: dict[int, float], max_px: int
) -> FigureImage:
    rgb = sized(picture.pixels, max_px)
    height, width = rgb.shape[:2]
    scale = (width / picture.box[2], height / picture.box[3])
    for number, (index, box) in enumerate(regions.items(), 1):
        corner = tuple(round((box[axis] - picture.box[axis]) * scale[axis]) for axis in (0, 1))
        end = tuple(round(corner[axis] + box[axis + 2] * scale[axis]) for axis in (0, 1))
        cv2.rectangle(rgb, corner, end, _colour(shares.get(index)), 2 * _LINE_PX)
        _number(rgb, number, corner)
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    empty, no = np.zeros(0, np.float32), np.zeros(0, np.bool_)
    return FigureImage(
        name=picture.name,
        jpeg=encoded.tobytes(),
        width=width,
        height=height,
        um_per_px=picture.resolution.mpp * picture.box[2] / width,
        x=empty,
        y=empty,
        is_lymphocyte=no,
        in_nest=no,
        caption=_caption(regions, shares),
    )


def _number(rgb: RGB, number: int, corner: tuple[int, ...]) -> None:
    """Write the number of a region on a white plate, so that it is read on dark tissue too."""
    (wide, high), _ = cv2.getTextSize(str(number), _FONT, 0.7, 2)
    left, top = corner[0] + _LINE_PX, corner[1] + _LINE_PX
    cv2.rectangle(rgb, (left, top), (left + wide + 8, top + high + 8), (255, 255, 255), -1)
    cv2.putText(rgb, str(number), (left + 4, top + high + 4), _FONT, 0.7, (0, 0, 0), 2, cv2.LINE_AA)


def _caption(regions: dict[int, Box], shares: dict[int, float]) -> str:
    text = f"{counted(len(regions), 'region', 'regions')}, numbered as the images below"
    if not shares:
        return f"{text}; no nuclei were counted."
    values = ", ".join(
        f"{number}: {shares[index]:.0%}" if index in shares else f"{number}: no nuclei"
        for number, index in enumerate(regions, 1)
    )
    return (
        f"{text}; colour: share of lymphocyte-like nuclei, uncorrected, from violet (none) to "
        f"yellow ({FULL_SHARE:.0%} and more). {values}."
    )


def _colour(share: float | None) -> RgbColour:
    return (90, 90, 90) if share is None else viridis(share / FULL_SHARE)


def viridis(level: float) -> RgbColour:
    """Return the colour of a level from 0 (violet) to 1 and more (yellow)."""
    step = np.full((1, 1), round(255 * min(level, 1.0)), np.uint8)
    blue, green, red = np.asarray(cv2.applyColorMap(step, cv2.COLORMAP_VIRIDIS))[0, 0].tolist()
    return int(red), int(green), int(blue)


def sized(rgb: RGB, max_px: int) -> RGB:
    """Return a copy whose longer side lies between 800 px and `max_px`, to draw on."""
    longest = max(rgb.shape[:2])
    factor = min(max_px, max(_MIN_SIDE_PX, longest)) / longest
    size = (max(1, round(rgb.shape[1] * factor)), max(1, round(rgb.shape[0] * factor)))
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.array(cv2.resize(np.ascontiguousarray(rgb), size, interpolation=way), dtype=np.uint8)
