"""Pictures for the HTML report, made from the pixels of a finished run."""

import cv2
import numpy as np

from immunopath.agents.context import Workspace
from immunopath.domain.outcome import Ok
from immunopath.domain.report import CaseReport
from immunopath.models.embedded.dense_sums import DenseSlide
from immunopath.models.protocols import NucleiTable
from immunopath.pipeline.heat_map import heat_figures
from immunopath.pipeline.slide_map import slide_maps
from immunopath.reporting.figures import FigureImage, Figures

MAX_SIDE_PX = 1100
JPEG_QUALITY = 85


def neighbour_ids(report: CaseReport) -> frozenset[str]:
    """Return the reference patches that the report shows."""
    shown = report.retrieval.value.neighbours if isinstance(report.retrieval, Ok) else ()
    return frozenset(n.neighbour_id for n in shown)


def make_figures(
    report: CaseReport,
    workspace: Workspace,
    neighbours: dict[str, bytes],
    heat: tuple[DenseSlide, ...] = (),
) -> Figures:
    """Return the display images with their nuclei; `neighbours` are thumbnails by id.

    heat: slides of a dense pass, which get maps of their own.
    """
    images = tuple(
        _figure(report, workspace, index, MAX_SIDE_PX) for index in range(len(report.images))
    )
    wanted = neighbour_ids(report)
    return Figures(
        images=(*slide_maps(report, workspace, MAX_SIDE_PX), *images),
        heat=heat_figures(heat, MAX_SIDE_PX),
        neighbour_jpegs={key: jpeg for key, jpeg in neighbours.items() if key in wanted},
    )


def _figure(report: CaseReport, workspace: Workspace, index: int, max_px: int) -> FigureImage:
    summary = report.images[index]
    rgb = workspace.store.image(index, max_px)
    height, width = rgb.shape[:2]
    um_per_px = summary.mpp * summary.width / width
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    table = workspace.nuclei_of(report) or _none()
    here = table.image_index == index
    return FigureImage(
        name=summary.name,
        jpeg=encoded.tobytes(),
        width=width,
        height=height,
        um_per_px=um_per_px,
        x=table.x_um[here] / np.float32(um_per_px),
        y=table.y_um[here] / np.float32(um_per_px),
        is_lymphocyte=table.is_lymphocyte[here],
        in_nest=table.in_nest[here],
    )


def _none() -> NucleiTable:
    empty = np.zeros(0, np.float32)
    no = np.zeros(0, np.bool_)
    return NucleiTable(empty, empty, np.zeros(0, np.int32), empty, empty, no, no)
