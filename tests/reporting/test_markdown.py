"""Markdown shows every string as it is: a real parser finds no markup that we did not write."""

import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pages import Page, squeezed

from immunopath.domain.report import RESEARCH_USE
from immunopath.reporting.markdown import escape, render_markdown
from immunopath.reporting.text import visible

SAMPLES = samples.every_sample()
PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
OURS = {
    "h1", "h2", "h3", "p", "ul", "ol", "li", "strong", "em", "table", "thead", "tbody", "tr",
    "th", "td", "blockquote", "details", "summary",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_only_our_own_markup_is_in_it(name: str) -> None:
    page = Page(PARSER.render(render_markdown(SAMPLES[name])))
    assert set(page.tags) <= OURS
    assert page.addresses == []
    assert page.text.count(RESEARCH_USE) == 2


@pytest.mark.parametrize("text", samples.HOSTILE)
def test_hostile_text_is_shown_word_for_word(text: str) -> None:
    page = Page(PARSER.render(render_markdown(samples.hostile(text))))
    assert page.text.count(squeezed(visible(text))) >= 15


@given(st.text())
def test_any_text_survives_in_a_line_an_item_and_a_cell(text: str) -> None:
    shown = visible(text)
    escaped = escape(shown)
    for frame in (f"- {escaped}", f"x {escaped}", f"| a |\n| --- |\n| {escaped} |"):
        page = Page(PARSER.render(frame))
        assert set(page.tags) <= {"ul", "li", "p", "table", "thead", "tbody", "tr", "th", "td"}
        lead = {"x": "x ", "|": "a "}.get(frame[0], "")
        assert page.text == squeezed(lead + shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://evil.example", "https\\://evil.example"),
        ("www.evil.example", "www\\.evil.example"),
        ("@someone", "\\@someone"),
        ("0.31 (90 %)", "0.31 (90 %)"),
        ("1. item", "&#49;. item"),
    ],
)
def test_links_mentions_and_lists_are_not_made(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_tests_are_a_task_list() -> None:
    text = render_markdown(samples.full())
    assert "- [ ] **NGS panel, DNA and RNA, tissue**" in text
    assert "- [x] **PD-L1 IHC" in text


def test_it_reads_in_the_agreed_order() -> None:
    text = render_markdown(samples.test_first())
    places = [
        text.index(f"## {title}")
        for title in ("Case summary", "Missing", "Category", "Options", "Confirmatory", "If the")
    ]
    assert places == sorted(places)
    assert text.index("### Measured or stated") < text.index("### Predicted from H&amp;E")
