"""The terminal report fits, hides nothing and needs neither colour nor Unicode."""

import re

import pytest
import samples
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import printed, words_of
from rich.cells import cell_len

from immunopath.domain.report import RESEARCH_USE
from immunopath.reporting.terminal import MAX_WIDTH, render_terminal
from immunopath.reporting.view import document

SAMPLES = samples.every_sample()
MARKER = "Ж"
few = settings(max_examples=15, deadline=None)


def widest(text: str) -> int:
    return max(cell_len(line) for line in text.split("\n"))


@pytest.mark.parametrize("name", sorted(SAMPLES))
@pytest.mark.parametrize("width", [40, 80, 200])
def test_every_line_fits(name: str, width: int) -> None:
    assert widest(printed(render_terminal(SAMPLES[name]), width)) <= min(width, MAX_WIDTH)


@few
@given(st.text(min_size=1, max_size=200))
def test_any_case_id_fits_and_cannot_drive_the_terminal(case_id: str) -> None:
    report = samples.partial().model_copy(update={"case_id": case_id, "status_reason": case_id})
    text = printed(render_terminal(report))
    assert widest(text) <= 80
    assert all(line.isprintable() for line in text.split("\n"))


@pytest.mark.parametrize("width", [40, 80])
def test_nothing_is_cut_off(width: int) -> None:
    report = samples.hostile(MARKER * 200)
    page = document(report)
    expected = sum(word.count(MARKER) for word in words_of(page))
    text = printed(render_terminal(report), width)
    assert expected > 3000
    assert text.count(MARKER) == expected


def test_severity_and_states_are_words() -> None:
    text = printed(render_terminal(samples.full()))
    for word in ("SERIOUS", "CAUTION", "NOTE", "STOP", "INFO", "DISAGREE", "What to do"):
        assert word in text
    assert "\x1b" not in text


def test_colour_adds_nothing_but_colour() -> None:
    coloured = printed(render_terminal(samples.full()), colour=True)
    plain = printed(render_terminal(samples.full()))
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_terminal_without_unicode_gets_ascii(name: str) -> None:
    text = printed(render_terminal(SAMPLES[name]), encoding="ascii")
    assert text.isascii()
    assert widest(text) <= 80


@pytest.mark.parametrize("text", samples.HOSTILE)
def test_markup_is_shown_and_not_obeyed(text: str) -> None:
    shown = printed(render_terminal(samples.hostile(text)), colour=True)
    assert "\x1b]" not in shown
    assert "\x1b[2J" not in shown
    assert "\u202e" not in shown
    if text.startswith("[bold"):
        assert "[bold red]x[/bold red]" in shown


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_the_statement_stands_first_and_last(name: str) -> None:
    lines = printed(render_terminal(SAMPLES[name])).split("\n")
    text = " ".join(" ".join(lines).replace("┃", " ").split())
    assert text.count(RESEARCH_USE) == 2
    assert text.endswith(RESEARCH_USE)


def test_what_is_missing_stands_before_any_option() -> None:
    text = printed(render_terminal(samples.full()))
    missing = text.index("MISSING, CONFLICTING OR STALE")
    assert text.index("MEASURED OR STATED") < missing < text.index("CATEGORY")
    assert text.index("CATEGORY") < text.index("OPTIONS ─") < text.index("CONFIRMATORY TESTS")


def test_open_tests_have_an_empty_box() -> None:
    text = printed(render_terminal(samples.full()))
    assert "[ ] NGS panel" in text
    assert "[done] PD-L1 IHC" in text


def test_a_refused_case_is_short() -> None:
    text = printed(render_terminal(samples.refused()))
    assert len(text.split("\n")) < 60
    assert "41.2 %, at most 5 %" in text


def test_a_report_prints_itself() -> None:
    assert printed(samples.full()) == printed(render_terminal(samples.full()))
