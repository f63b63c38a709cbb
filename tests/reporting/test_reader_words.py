"""What a newcomer reads first: serious findings, names instead of ids, marks that are explained."""

from typing import Any

import samples
import samples_guidance as guidance
from pages import printed, squeezed
from test_view import section, text_of, with_rules

from immunopath.domain.finding import Severity
from immunopath.domain.report import CaseReport
from immunopath.guidelines.loader import load_knowledge
from immunopath.reporting import document as doc
from immunopath.reporting.document import Pair
from immunopath.reporting.html import render_html
from immunopath.reporting.markdown import render_markdown
from immunopath.reporting.option_words import regimen_name
from immunopath.reporting.path_view import missing_rows
from immunopath.reporting.terminal import render_terminal
from immunopath.reporting.view import document

CHANGE = guidance.with_options().what_would_change[0]


def noted(**changes: Any) -> CaseReport:
    option = guidance.with_options().options[0].model_copy(update=changes)
    return with_rules(options=(option,))


def test_no_key_of_a_field_and_no_long_number_reaches_the_reader() -> None:
    finding = samples.findings()[2].model_copy(
        update={"message": "Only one opinion on til_density."}
    )
    lines = ("til_fraction: 0.6750320703922525 (prediction, not informative: no card)",)
    report = with_rules(appendix=lines).model_copy(update={"findings": (finding,)})
    words = text_of(document(report))
    assert "Only one opinion on TIL density." in words
    assert "TIL fraction: 0.675 (prediction" in words
    assert "til_" not in words
    assert "priority" in text_of(section(samples.test_first(), "category"))


def test_serious_findings_stand_at_the_top_everywhere() -> None:
    serious = samples.findings()[2].model_copy(
        update={"code": "MPP_IMPLAUSIBLE", "message": "The resolution is implausible."}
    )
    report = samples.full().model_copy(update={"findings": (samples.findings()[0], serious)})
    (block,) = section(report, "missing").blocks
    assert isinstance(block, doc.Pairs)
    assert block.rows[0] == Pair(
        "Serious", "The resolution is implausible.", "MPP_IMPLAUSIBLE", tone="stop"
    )
    assert [row.label for row in block.rows].count("Serious") == 1
    pages = (
        (squeezed(printed(render_terminal(report))), "CONFIRMATORY"),
        (render_html(report), 'id="category"'),
        (render_markdown(report), "## Category"),
    )
    for text, later in pages:
        found = text.index("The resolution is implausible.")
        assert "Serious" in text[found - 80 : found]
        assert found < text.index(later)


def test_mild_findings_do_not_stand_at_the_top() -> None:
    mild = tuple(f for f in samples.findings() if f.severity is not Severity.serious)
    report = samples.full().model_copy(update={"findings": mild})
    assert "Serious" not in text_of(section(report, "missing"))


def test_missing_facts_stand_by_what_they_decide() -> None:
    names = ("smoking", "ild", "ecog", "line", "tps_stratum", "gene_ALK", "histology", "stage")
    rules = guidance.test_first().model_copy(update={"missing": names})
    assert missing_rows(rules)[0].value == (
        "stage, histology, gene ALK, tps stratum, line, ecog; for safety: ild; also: smoking"
    )


def test_what_would_change_names_regimens() -> None:
    known = next(iter(load_knowledge().regimens.values()))
    change = CHANGE.model_copy(update={"opens": (known.id, "RX-UNHEARD"), "closes": ()})
    words = text_of(section(with_rules(what_would_change=(change,)), "change"))
    assert known.name in words
    assert known.id not in words.replace(known.name, "")
    assert regimen_name("RX-UNHEARD") == "RX-UNHEARD"
    assert "RX-UNHEARD" in words


def test_the_terminal_shows_up_to_twelve_changes() -> None:
    def shown(n: int) -> str:
        rows = tuple(CHANGE.model_copy(update={"question": f"Q{i:02}"}) for i in range(n))
        return squeezed(printed(render_terminal(with_rules(what_would_change=rows))))

    assert "Q11" in shown(12)
    assert "more row" not in shown(12)
    assert "Q12" not in shown(14)
    assert "2 more rows. In full" in shown(14)


def test_the_marks_of_an_option_are_explained_before_it() -> None:
    blocks = section(samples.full(), "options").blocks
    legend, options = blocks[-2:]
    assert isinstance(legend, doc.Pairs)
    assert len(legend.rows) == 4
    words = text_of(legend)
    for mark in ("A1", "A2", "B ", "C ", "ASCO-S", "ASCO-C", "FDA-R", "FDA-A", "OFF", "V ", "M "):
        assert mark in words
    assert isinstance(options, doc.Entries)


def test_the_note_of_an_option_stands_before_its_evidence() -> None:
    report = noted(notes=("the label asks for another assay",))
    block = section(report, "options").blocks[-1]
    assert isinstance(block, doc.Entries)
    labels = [row.label for row in block.items[0].lines]
    assert labels.index("Note") < labels.index("Evidence")
    assert block.items[0].lines[0].tone == "caution"
    assert 'class="row-caution"' in render_html(report)
