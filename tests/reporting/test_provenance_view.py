"""What made the report: digests in full, and how each agent ended."""

import pytest
import samples
from domain_strategies import instances
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from immunopath.domain.report import CaseReport, EngineStatus, ReportProvenance
from immunopath.reporting import document as doc
from immunopath.reporting.provenance_view import provenance_section

few = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def rows(report: CaseReport) -> dict[str, doc.Pair]:
    (block,) = provenance_section(report).blocks
    assert isinstance(block, doc.Pairs)
    return {row.label: row for row in block.rows}


@few
@given(instances(ReportProvenance))
def test_versions_and_digests_are_shown_in_full(made: ReportProvenance) -> None:
    shown = rows(samples.full().model_copy(update={"provenance": made}))
    assert shown["ImmunoPath"].value == made.package_version
    assert shown["ImmunoPath"].detail == f"schema {made.schema_version}"
    assert shown["Input digest"].value == made.input_digest
    assert shown["Configuration digest"].value == made.configuration_digest
    assert shown["Knowledge"].value == (made.knowledge_version or "none used")
    assert shown["Atlas"].value == (made.atlas_id or "none used")


@few
@given(st.lists(instances(EngineStatus), max_size=4, unique_by=lambda row: row.agent))
def test_every_agent_is_listed_with_all_that_is_known(engines: list[EngineStatus]) -> None:
    shown = rows(samples.full().model_copy(update={"engines": tuple(engines)}))
    for engine in engines:
        row = shown[f"Agent {engine.agent}"]
        assert row.value == engine.status
        for part in (engine.engine, engine.revision, engine.weights_digest, engine.reason):
            assert not part or part in row.detail
        told = (engine.revision, engine.engine, engine.reason, engine.weights_digest)
        assert bool(row.detail) is any(told)


def test_images_are_named_with_the_digest_of_their_file() -> None:
    image = samples.image()
    row = rows(samples.full())["Image"]
    assert row == doc.Pair("Image", image.name, f"TIFF, sha256 {image.sha256}")


def test_two_images_have_two_rows() -> None:
    images = (samples.image(), samples.image().model_copy(update={"name": "second.png"}))
    (block,) = provenance_section(samples.full().model_copy(update={"images": images})).blocks
    assert isinstance(block, doc.Pairs)
    named = [row.value for row in block.rows if row.label == "Image"]
    assert named == [image.name for image in images]


@pytest.mark.parametrize("name", ["full", "test_first", "partial", "refused"])
def test_every_report_has_its_provenance(name: str) -> None:
    section = provenance_section(samples.every_sample()[name])
    assert (section.key, section.title) == ("provenance", "Provenance")
