"""The shell that all pages have."""

import re

from immunopath.app.pages import HERE
from immunopath.domain.report import RESEARCH_USE
from immunopath.reporting.cohort_page import worklist_page
from immunopath.reporting.page import served

HOSTILE = "a\u202egnp.exe\x1b[2J\u2066<b>"


def line(case_id: str) -> dict[str, object]:
    keys = ("file", "triage_level", "why", "tissue_at_risk", "tests", "waiting_days")
    more = dict.fromkeys((*keys, "exploratory_order", "exploratory_basis"))
    return {"rank": 1, "case_id": case_id} | more


def test_no_value_of_a_page_reorders_or_hides_text() -> None:
    from datetime import date

    stored = worklist_page([], [line(HOSTILE)], date(2026, 11, 28))
    shown = served(
        "error.html.j2", package=HERE, sheet="/a.css", banner=RESEARCH_USE, tab="case",
        message=HOSTILE,
    )  # fmt: skip
    for page in (stored, shown):
        assert r"a\u202egnp.exe\x1b[2J\u2066&lt;b&gt;" in page
        assert not any(char in page for char in "\u202e\u2066\x1b")


def test_a_page_has_its_style_in_it_or_links_to_it() -> None:
    from datetime import date

    stored = worklist_page([], [], date(2026, 11, 28))
    assert re.search(r"style-src 'sha256-[\w+/]{43}='; base-uri 'none'", stored)
    assert "<script" not in stored
    assert "<link" not in stored
    links = {"sheet": "/a.css", "scripts": ("/a.js",)}
    shown = served(
        "error.html.j2", package=HERE, banner=RESEARCH_USE, tab="case", message="x", **links
    )
    assert '<link rel="stylesheet" href="/a.css">' in shown
    assert '<script src="/a.js" defer></script>' in shown
    assert "<style" not in shown
    assert "http-equiv" not in shown
