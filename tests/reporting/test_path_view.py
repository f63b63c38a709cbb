"""The rule path by stage with its citations, and what is missing."""

import samples_guidance as samples
from samples import every_sample

from immunopath.domain.guidance import FiredRule, ReferenceRow
from immunopath.guidelines.citations import citation, identifier, reference_text
from immunopath.reporting.document import Entries, Pair, Para
from immunopath.reporting.guidance_view import path_section
from immunopath.reporting.html import render_html
from immunopath.reporting.path_view import missing_rows, path_steps


def reference(ident: str, text: str = "Text") -> ReferenceRow:
    return ReferenceRow(key="K", text=text, ident=ident, grade="M")


def fired(rule_id: str, table: str, *keys: str) -> FiredRule:
    return FiredRule(
        rule_id=rule_id,
        table=table,
        section="2.1",
        summary=f"summary of {rule_id}",
        strength="C",
        references=keys,
        grade="M",
    )


def test_identifiers_are_named_and_graded() -> None:
    assert identifier(reference("27718847 V; 33872070 M")) == "PMID 27718847 [V]; PMID 33872070 [M]"
    assert identifier(reference("PMID 29658856")) == "PMID 29658856"
    assert identifier(reference("35658005 M; id unknown")) == "PMID 35658005 [M]; id unknown"
    assert identifier(reference("doi path V; 35271299 M")) == "PMID 35271299 [M]"
    for ident in ("none", "V", "doi V", "NCT V", "date V", "label V", "V (secondary)"):
        assert identifier(reference(ident)) == ""
        assert citation(reference(ident)) == "Text"
    text = "doi 10.1016/S2213-2600(25)00209-7, NCT02142738, PMC96730281; earlier 35816668"
    assert reference_text(reference("none", text)).count("PMID") == 1
    assert reference_text(reference("none", text)).endswith("earlier PMID 35816668")


def test_rules_stand_by_stage_and_a_reference_in_full_once() -> None:
    guidance = samples.test_first().model_copy(
        update={
            "fired": (
                fired("T", "tests", "K189"),
                fired("R", "router", "K189", "LOST"),
                fired("N", "a_new_table"),
                fired("R2", "router", "K189"),
            )
        }
    )
    steps = path_steps(guidance)
    assert {stage: [e.mark for e in entries] for stage, entries in steps.items()} == {
        "router": ["R", "R2"],
        "tests": ["T"],
        "other": ["N"],
    }
    cited = {e.mark: e.lines for entries in steps.values() for e in entries}
    assert cited["R"][0].value.endswith("NEJM 2018 (PMID 29658856)")
    assert cited["R"][1].value == "not in the reference list"
    assert cited["R2"] == cited["T"] == (Pair("K189", "cited above"),)
    blocks = path_section(guidance).blocks
    assert [b.text for b in blocks[1:] if isinstance(b, Para)] == ["Router", "Tests", "Other"]
    assert sum(isinstance(b, Entries) for b in blocks) == 3


def test_missing_rows_are_named_in_words() -> None:
    guidance = samples.test_first().model_copy(update={"missing": ("tps_stratum", "ecog")})
    rows = missing_rows(guidance, (Pair("MSI", "pending"),), {"tps_stratum": "PD-L1 TPS"})
    assert rows[0] == Pair("Unknown", "PD-L1 TPS, ecog", known=False)
    assert rows[1].label == "MSI result"


def test_in_html_missing_data_stand_before_options_and_every_key_has_its_text() -> None:
    for name, report in every_sample().items():
        html = render_html(report)
        if 'id="options"' not in html:
            continue
        assert html.index('id="missing"') < html.index('id="category"') < html.index('id="options"')
        path = html[html.index('<section id="path"') :]
        path = path[: path.index("</section>")]
        assert "PMID 29658856" in path, name
        assert "<dt>K189</dt>" in path
