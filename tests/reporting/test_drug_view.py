"""A model's answers about drugs stand after the curated record, under their own label."""

from collections.abc import Sequence

import samples
import samples_guidance as guidance
from pages import Page, words_of

from immunopath.domain.drug import DrugProfile, InSilicoFact, InSilicoPanel, Structure
from immunopath.domain.outcome import Ok
from immunopath.domain.provenance import Provenance
from immunopath.reporting import document as doc
from immunopath.reporting.drug_view import drugs_section
from immunopath.reporting.html import render_html
from immunopath.reporting.rendered import RenderedReport
from immunopath.reporting.view import document

MODEL = Provenance(
    engine="txgemma", revision="r1", weights_digest="ab" * 32, prompt_digest="cd" * 32,
    preprocess="mode=predict;dtype=float32", kind="model",
)  # fmt: skip
FACTS = (
    InSilicoFact(
        task="BBB_Martins", topic="blood-brain barrier", state="answered", answer="B",
        statement="crosses the BBB", probability=0.91, caveat="efflux dominates",
    ),
    InSilicoFact(
        task="CYP", topic="CYP3A4 inhibition", state="answered", answer="A", statement="does not",
    ),
    InSilicoFact(task="VDss", topic="volume", state="answered", rank=412),
    InSilicoFact(
        task="hERG", topic="hERG channel", state="unparsed", text="perhaps",
        reason="the model wrote no (A) or (B)",
    ),
    InSilicoFact(task="DILI", topic="liver injury", state="not_computed", reason="no prompt"),
)  # fmt: skip


def small_molecule(panel: InSilicoPanel | None) -> DrugProfile:
    return guidance.drug().model_copy(
        update={
            "name": "osimertinib",
            "modality": "small_molecule",
            "structure": Structure(smiles="C", inchikey="K", check="inchikey"),
            "in_silico": panel,
        }
    )


def report(*panels: InSilicoPanel | None) -> RenderedReport:
    drugs = tuple(small_molecule(panel) for panel in panels)
    return samples.full().model_copy(update={"drugs": Ok[tuple[DrugProfile, ...]](value=drugs)})


def section(*panels: InSilicoPanel | None) -> doc.Section:
    return next(s for s in document(report(*panels)).sections if s.key == "drugs")


def lines(*panels: InSilicoPanel | None) -> Sequence[doc.Pair]:
    block = section(*panels).blocks[0]
    assert isinstance(block, doc.Entries)
    return block.items[0].lines


ANSWERED = InSilicoPanel(status="ok", facts=FACTS, source=MODEL)


def test_the_curated_facts_come_first_and_every_line_of_the_model_says_so() -> None:
    rows = lines(ANSWERED)
    curated = len(lines(None))
    assert rows[:curated] == tuple(lines(None))
    assert all(row.label.startswith("In silico") for row in rows[curated:])
    assert not any(row.label.startswith("In silico") for row in rows[:curated])


def test_an_answer_has_its_words_its_probability_and_its_limits() -> None:
    rows = {row.label: row for row in lines(ANSWERED)}
    brain = rows["In silico: blood-brain barrier"]
    assert brain.value == "crosses the BBB, P(positive) 0.91 uncalibrated"
    assert brain.detail == "BBB_Martins; research only; efflux dominates"
    assert rows["In silico: CYP3A4 inhibition"].value == "does not, no probability"
    assert rows["In silico: volume"].value == "relative rank 412 of 1000 (no unit)"
    assert "txgemma r1 (model)" in rows["In silico: model"].value
    assert "mode=predict dtype=float32" in rows["In silico: model"].value


def test_what_was_not_answered_is_shown_as_unknown() -> None:
    rows = {row.label: row for row in lines(ANSWERED)}
    unparsed = rows["In silico: hERG channel"]
    assert unparsed.value.startswith("unparsed")
    assert not unparsed.known
    missing = rows["In silico: not computed"]
    assert (missing.value, missing.known) == ("liver injury", False)


def test_a_panel_that_is_missing_says_why() -> None:
    told = {"unavailable": "not computed: offline", "not_applicable": "an antibody"}
    for status, reason in told.items():
        row = lines(InSilicoPanel.model_validate({"status": status, "reason": reason}))[-1]
        assert (row.label, row.value, row.known) == ("In silico", reason, False)


def test_the_note_tells_the_two_apart_only_where_a_model_was_asked() -> None:
    assert "In silico" not in section(None).note
    assert "no evidence" in section(ANSWERED).note
    assert section(ANSWERED).note.startswith("Curated text")


def test_hostile_text_of_a_model_reaches_no_page() -> None:
    for text in samples.HOSTILE:
        fact = FACTS[0].model_copy(update={"statement": text, "topic": text, "caveat": text})
        found = report(InSilicoPanel(status="ok", facts=(fact,), source=MODEL))
        page = Page(found.to_html())
        assert page.unbalanced == []
        assert "script" not in page.tags
        shown = " ".join(words_of(document(found)))
        assert shown.isprintable()


def test_the_phenotype_card_keeps_the_sigmoid_of_each_prompt_apart() -> None:
    full = samples.full()
    assert isinstance(full.phenotype, Ok)
    scores = full.phenotype.value.model_copy(
        update={"prompt_probabilities": {"caption.inflamed": 0.75, "caption.desert": 0.5}}
    )
    changed = full.model_copy(update={"phenotype": Ok[type(scores)](value=scores)})  # type: ignore[misc]
    shown = " ".join(words_of(document(changed)))
    assert "Each prompt by itself (sigmoid) caption.inflamed 0.75, caption.desert 0.50" in shown
    assert "Each prompt by itself" not in " ".join(words_of(document(full)))


def test_only_the_drugs_of_options_are_unfolded() -> None:
    shown = samples.full()
    known = guidance.drug()
    other = known.model_copy(update={"drug_id": "D-X", "name": "otherumab"})
    listed = guidance.with_options().option_drugs()
    report = shown.model_copy(update={"drugs": Ok[tuple[DrugProfile, ...]](value=(known, other))})
    (block,) = drugs_section(report).blocks
    assert isinstance(block, doc.Entries)
    assert [item.opened for item in block.items] == [known.name in listed, False]
    page = render_html(report)
    assert page.count('<details class="record"') == 2
    assert '<details class="record"><summary><span class="headline">otherumab</span>' in page
    assert known.drug_class in page
