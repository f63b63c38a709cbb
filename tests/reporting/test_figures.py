"""The pixels of a report travel beside it: shown in the page, never serialised."""

from dataclasses import FrozenInstanceError, fields

import pytest
import samples

from immunopath.reporting.figures import FigureImage, Figures
from immunopath.reporting.html import render_html
from immunopath.reporting.rendered import RenderedReport

FIGURES = samples.figures(40)


def test_without_figures_there_is_nothing_to_show() -> None:
    empty = Figures()
    assert empty.images == ()
    assert dict(empty.neighbour_jpegs) == {}
    assert Figures().neighbour_jpegs is not empty.neighbour_jpegs


@pytest.mark.parametrize("kind", [Figures, FigureImage])
def test_figures_cannot_be_exchanged(kind: type) -> None:
    made = FIGURES if kind is Figures else FIGURES.images[0]
    for field in fields(kind):
        with pytest.raises(FrozenInstanceError):
            setattr(made, field.name, None)


def test_a_report_with_figures_is_written_as_one_without() -> None:
    report = samples.full()
    assert report.with_figures(FIGURES).to_json() == report.to_json()
    assert report.with_figures(FIGURES).to_markdown() == report.to_markdown()


def test_the_page_shows_the_figures_of_its_report() -> None:
    report = samples.full()
    assert report.with_figures(FIGURES).to_html() == render_html(report, FIGURES)
    assert report.to_html() == render_html(report, None)
    assert "data:image/jpeg;base64," in report.with_figures(FIGURES).to_html()


def test_putting_figures_beside_a_report_leaves_the_report_alone() -> None:
    report = samples.full()
    before = report.to_html()
    shown = report.with_figures(FIGURES)
    assert report.to_html() == before
    assert shown.with_figures(None).to_html() == before


def test_a_stored_report_has_lost_its_pixels_and_nothing_else() -> None:
    shown = samples.full().with_figures(FIGURES)
    back = RenderedReport.model_validate_json(shown.to_json())
    assert back.to_json() == shown.to_json()
    assert "its images are not part of it" in back.to_html()
