"""The sign-off sheet and the page of tables: complete, harmless in a spreadsheet, current."""

import csv
import io
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from immunopath.guidelines.loader import Knowledge, knowledge_texts
from immunopath.guidelines.page import COMMAND, guideline_page
from immunopath.guidelines.page_text import anchor, cell, table
from immunopath.guidelines.review import COLUMNS, TO_FILL, defused, read_source, review_sheet

PAGE = Path(__file__).parents[2] / "docs" / "guidelines.md"
ORDERS = re.compile(r"\b(recommend\w*|should receive|safe|guaranteed)\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def page() -> str:
    return guideline_page()


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(review_sheet())))


def test_the_committed_page_is_current(page: str) -> None:
    assert PAGE.read_text("utf-8") == page, f"docs/guidelines.md is not current: run {COMMAND}"


def test_the_page_is_the_same_every_time_and_carries_no_digest(kb: Knowledge, page: str) -> None:
    assert guideline_page() == page
    assert kb.version.split("+")[1] not in page
    commented = {n: f"# a remark\n{text}" for n, text in knowledge_texts().items()}
    assert guideline_page(read_source(commented)) == page


def test_the_page_holds_every_record(kb: Knowledge, page: str) -> None:
    rules = [r.spec for t in kb.tables.values() for r in t.rules]
    for code in (*(r.id for r in rules), *kb.regimens, *kb.tests, *kb.flags, *kb.references):
        assert f"| {code}<br>" in page or f"| {code} |" in page, code
    for spec in rules:
        assert cell(spec.summary) in page
    for regimen in kb.regimens.values():
        assert cell(regimen.schedule) in page
    for text in kb.manifest.headlines.values():
        assert text in page


def test_the_head_says_what_the_page_is(kb: Knowledge, page: str) -> None:
    head = page[:1500]
    assert "Not reviewed by a clinician." in head
    assert kb.manifest.version in head
    assert kb.manifest.knowledge_date.isoformat() in head
    assert kb.manifest.research_use in head
    assert ORDERS.findall(page) == []


def test_the_page_is_well_formed(page: str) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(page)
    assert sum(token.type == "table_open" for token in tokens) > 30
    width = 0
    for line in page.splitlines():
        bars = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert bars == width or not bars or not width, line
        width = bars
    titles = [line[3:] for line in page.splitlines() if line.startswith("## ")]
    linked = re.findall(r"^\* \[.*\]\(#(.*)\)$", page, re.MULTILINE)
    assert {anchor(title) for title in titles} >= set(linked)
    assert len(linked) == len(set(linked)) == len(titles) - 2


def test_a_cell_shows_its_text_and_nothing_else() -> None:
    text = "a | b < 1 <b>x</b> &amp; *c* [d](e) `f` _g_ NGS_DNA\nh"
    html = MarkdownIt("commonmark").enable("table").render("\n".join(table(("x",), [(text,)])))
    assert "<b>" not in html
    assert "<a " not in html
    assert "<em>" not in html
    assert "<code>" not in html
    assert html.count("<td>") == 1
    assert "NGS_DNA<br>h" in html
    assert "&amp;amp;" in html


def test_the_sheet_has_a_row_for_every_rule_and_regimen(
    kb: Knowledge, rows: list[dict[str, str]]
) -> None:
    assert list(rows[0]) == [*COLUMNS, *TO_FILL]
    rules = [rule.spec.id for found in kb.tables.values() for rule in found.rules]
    assert sorted(r["id"] for r in rows if r["kind"] == "rule") == sorted(rules)
    assert [r["id"] for r in rows if r["kind"] == "regimen"] == list(kb.regimens)


def test_the_sheet_states_everything_and_signs_nothing(rows: list[dict[str, str]]) -> None:
    for row in rows:
        assert {name for name in COLUMNS if not row[name]} <= {"references"}, row["id"]
        assert [row[name] for name in TO_FILL] == [""] * 4
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", row["last_reviewed"])
        assert row["references"] or row["kind"] == "regimen"
        assert not any(value.lstrip()[:1] in tuple("=+-@") for value in row.values())


def test_a_pending_regimen_is_marked(kb: Knowledge, rows: list[dict[str, str]]) -> None:
    pending = {r.id for r in kb.regimens.values() if r.status != "active"}
    assert {r["id"] for r in rows if "never listed" in r["strength"]} == pending


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\n=1"])
def test_a_cell_that_would_run_is_defused(text: str) -> None:
    assert defused(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "TPS >= 50", "a-b", "1", ">= 50", "'x"])
def test_any_other_cell_is_left_alone(text: str) -> None:
    assert defused(text) == text


def test_a_hostile_knowledge_text_is_defused() -> None:
    texts = dict(knowledge_texts())
    texts["rules_scope.yaml"] = texts["rules_scope.yaml"].replace(
        "younger than 18: paediatric pathway", "=HYPERLINK(A1)"
    )
    assert "=HYPERLINK" in texts["rules_scope.yaml"]
    sheet = review_sheet(read_source(texts))
    assert "'=HYPERLINK(A1)" in sheet
    assert ",=HYPERLINK" not in sheet


def test_a_rule_may_have_a_date_of_its_own() -> None:
    source = read_source()
    content = dict(source.raw["rules_scope.yaml"])
    content["rules"] = [
        dict(content["rules"][0], last_reviewed="2027-01-02"),
        *content["rules"][1:],
    ]
    dated = review_sheet(type(source)(source.kb, {**source.raw, "rules_scope.yaml": content}))
    found = {row["id"]: row["last_reviewed"] for row in csv.DictReader(io.StringIO(dated))}
    first, second = content["rules"][0]["id"], content["rules"][1]["id"]
    assert found[first] == "2027-01-02"
    assert found[second] == content["last_reviewed"]
