"""The shapes of a report: whatever stands in a document reaches every kind of reader."""

import html
import re
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from typing import Any, get_args

import pytest
import samples
from markdown_it import MarkdownIt
from pages import Page, printed, squeezed

from immunopath.reporting import document as doc
from immunopath.reporting.html import render_html
from immunopath.reporting.markdown import render_markdown
from immunopath.reporting.terminal import TerminalReport
from immunopath.reporting.view import document

BLOCKS = get_args(doc.Block)
SAMPLES = {
    name: samples.every_sample()[name] for name in ("full", "test_first", "partial", "refused")
}
_CODES = frozenset({"key", "picture", "tone", "kind", "shape", "status"})
PAIR = doc.Pair("Plabel", "Pvalue", "Pdetail")
ENTRY = doc.Entry("Ehead", "Emark", "caution", ("Etag",), (doc.Pair("Llabel", "Lvalue"),))
BAR = doc.Bar("Blabel", 0.5, "Btext")
BRANCH = doc.Branch("Ccondition", "Coutcome", "Cnote", (doc.Entry("Cleaf"),))
INNER = doc.Question("Qinner", (doc.Branch("Icondition", "Ioutcome"),))
CARD = doc.Card("k", "Klabel", "Kvalue", (BAR,), "Ktitle", None, (PAIR,), abstained=False)
ONE_OF_EACH: dict[str, doc.Block] = {
    "para": doc.Para("Atext"),
    "pairs": doc.Pairs((PAIR,)),
    "entries": doc.Entries("plain", (ENTRY,)),
    "grid": doc.Grid("Gcaption", ("Ghead", "Gother"), (("Gcell", "Gsecond"),)),
    "tree": doc.Tree((doc.Question("Qtext", (replace(BRANCH, questions=(INNER,)),)),)),
    "cards": doc.Cards((CARD,), (doc.Pair("Slabel", "Svalue"),)),
    "boxes": doc.Boxes(doc.Box("Mtitle", "Mnote", (PAIR,)), doc.Box("Dtitle", "Dnote", (PAIR,))),
}


def strings(item: Any) -> list[str]:
    """Return every string of a document that a reader must be able to read."""
    if isinstance(item, str):
        return [item]
    if isinstance(item, tuple):
        return [word for each in item for word in strings(each)]
    if is_dataclass(item):
        names = [f.name for f in fields(item) if f.name not in _CODES]
        return [word for name in names for word in strings(getattr(item, name))]
    return []


def page_of(block: doc.Block) -> doc.Document:
    section = doc.Section("anchor", "Title", (block,), "Remark")
    return doc.Document("ID", "ok", "fine", "Banner", (PAIR,), (section,))


def test_every_shape_has_a_name_of_its_own() -> None:
    assert {kind.shape: kind for kind in BLOCKS} == {
        name: type(block) for name, block in ONE_OF_EACH.items()
    }


@pytest.mark.parametrize("name", sorted(ONE_OF_EACH))
def test_the_terminal_shows_every_word_of_every_shape(name: str) -> None:
    page = page_of(ONE_OF_EACH[name])
    text = squeezed(printed(TerminalReport(page), width=100))
    for word in strings(page):
        assert word in text or word in ("Title", "Mtitle", "Dtitle")
        assert word in text or word.upper() in text
    if name == "entries":
        assert "Etag" in text


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_every_string_of_a_report_is_on_the_page(name: str) -> None:
    text = Page(render_html(SAMPLES[name])).text
    page = document(SAMPLES[name])
    missing = [word for word in strings(page) if squeezed(word) not in text]
    assert missing == []
    assert len(strings(page)) > 50


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_every_string_of_a_report_is_in_the_markdown_when_it_is_shown(name: str) -> None:
    """Through a Markdown renderer: what is escaped must come out as it was."""
    shown = (
        MarkdownIt("commonmark", {"html": True})
        .enable("table")
        .render(render_markdown(SAMPLES[name]))
    )
    text = squeezed(html.unescape(re.sub(r"<[^>]*>", " ", shown)))
    bare = re.sub(r"\W+", "", text)
    missing = [w for w in strings(document(SAMPLES[name])) if re.sub(r"\W+", "", w) not in bare]
    assert [word for word in missing if word != "done"] == []


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_anchors_are_stable_words_and_unique(name: str) -> None:
    keys = [section.key for section in document(SAMPLES[name]).sections]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch(r"[a-z]+", key) for key in keys)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_no_section_is_empty_and_no_table_is_ragged(name: str) -> None:
    for section in document(SAMPLES[name]).sections:
        assert section.blocks
        assert section.title
        for block in section.blocks:
            assert isinstance(block, BLOCKS)
            if isinstance(block, doc.Grid):
                assert {len(row) for row in block.rows} <= {len(block.headers)}


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_bars_are_shares(name: str) -> None:
    for section in document(SAMPLES[name]).sections:
        for block in section.blocks:
            if isinstance(block, doc.Cards):
                shares = [bar.share for card in block.items for bar in card.bars]
                assert all(0 <= share <= 1 for share in shares)


@pytest.mark.parametrize(
    "kind", [kind for kind in vars(doc).values() if isinstance(kind, type) and is_dataclass(kind)],
    ids=lambda kind: kind.__name__,
)  # fmt: skip
def test_a_document_cannot_be_changed_by_the_renderer_that_shows_it(kind: type[Any]) -> None:
    assert kind.__dataclass_params__.frozen
    assert "__slots__" in vars(kind)


def test_documents_are_values() -> None:
    page = document(samples.full())
    assert page == document(samples.full())
    assert hash(page) == hash(document(samples.full()))
    with pytest.raises(FrozenInstanceError):
        page.case_id = "x"  # type: ignore[misc]


def test_what_is_unknown_is_marked_and_everything_else_is_not() -> None:
    assert doc.Pair("a", "b").known
    assert not doc.Pair("a", "b", known=False).known
