"""Images, tiles, neighbours and drugs: a number beside its limit, a source beside its text."""

import re
from typing import Any

import pytest
import samples
import samples_guidance as rules
from domain_strategies import fields_of, instances
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pages import words_of

from immunopath.domain.drug import DrugProfile
from immunopath.domain.outcome import Abstained, Failed, Ok, Unavailable
from immunopath.domain.prediction import FieldVote, RetrievalResult
from immunopath.domain.quality import ImageSummary, QualityCheck, TileSummary, Verdict
from immunopath.domain.report import CaseReport
from immunopath.domain.units import MppSource
from immunopath.reporting import document as doc
from immunopath.reporting.drug_view import drugs_section
from immunopath.reporting.image_view import (
    image_facts,
    neighbours_section,
    quality_section,
    refusal_section,
    resolution,
)
from immunopath.reporting.text import share
from immunopath.reporting.words import system_name

few = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
WITHOUT = [
    (Abstained(reason="no drug is named"), "abstained. no drug is named"),
    (Unavailable(reason="no weights"), "unavailable. no weights"),
    (Failed(error_id="E", message="broke"), "failed. E: broke"),
]


def report(**changes: Any) -> CaseReport:
    return samples.full().model_copy(update=changes)


def text_of(item: object) -> str:
    return " ".join(words_of(item))


def grids(section: doc.Section) -> list[doc.Grid]:
    return [block for block in section.blocks if isinstance(block, doc.Grid)]


def entries(section: doc.Section) -> tuple[doc.Entry, ...]:
    found = [block for block in section.blocks if isinstance(block, doc.Entries)]
    return tuple(item for block in found for item in block.items)


@pytest.mark.parametrize("source", list(MppSource))
def test_a_resolution_has_a_number_a_unit_and_a_source(source: MppSource) -> None:
    text = resolution(samples.image(mpp_source=source.value))
    assert text.startswith("0.5 µm/px (")
    assert "_" not in text
    assert ("nobody stated it" in text) is (source is MppSource.assumed)


@few
@given(st.lists(instances(ImageSummary), min_size=1, max_size=3))
def test_every_image_is_named_with_its_size(images: list[ImageSummary]) -> None:
    facts = image_facts(report(images=tuple(images)))
    assert [row.value for row in facts[:-1]] == [image.name for image in images]
    for row, image in zip(facts, images, strict=False):
        assert f"{image.width} × {image.height} px" in row.detail
        assert f"{image.mpp:.4g} µm/px" in row.detail


@pytest.mark.parametrize(
    ("verdicts", "text"),
    [
        ("", "none"),
        ("a", "1 (1 accepted)"),
        ("aaf", "3 (2 accepted, 1 flagged)"),
        ("rrr", "3 (3 refused)"),
        ("arf", "3 (1 accepted, 1 flagged, 1 refused)"),
    ],
)
def test_tiles_are_counted_by_verdict(verdicts: str, text: str) -> None:
    quality = {"a": samples.ACCEPTED, "f": samples.BLURRED, "r": samples.STAINED}
    tile = samples.tiles(1)[0]
    tiles = tuple(tile.model_copy(update={"quality": quality[v]}) for v in verdicts)
    assert image_facts(report(tiles=tiles))[-1].value == text


@few
@given(st.lists(instances(TileSummary), max_size=3), instances(ImageSummary))
def test_the_tables_hold_every_check_and_every_tile(
    tiles: list[TileSummary], image: ImageSummary
) -> None:
    section = quality_section(report(images=(image,), tiles=tuple(tiles)))
    first = grids(section)[0]
    assert image.name in first.caption
    assert len(first.rows) == len(image.quality.checks)
    for row, check in zip(first.rows, image.quality.checks, strict=True):
        assert re.fullmatch(r".+ \((at least|at most|limit) .+\)", row[2])
        assert row[3] == check.message
    long = [grid for grid in grids(section) if grid.collapsed]
    assert len(long) == bool(tiles)
    for grid in long:
        for row, tile in zip(grid.rows, tiles, strict=True):
            assert row[0] == tile.tile_id
            assert row[2] == share(tile.quality.tissue_share)
            assert row[4] == tile.quality.reason
    shown = {row.value for entry in entries(section) for row in entry.lines}
    assert shown == set(image.notes)


def test_every_row_of_a_table_fits_its_head() -> None:
    for grid in grids(quality_section(samples.full())):
        assert {len(row) for row in grid.rows} == {len(grid.headers)}


def test_a_refusal_shows_each_crossed_limit_with_its_image() -> None:
    section = refusal_section(samples.refused())
    (entry,) = entries(section)
    assert entry.mark == "REFUSED"
    assert entry.tone == "stop"
    assert entry.tags == ("brown_stain",)
    lines = {row.label: row.value for row in entry.lines}
    assert lines == {"Measured": "41.2 %, at most 5 %", "Image": "instanseg_tma_HE_0.5mpp.tif"}
    assert "no value is given" in section.note


def test_a_reason_that_no_check_of_the_image_gives_leads_the_section() -> None:
    """All tiles may be refused although the image as a whole was not."""
    refused = samples.refused().model_copy(
        update={"images": (samples.image(),), "status_reason": "none of 4 tiles is usable"}
    )
    section = refusal_section(refused)
    assert section.blocks == (doc.Para("none of 4 tiles is usable", "lead"),)
    silent = refused.model_copy(update={"status_reason": ""})
    assert refusal_section(silent).blocks[0] == doc.Para("The image cannot be used.", "lead")


def test_a_flag_beside_a_refusal_is_shown_as_a_flag() -> None:
    blurred = QualityCheck(
        code="blur", verdict=Verdict.flag, measured=0.31, limit=0.4, message="soft focus"
    )
    quality = samples.STAINED.model_copy(update={"checks": (*samples.STAINED.checks, blurred)})
    images = (samples.image(quality),)
    items = entries(refusal_section(samples.refused().model_copy(update={"images": images})))
    assert [(item.mark, item.tone) for item in items] == [
        ("REFUSED", "stop"), ("FLAGGED", "caution"),
    ]  # fmt: skip


@few
@given(instances(RetrievalResult))
def test_neighbours_come_with_what_is_known_and_whose_they_are(found: RetrievalResult) -> None:
    section = neighbours_section(report(retrieval=Ok[RetrievalResult](value=found)))
    items = entries(section)
    assert len(items) == len(found.neighbours)
    for item, neighbour in zip(items, found.neighbours, strict=True):
        lines = {row.label: row for row in item.lines}
        assert item.head == neighbour.title
        assert item.mark == f"cosine {neighbour.similarity:.3f}"
        assert item.picture == neighbour.neighbour_id
        assert lines["Source"].value == f"{neighbour.attribution}; {neighbour.licence}"
        assert lines["Tissue"].value == (neighbour.tissue or "unknown")
        assert lines["Known labels"].known is bool(neighbour.labels)
    assert found.atlas_id in text_of(section)
    voted = [vote for vote in found.votes if vote.n_votes]
    assert [len(grid.rows) for grid in grids(section)] == [len(voted)] * bool(voted)


def test_a_table_of_silent_fields_is_one_sentence_and_the_order_is_explained() -> None:
    silent = FieldVote(field="msi_status", n_votes=0, value=None)
    found = samples.retrieval().model_copy(update={"votes": (silent,)})
    section = neighbours_section(report(retrieval=Ok[RetrievalResult](value=found)))
    assert not grids(section)
    assert "none votes on any field" in text_of(section)
    assert "Ordered by mean similarity over the tiles" in text_of(section)
    both = found.model_copy(update={"votes": (silent, *samples.retrieval().votes)})
    (table,) = grids(neighbours_section(report(retrieval=Ok[RetrievalResult](value=both))))
    assert [row[0] for row in table.rows] == ["TIL density", "TIL fraction"]


@pytest.mark.parametrize(
    ("vote", "opinion"),
    [
        (
            FieldVote(field="til_density", n_votes=2, value=None),
            "no opinion (fewer than 3 labelled)",
        ),
        (FieldVote(field="til_density", n_votes=5, value="high"), "high"),
        (FieldVote(field="til_fraction", n_votes=3, value=0.42), "0.42"),
        (FieldVote(field="til_fraction", n_votes=3, value=0.0), "0.00"),
    ],
)
def test_votes_are_opinions_or_said_to_be_none(vote: FieldVote, opinion: str) -> None:
    found = samples.retrieval().model_copy(update={"votes": (vote,)})
    (grid,) = grids(neighbours_section(report(retrieval=Ok[RetrievalResult](value=found))))
    assert grid.rows[0][1:3] == (str(vote.n_votes), opinion)


def test_what_was_left_out_of_the_atlas_is_counted_with_the_reason() -> None:
    text = text_of(neighbours_section(samples.full()))
    assert "2 left out (same patient)" in text
    assert "180 patches" in text


@pytest.mark.parametrize(("outcome", "text"), WITHOUT)
def test_no_neighbours_and_no_drugs_are_said_with_the_reason(outcome: Any, text: str) -> None:
    for section in (
        neighbours_section(report(retrieval=outcome)),
        drugs_section(report(drugs=outcome)),
    ):
        (block,) = section.blocks
        assert isinstance(block, doc.Para)
        assert block.text.endswith(text)


@few
@given(fields_of(DrugProfile, {"in_silico"}).map(lambda made: DrugProfile(**made)))
def test_every_fact_of_a_drug_has_its_source_and_grade(drug: DrugProfile) -> None:
    section = drugs_section(report(drugs=Ok[tuple[DrugProfile, ...]](value=(drug,))))
    assert "curated" in section.title
    (item,) = entries(section)
    assert item.head == drug.name
    for row, fact in zip(item.lines, drug.facts, strict=False):
        assert (row.value, row.detail) == (fact.text, f"{fact.source}; grade {fact.grade}")
    tail = {row.label: row.value for row in item.lines[len(drug.facts) :]}
    assert drug.knowledge_version in tail["Curated by"]
    for known in drug.ids:
        assert (
            f"{system_name(known.system)} {known.value or 'none'} ({known.status})"
            in tail["Registry ids"]
        )


def test_an_answer_without_drugs_says_that_none_is_named() -> None:
    section = drugs_section(report(drugs=Ok[tuple[DrugProfile, ...]](value=())))
    assert "No drug is named in this report." in text_of(section)
    assert rules.drug().name not in text_of(section)


@pytest.mark.parametrize(
    ("code", "verdict", "measured", "limit", "text"),
    [
        ("tissue_share", Verdict.accept, 0.714, 0.15, "71.4 % (at least 15 %)"),
        ("tissue_share", Verdict.flag, 0.1, 0.15, "10 % (at least 15 %)"),
        ("brown_stain", Verdict.accept, 0.0, 0.05, "0 % (at most 5 %)"),
        ("brown_stain", Verdict.refuse, 0.412, 0.05, "41.2 % (at most 5 %)"),
        ("side", Verdict.accept, 1380, 48, "1380 px (at least 48 px)"),
        ("blur", Verdict.flag, 0.08, 0.09, "0.080 (at least 0.090)"),
        ("eosin", Verdict.accept, -0.393, -0.05, "-0.393 (at most -0.050)"),
        ("blur", Verdict.accept, 0.09, 0.09, "0.090 (limit 0.090)"),
    ],
)
def test_a_limit_says_on_which_side_it_stands(
    code: str, verdict: Verdict, measured: float, limit: float, text: str
) -> None:
    check = QualityCheck(code=code, verdict=verdict, measured=measured, limit=limit, message="m")
    quality = samples.ACCEPTED.model_copy(update={"checks": (check,)})
    (table, *_) = grids(quality_section(report(images=(samples.image(quality),))))
    assert table.rows[0][2] == text
