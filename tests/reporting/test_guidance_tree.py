"""An explanation on a terminal: order, width, no hostile text, no words of an order."""

import re
from datetime import date
from pathlib import Path

import pytest
from pages import printed, squeezed
from rich.cells import cell_len
from samples import HOSTILE

from immunopath.domain.guidance import Category
from immunopath.guidelines.check import Vignette, load_vignettes
from immunopath.guidelines.explain import Explanation, StatedCase, explain, load_case
from immunopath.guidelines.stages import STAGES
from immunopath.guidelines.vocabulary import parse_inputs
from immunopath.reporting.guidance_tree import ExplanationReport
from immunopath.reporting.text import ascii_only, visible

ROOT = Path(__file__).parents[2]
AS_OF = date(2026, 11, 1)
ORDERS = re.compile(r"\b(recommend\w*|should receive|safe|guaranteed)\b", re.IGNORECASE)
OWN = ROOT / "tests/guidelines/vignettes.yaml"
VIGNETTES = load_vignettes(OWN)


def example(name: str) -> tuple[Explanation, ExplanationReport]:
    stated = load_case(ROOT / "examples" / f"clinical_{name}.yaml")
    found = explain(stated, as_of=AS_OF)
    return found, ExplanationReport(found, stated.clinical)


@pytest.mark.parametrize("name", ["complete", "minimal"])
def test_missing_stands_before_the_category_and_the_options(name: str) -> None:
    _, shown = example(name)
    lines = printed(shown).splitlines()
    wanted = ["RULE PATH", "MISSING, CONFLICTING", "CATEGORY", "OPTIONS", "CONFIRMATORY TESTS",
              "FLAGS", "WHAT WOULD CHANGE", "NEARLY FIRED", "EVIDENCE", "KNOWLEDGE"]  # fmt: skip
    places = [next(n for n, line in enumerate(lines) if line.startswith(w)) for w in wanted]
    assert places == sorted(places)


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("name", ["complete", "minimal"])
def test_nothing_is_wider_than_the_terminal(name: str, width: int) -> None:
    _, shown = example(name)
    assert max(map(cell_len, printed(shown, width).splitlines())) <= min(width, 100)


def test_it_is_readable_without_colour_and_without_unicode() -> None:
    _, shown = example("minimal")
    text = printed(shown, encoding="ascii")
    assert "\x1b" not in text
    assert "if TPS >= 50 % -> ICI MONO OPTIONS" in text
    assert "+-- 4 router" in text


def test_every_stage_is_named_in_its_fixed_order() -> None:
    for name in ("complete", "minimal"):
        text = printed(example(name)[1])
        places = [text.index(f" {n} {stage}") for n, (stage, _) in enumerate(STAGES, start=1)]
        assert places == sorted(places)
    assert "6 options: not reached" in text


def test_everything_said_is_on_the_page() -> None:
    found, shown = example("complete")
    text = _plain(printed(shown, 100))
    said = found.guidance
    for rule in said.fired:
        assert _plain(f"{rule.rule_id} {rule.summary}") in text
        assert _plain(f"cites {', '.join(rule.references)}") in text
    for option in said.options:
        for part in (option.name, option.regimen_id, option.reason, option.schedule):
            assert _plain(part) in text
    for test in said.tests:
        assert _plain(test.name) in text
        assert _plain(test.turnaround) in text
    for row in said.references:
        assert row.key in text
    for rule in found.nearly_fired:
        assert _plain(f"if {rule.would_fire_if}") in text
    assert "PMID 27718847" in squeezed(text)
    assert said.knowledge_version in text
    assert text.count(_plain(said.research_use)) == 2


def test_the_tree_says_what_each_missing_result_would_decide() -> None:
    text = _plain(printed(example("minimal")[1], 100))
    for words in (
        "if ALK fusion -> DRIVER DIRECTED", "would list, rank 1: lorlatinib",
        "if TPS < 1 % -> ICI CHEMO OPTIONS", "They are not options of this case",
    ):  # fmt: skip
        assert words in text
    assert "Unknown: " in text
    assert "primary site, " in text
    assert "gene_" not in text


def test_what_would_change_names_what_opens_and_closes() -> None:
    stated = StatedCase(
        name="c",
        clinical=parse_inputs(
            {"histology": "adenocarcinoma", "drivers": "all_neg", "pdl1_tps": 80,
             "transplant": "unknown"}, defaults=True),
    )  # fmt: skip
    text = _plain(printed(ExplanationReport(explain(stated, as_of=AS_OF), stated.clinical), 100))
    assert "if kidney -> MDT SAFETY REVIEW" in text
    assert "closes " in text
    assert "RX-" not in text[text.index("WHAT WOULD CHANGE") : text.index("NEARLY FIRED")]


@pytest.mark.parametrize("vignette", VIGNETTES, ids=[v.id for v in VIGNETTES])
def test_no_vignette_sounds_like_an_order(vignette: Vignette) -> None:
    clinical = parse_inputs(vignette.inputs, defaults=True)
    found = explain(StatedCase(name=vignette.id, clinical=clinical), as_of=AS_OF)
    assert ORDERS.findall(printed(ExplanationReport(found, clinical))) == []


def test_a_rejected_case_names_its_fields_and_lists_nothing() -> None:
    clinical = parse_inputs({"histology": "adenocarcinoma", "pdl1_tps": 150}, defaults=True)
    found = explain(StatedCase(name="c", clinical=clinical), as_of=AS_OF)
    assert found.guidance.category is Category.REJECT_INVALID_INPUT
    text = _plain(printed(ExplanationReport(found, clinical)))
    assert "Rejected input: pdl1_tps" in text
    assert "No option is listed in the category REJECT INVALID INPUT" in text
    assert "4 router: not reached" in text


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_drives_no_terminal(hostile: str) -> None:
    inputs = {"histology": "adenocarcinoma", "prior_io": {"agent": hostile, "worst_irae": hostile},
              "age": hostile, "line": 2}  # fmt: skip
    clinical = parse_inputs(inputs, defaults=True)
    found = explain(StatedCase(name=hostile, clinical=clinical), as_of=AS_OF)
    text = printed(ExplanationReport(found, clinical), colour=False)
    assert all(c.isprintable() or c == "\n" for c in text)
    assert _dense(f"Case {visible(hostile)}") in _dense(text)
    plain = printed(ExplanationReport(found, clinical), encoding="ascii")
    assert _dense(ascii_only(visible(hostile))) in _dense(plain)


def _plain(text: str) -> str:
    """Return text without tree guides, on one line."""
    return squeezed(re.sub(r"[│├└─┃━┏┓┗┛]+|^\s+", " ", text, flags=re.MULTILINE))


def _dense(text: str) -> str:
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize(
    ("inputs", "tree", "single"),
    [
        ({"drivers": "all_unknown"}, True, False),
        ({"drivers": "all_neg", "pdl1_tps": 150}, False, False),
        ({"drivers": "EGFR:L858R", "ecog": 3}, False, True),
    ],
)
def test_an_empty_what_would_change_says_why(
    inputs: dict[str, object], tree: bool, single: bool
) -> None:
    clinical = parse_inputs({"histology": "adenocarcinoma", **inputs}, defaults=True)
    found = explain(StatedCase(name="x", clinical=clinical), as_of=AS_OF)
    empty = found.guidance.model_copy(update={"what_would_change": ()})
    shown = ExplanationReport(found.model_copy(update={"guidance": empty}), clinical)
    text = squeezed(printed(shown))
    assert ("What each answer would list stands in the conditional tree" in text) is tree
    assert ("No single missing value of those tried" in text) is single


def test_the_queue_speaks_of_laboratory_tests_only() -> None:
    inputs = {"histology": "adenocarcinoma", "drivers": "all_neg", "pdl1_tps": 30, "ild": "unknown",
              "stage": "IIIB", "question": "stage_iii_unresectable",
              "crt_status": "completed_concurrent", "progression_after_crt": False}  # fmt: skip
    clinical = parse_inputs(inputs, defaults=True)
    found = explain(StatedCase(name="x", clinical=clinical), as_of=AS_OF)
    text = squeezed(printed(ExplanationReport(found, clinical)))
    assert "no laboratory test is outstanding" in text
    assert "pneumonitis or ILD is not excluded" in text
