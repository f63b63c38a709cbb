"""The page is one file that loads nothing, runs nothing and shows every string as text."""

import base64
import hashlib
import re

import pytest
import samples
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import Page, squeezed

from immunopath.domain.report import RESEARCH_USE
from immunopath.reporting.figures import Figures
from immunopath.reporting.html import render_html
from immunopath.reporting.text import visible

SAMPLES = samples.every_sample()
FIGURES = samples.figures()


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_tags_balance_and_nothing_is_loaded(name: str) -> None:
    html = render_html(SAMPLES[name], FIGURES)
    page = Page(html)
    assert page.unbalanced == []
    assert all(address.startswith(("#", "data:image/")) for address in page.addresses)
    assert not {"script", "link", "iframe", "object", "form", "base"} & set(page.tags)
    assert not [name for name in page.attributes if name.startswith("on") or name == "style"]
    assert set(re.findall(r"url\((.)", html)) == {"#"} or "url(" not in html
    assert "@import" not in html
    assert len(page.ids) == len(set(page.ids))


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_the_statement_stands_on_top_and_at_the_bottom(name: str) -> None:
    text = Page(render_html(SAMPLES[name])).text
    assert text.count(RESEARCH_USE) == 2
    assert text.endswith(RESEARCH_USE)


@pytest.mark.parametrize("text", samples.HOSTILE)
def test_hostile_text_adds_no_markup(text: str) -> None:
    page = Page(render_html(samples.hostile(text), samples.figures(name=text)))
    plain = Page(render_html(samples.hostile("plain"), samples.figures(name="plain")))
    assert page.tags == plain.tags
    assert page.attributes == plain.attributes
    assert page.text.count(squeezed(visible(text))) >= 15


@settings(max_examples=15, deadline=None)
@given(st.text(min_size=1, max_size=60))
def test_any_case_id_is_text(case_id: str) -> None:
    report = samples.refused().model_copy(update={"case_id": case_id, "status_reason": case_id})
    page = Page(render_html(report))
    assert page.unbalanced == []
    assert set(page.tags) <= set(Page(render_html(samples.full())).tags)
    assert squeezed(visible(case_id)) in page.text


def test_the_policy_allows_this_style_sheet_and_inline_images_only() -> None:
    html = render_html(samples.full(), FIGURES)
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert style
    assert policy
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy[1]
    assert policy[1].startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy[1]


def test_it_is_accessible() -> None:
    html = render_html(samples.full(), FIGURES)
    page = Page(html)
    assert 'lang="en"' in html
    assert page.tags.count("caption") == page.tags.count("table") > 3
    assert page.tags.count("h1") == 1
    assert page.tags.count("main") == 1
    for rule in ("prefers-color-scheme: dark", "@media print", "max-width: 40rem"):
        assert rule in html
    labelled = set(re.findall(r'aria-labelledby="([^"]+)"', html))
    assert labelled <= set(page.ids)
    assert set(re.findall(r'for="([^"]+)"', html)) <= set(page.ids)
    assert {a[1:] for a in page.addresses if a.startswith("#")} <= set(page.ids)


def test_everything_asked_for_is_on_the_page() -> None:
    text = Page(render_html(samples.test_first(), FIGURES)).text
    for word in (
        "Measured or stated", "Predicted from H&E", "Missing, conflicting or stale",
        "if TPS >= 50 %",
        "priority T1", "SERIOUS", "DISAGREE", "cosine 0.910", "BSD-3-Clause", "Guideline path",
        "ASCO living guideline", "Quality control of 4 tiles", "sha256", "Reviewer", "0.993",
    ):  # fmt: skip
        assert word in text
    assert "curated" in Page(render_html(samples.full(), FIGURES)).text


def test_pictures_are_inline_with_their_neighbours() -> None:
    html = render_html(samples.full(), FIGURES)
    assert html.count('src="data:image/jpeg;base64,') == 2
    assert html.count('<image href="data:image/jpeg;base64,') == 1
    assert html.count("no picture") == 1


def test_no_picture_waits_to_be_scrolled_to() -> None:
    """A browser prints none that it has not loaded yet, and they are in the page anyway."""
    html = render_html(samples.full(), FIGURES)
    assert "<img src=" in html
    assert "loading=" not in html


def test_a_stored_report_says_that_it_has_no_pixels() -> None:
    assert "its images are not part of it" in render_html(samples.full(), None)
    assert "could not be shown" in render_html(samples.full(), Figures())


def test_a_refused_image_is_shown_without_an_overlay() -> None:
    html = render_html(samples.refused(), FIGURES)
    assert "<image href=" in html
    assert "lymphocyte-like" not in html
    assert "41.2 %, at most 5 %" in html


def test_every_image_has_its_own_figure_and_switches() -> None:
    pictures = Figures(images=FIGURES.images * 3)
    page = Page(render_html(samples.full(), pictures))
    assert page.tags.count("figure") == 3
    assert page.unbalanced == []
    assert {"lymphocytes-0", "lymphocytes-1", "lymphocytes-2"} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_many_nuclei_stay_small() -> None:
    html = render_html(samples.full(), samples.figures(20_000))
    assert len(html.encode()) < 3_000_000
    assert html.count('class="lymphocytes"') == 1


def test_the_same_report_gives_the_same_page() -> None:
    assert render_html(samples.full(), FIGURES) == render_html(samples.full(), FIGURES)
