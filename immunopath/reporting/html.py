"""The report as one self-contained HTML page: no script, no request, everything escaped."""

import base64
import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from immunopath.domain.report import CaseReport, CaseStatus
from immunopath.reporting.figures import Figures
from immunopath.reporting.overlay import data_address, overlay
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
    return render_page(
        "report.html.j2",
        page=document(report),
        refused=report.status is CaseStatus.refused,
        figures=[overlay(image, assumed=image.name in assumed) for image in shown],
        thumbnails={key: data_address(data) for key, data in thumbnails.items()},
        no_figure=_NO_PIXELS if figures is None else _NO_FIGURE,
    )


def render_page(template: str, **values: Any) -> str:  # noqa: ANN401 - what templates show
    """Return a page of `templates/` in the house's style, which its content policy admits."""
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    sheet = Markup(style)  # noqa: S704 - the package's own file
    page = _environment().get_template(template)
    return page.render(**values, style=sheet, style_digest=digest)


def _style() -> str:
    return files("immunopath.reporting").joinpath("templates/report.css").read_text("utf-8")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("immunopath.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
