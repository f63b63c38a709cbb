"""The report that `analyze` returns shows and stores itself."""

import html
from pathlib import Path

import pytest
import samples
from pages import printed

from immunopath.domain.errors import OutputError
from immunopath.domain.report import RESEARCH_USE
from immunopath.reporting.rendered import RenderedReport

SAMPLES = samples.every_sample()


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_json_reads_back_to_an_equal_report(name: str) -> None:
    report = SAMPLES[name]
    assert RenderedReport.model_validate_json(report.to_json()) == report


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_every_format_carries_the_statement(name: str) -> None:
    report = SAMPLES[name]
    assert RESEARCH_USE in report.to_json()
    assert RESEARCH_USE.replace("&", "&amp;") in report.to_markdown()
    assert RESEARCH_USE.replace("&", "&amp;") in report.to_html()
    assert "Research use only." in printed(report)


def test_each_format_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    report = samples.full().with_figures(samples.figures())
    written = (
        (report.to_json, "r.json"),
        (report.to_markdown, "r.md"),
        (report.to_html, "r.html"),
    )
    for write, name in written:
        text = write(tmp_path / name)
        assert (tmp_path / name).read_text("utf-8") == text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.html", "r.json", "r.md"]
    with pytest.raises(OutputError):
        report.to_html(tmp_path)


def test_pictures_are_shown_and_never_stored() -> None:
    report = samples.full()
    pictured = report.with_figures(samples.figures())
    assert "<image href=" in pictured.to_html()
    assert "<image href=" not in report.to_html()
    assert pictured.to_json() == report.to_json()
    assert "<image href=" not in RenderedReport.model_validate_json(pictured.to_json()).to_html()


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_prompt_shows_one_line_and_a_notebook_the_page(name: str) -> None:
    report = SAMPLES[name]
    assert len(repr(report).splitlines()) == 1
    assert len(repr(report)) < 300
    assert report.status.value in str(report)
    frame = report._repr_html_()
    inner = html.unescape(frame[frame.index('srcdoc="') + 8 : frame.index('" sandbox')])
    assert inner == report.to_html()


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_report_made_without_validating_again_is_the_same(name: str) -> None:
    report = SAMPLES[name]
    provenance = report.provenance.model_copy(update={"input_digest": "f" * 64})
    made = RenderedReport.of(report, provenance)
    checked = RenderedReport.model_validate(
        report.model_dump() | {"provenance": provenance.model_dump()}
    )
    assert made == checked
    assert made.to_json() == checked.to_json()
    assert made.to_html() == checked.to_html()
