"""The report as one self-contained HTML page: no script, no request, everything escaped."""

from immunopath.domain.report import CaseReport, CaseStatus
from immunopath.reporting.figures import Figures
from immunopath.reporting.overlay import data_address, overlay
from immunopath.reporting.page import self_contained
from immunopath.reporting.view import document

_NO_PIXELS = "This page was made from a stored report: its images are not part of it."
_NO_FIGURE = "The image could not be shown."


def render_html(report: CaseReport, figures: Figures | None = None) -> str:
    """Return the page. Without `figures` it says so where the image would be.

    The content policy allows inline images and this page's own style sheet (by digest), nothing
    else: no script, no font, no request, no form.
    """
    shown = figures.images if figures else ()
    assumed = {image.name for image in report.images if image.mpp_source == "assumed"}
    thumbnails = dict(figures.neighbour_jpegs) if figures else {}
    return self_contained(
        "report.html.j2",
        page=document(report),
        refused=report.status is CaseStatus.refused,
        figures=[overlay(image, assumed=image.name in assumed) for image in shown],
        heat=[overlay(image) for image in figures.heat] if figures else [],
        thumbnails={key: data_address(data) for key, data in thumbnails.items()},
        no_figure=_NO_PIXELS if figures is None else _NO_FIGURE,
    )
