"""The document's order and words: what is missing stands first, unknown stays unknown."""

import re
from datetime import timedelta

import pytest
import samples
import samples_guidance as guidance
from pages import words_of

from immunopath.domain.clinical import ClinicalContext, InputProblem
from immunopath.domain.guidance import Category, Guidance
from immunopath.domain.measured import Measured, State
from immunopath.domain.molecular import Gene, GeneResult, Pdl1Result
from immunopath.domain.outcome import Ok
from immunopath.domain.report import CaseReport
from immunopath.reporting import document as doc
from immunopath.reporting.card_view import RESAMPLES
from immunopath.reporting.clinical_view import measured_rows, result_rows, stated_rows, unstated
from immunopath.reporting.missing_view import STALE_AFTER_DAYS
from immunopath.reporting.view import document
from immunopath.reporting.words import FIELD_NAMES

BANNED = re.compile(r"\b(recommend\w*|should receive|safe|safely|guaranteed)\b", re.IGNORECASE)
CLAIMS_NEGATIVE = re.compile(r"negative|wild.?type|absent|not detected|pMMR|MSS", re.IGNORECASE)


def section(report: CaseReport, key: str) -> doc.Section:
    return next(found for found in document(report).sections if found.key == key)


def boxes(report: CaseReport) -> doc.Boxes:
    found = section(report, "summary").blocks[0]
    assert isinstance(found, doc.Boxes)
    return found


def with_rules(**changes: object) -> CaseReport:
    rules: Guidance = guidance.with_options().model_copy(update=changes)
    return samples.full().model_copy(update={"guidance": Ok[Guidance](value=rules)})


def text_of(item: object) -> str:
    return " ".join(words_of(item))


@pytest.mark.parametrize("name", ["full", "test_first"])
def test_sections_stand_in_the_agreed_order(name: str) -> None:
    keys = [found.key for found in document(samples.every_sample()[name]).sections]
    expected = [
        "summary", "missing", "category", "options", "tests", "flags", "conditional", "findings",
        "agreement", "predictions", "counts", "neighbours", "drugs", "change", "path",
        "references", "clinical", "quality", "limits", "provenance",
    ]  # fmt: skip
    assert keys == [key for key in expected if key in keys]
    assert {"summary", "missing", "options", "limits", "provenance"} <= set(keys)
    assert len(keys) == len(set(keys))


def test_a_tree_is_shown_exactly_when_there_is_one() -> None:
    shown = section(samples.test_first(), "conditional").blocks[0]
    assert isinstance(shown, doc.Tree)
    assert [len(question.branches) for question in shown.questions] == [2]
    assert "conditional" not in {found.key for found in document(samples.full()).sections}
    assert "not options of this case" in section(samples.test_first(), "conditional").note


def test_measured_and_predicted_do_not_mix() -> None:
    one = boxes(samples.full())
    other = boxes(
        samples.full().model_copy(update={"profile": samples.unknown_profile("no engine")})
    )
    third = boxes(samples.full().model_copy(update={"clinical": ClinicalContext()}))
    assert one.measured == other.measured
    assert one.predicted == third.predicted
    assert not {row.label for row in one.measured.rows} & set(FIELD_NAMES.values())
    assert "Unvalidated" in one.predicted.note


def test_unknown_is_never_shown_as_negative() -> None:
    empty = ClinicalContext()
    rows = measured_rows(empty)
    assert not any(row.known for row in rows)
    shown = [part for row in rows for part in (row.value, row.detail)]
    assert not [part for part in shown if CLAIMS_NEGATIVE.search(part)]
    named = text_of(rows)
    for gene in Gene:
        assert gene in named
    for label in ("MSI", "MMR IHC", "TMB", "PD-L1 TPS", "Histology", "Stage"):
        assert label in named


@pytest.mark.parametrize("state", [s for s in State if s not in {State.measured, State.unknown}])
def test_a_result_without_a_value_shows_its_state(state: State) -> None:
    clinical = ClinicalContext(
        genes=(GeneResult(gene=Gene.EGFR, result=Measured[str](state=state)),)
    )
    word = state.replace("_", " ")
    assert doc.Pair("EGFR", word, known=False) in measured_rows(clinical)
    missing = samples.full().model_copy(update={"clinical": clinical})
    assert doc.Pair("EGFR result", word, known=False) in _rows(missing)


def test_equal_results_share_a_row_and_different_ones_do_not() -> None:
    rows = {row.label: row for row in measured_rows(samples.clinical())}
    assert rows["EGFR, ALK, ROS1, RET, BRAF, MET, ERBB2"].value == "negative"
    assert rows["KRAS"].value == "pending"
    assert rows["PD-L1 TPS"].value == "30 %"


def test_every_result_names_its_source() -> None:
    rows = {row.label: row for row in result_rows(samples.clinical())}
    assert rows["PD-L1 TPS"].detail == (
        "22C3, 22C3_pharmDx, lung, core, cellularity 40 %, 2026-06-18, R-2291"
    )
    assert "Reference laboratory" in rows["EGFR"].detail


def test_a_unit_that_nobody_stated_is_not_made_up() -> None:
    stated = Measured[float | str](state=State.measured, value=0.5)
    clinical = ClinicalContext(pdl1=(Pdl1Result(tps=stated, unit="missing"),))
    assert doc.Pair("PD-L1 score", "0.5 (unit not stated)") in measured_rows(clinical)


def test_no_prior_therapy_differs_from_nobody_said() -> None:
    none = ClinicalContext(prior_therapies=())
    assert doc.Pair("Prior therapies", "none") in stated_rows(none)
    assert "Prior therapies" in unstated(ClinicalContext())


def _rows(report: CaseReport) -> tuple[doc.Pair, ...]:
    block = section(report, "missing").blocks[0]
    assert isinstance(block, doc.Pairs)
    return block.rows


def test_missing_conflicting_and_stale_are_listed() -> None:
    rules = guidance.with_options()
    flag = rules.flags[0].model_copy(
        update={"code": "DISCORD_MSI_MMR", "meaning": "MSI against MMR"}
    )
    report = with_rules(
        knowledge_date=guidance.AS_OF - timedelta(days=STALE_AFTER_DAYS + 1), flags=(flag,)
    ).model_copy(update={"images": (samples.image(mpp_source="assumed"),)})
    labels = [row.label for row in _rows(report)]
    assert labels.count("Conflict") == 1
    assert labels[0] == "Serious"
    assert {"Unknown", "KRAS result", "Stale", "Assumed"} <= set(labels)


def test_stops_stand_with_the_category() -> None:
    words = text_of(section(samples.full(), "category"))
    assert "STOP" in words
    assert "no adequate driver result" in words
    assert "predictions take no part in triage" not in words


def test_a_stale_flag_of_the_rules_is_not_said_twice() -> None:
    flags = tuple(
        guidance.test_first().flags[0].model_copy(update={"code": code, "meaning": code})
        for code in ("KNOWLEDGE_STALE", "PDL1_STALE_SPECIMEN", "STAGE_INCONSISTENT")
    )
    old = guidance.AS_OF - timedelta(days=400)
    rows = _rows(with_rules(flags=flags, knowledge_date=old))
    shown = [(row.label, row.detail) for row in rows if row.detail in {f.code for f in flags}]
    assert shown == [
        ("Stale", "KNOWLEDGE_STALE"),
        ("Stale", "PDL1_STALE_SPECIMEN"),
        ("Conflict", "STAGE_INCONSISTENT"),
    ]
    assert [row.label for row in rows].count("Stale") == 2


def test_fresh_knowledge_is_not_called_stale() -> None:
    report = with_rules(knowledge_date=guidance.AS_OF - timedelta(days=STALE_AFTER_DAYS))
    assert "Stale" not in {row.label for row in _rows(report)}


def test_rejected_input_is_listed_field_by_field() -> None:
    problem = InputProblem(field="pdl1[0].tps", code="RANGE", message="150 is above 100")
    report = with_rules(category=Category.REJECT_INVALID_INPUT, options=(), problems=(problem,))
    assert doc.Pair("Rejected input", "pdl1[0].tps: 150 is above 100", "RANGE") in _rows(report)


def test_engines_without_an_answer_are_named_with_the_reason() -> None:
    rows = _rows(samples.partial())
    assert doc.Pair("predictor", "unavailable: no weights") in rows
    words = text_of(document(samples.partial()).sections)
    for reason in ("not installed", "AtlasError: atlas of another encoder", "no regimen is named"):
        assert reason in words


def test_the_worst_stands_first() -> None:
    block = section(samples.full(), "findings").blocks[0]
    assert isinstance(block, doc.Entries)
    assert [item.mark for item in block.items] == ["SERIOUS", "CAUTION", "NOTE"]
    tests = section(samples.test_first(), "tests").blocks[0]
    assert isinstance(tests, doc.Entries)
    assert tests.items[0].head == "TTF-1 and p40"
    done = section(samples.full(), "tests").blocks[0]
    assert isinstance(done, doc.Entries)
    assert [item.mark for item in done.items] == ["", "done"]


def test_options_are_worded_neutrally() -> None:
    report = samples.full()
    words = text_of(section(report, "options")) + text_of(section(samples.test_first(), "options"))
    words += text_of(section(samples.test_first(), "conditional"))
    assert not BANNED.search(words)
    assert "✓" not in text_of(document(report))
    assert "✔" not in text_of(document(report))


def test_an_option_carries_all_it_needs() -> None:
    block = section(samples.full(), "options").blocks[-1]
    assert isinstance(block, doc.Entries)
    labels = {row.label for row in block.items[0].lines}
    assert {"Why", "Evidence", "Label", "Checked against", "Still unknown", "Rules"} <= labels


def test_a_prior_is_not_called_a_prediction() -> None:
    block = section(samples.full(), "predictions").blocks[0]
    assert isinstance(block, doc.Cards)
    cards = {card.key: card for card in block.items}
    assert cards["msi_status"].value == "abstains"
    assert "not a prediction for this case" in cards["msi_status"].bars_title
    assert cards["til_density"].bars_title == RESAMPLES
    assert "hint only" in cards["immune_score"].value
    assert "not informative" in text_of(block.shared)


def test_a_refused_case_shows_only_why() -> None:
    page = document(samples.refused())
    assert [found.key for found in page.sections] == [
        "refused", "quality", "limits", "provenance",
    ]  # fmt: skip
    assert "41.2 %, at most 5 %" in text_of(page.sections[0])


def test_missing_facts_are_named_in_words_not_in_the_names_of_code() -> None:
    rows = [
        row
        for block in section(samples.test_first(), "missing").blocks
        for row in getattr(block, "rows", ())
    ]
    (unknown,) = [row for row in rows if row.label == "Unknown"]
    assert "_" not in unknown.value
    assert "PD-L1" in unknown.value
