"""Text from outside is shown on one line, and nothing in it hides or acts."""

import samples
from hypothesis import given
from hypothesis import strategies as st

from immunopath.domain.quality import Verdict
from immunopath.domain.units import MppSource
from immunopath.domain.words import counted
from immunopath.reporting.text import (
    ascii_only,
    cleaned,
    number,
    scale_origin,
    share,
    visible,
)


@given(st.text(st.characters()))
def test_every_character_is_printable_and_on_one_line(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    assert visible(shown) == shown


@given(st.text(st.characters(categories=("L", "N", "P", "S"))))
def test_printable_text_is_untouched(text: str) -> None:
    if text.isprintable():
        assert visible(text) == text


def test_escapes_bidi_and_breaks_are_spelled_out() -> None:
    assert visible("\x1b[31m\u202ex\ny") == "\\x1b[31m\\u202ex\\ny"
    assert visible("a\u00a0b") == "a b"


@given(st.text())
def test_ascii_text_is_ascii(text: str) -> None:
    assert ascii_only(text).isascii()


def test_ascii_text_keeps_its_meaning() -> None:
    assert ascii_only("≥ 50 %, 0.5 µm²") == ">= 50 %, 0.5 um2"


def test_a_report_is_cleaned_at_every_depth() -> None:
    report = cleaned(samples.hostile("a\x1b\nb"))
    raw = report.model_dump_json(warnings=False)
    assert "\\u001b" not in raw
    assert "\\n" not in raw.replace("\\\\n", "")
    assert report.images[0].name == "a\\x1b\\nb"


def test_cleaning_keeps_enumerations_and_numbers() -> None:
    report = samples.full()
    shown = cleaned(report)
    assert shown == report
    assert isinstance(shown.tiles[0].quality.verdict, Verdict)


def test_numbers_keep_their_meaning() -> None:
    assert share(0.007) == "0.007"
    assert share(0.993) == "0.993"
    assert (share(0), share(1), share(0.31)) == ("0.00", "1.00", "0.31")
    assert (number(2543.0), number(33.44), number(0.412, 3)) == ("2543", "33.4", "0.412")
    assert (counted(1, "tile"), counted(2, "patch", "patches")) == ("1 tile", "2 patches")


def test_every_way_of_knowing_a_scale_has_words() -> None:
    for source in MppSource:
        assert "_" not in scale_origin(source.value)
    assert scale_origin("tag, user") == "from the image's metadata, stated by the user"
    assert scale_origin("guess_work") == "guess work"


def test_nothing_short_of_certainty_reads_as_certain() -> None:
    assert (share(0.0), share(0.0004), share(0.007)) == ("0.00", "< 0.001", "0.007")
    assert (share(1.0), share(0.9996), share(0.993)) == ("1.00", "> 0.999", "0.993")
    assert (number(0.0), number(0.0004), number(-0.00012)) == ("0", "0.0004", "-0.00012")
