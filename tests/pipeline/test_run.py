"""`ImmunoPath`: the same object from every way of calling it."""

import asyncio
from datetime import date
from pathlib import Path

import pytest
from engines_under_test import Counter

import immunopath
from immunopath.domain.case import Case
from immunopath.domain.errors import EngineSpecError, ImageReadError, OutputError
from immunopath.domain.outcome import Ok
from immunopath.guidelines.casefile import load_clinical
from immunopath.pipeline.run import ImmunoPath
from immunopath.pipeline.side_files import SideFiles
from immunopath.reporting.rendered import RenderedReport

AS_OF = date(2026, 11, 24)
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def lung(shared_images: Path) -> Case:
    return Case(case_id="a", images=(shared_images / "lung_he_til/u24_train300/24.png",), mpp=0.5)


def test_sync_async_and_inside_a_running_loop_agree(lung: Case) -> None:
    with ImmunoPath() as engines:
        plain = engines.analyze(lung, as_of=AS_OF)

        async def inside() -> tuple[RenderedReport, RenderedReport]:
            return engines.analyze(lung, as_of=AS_OF), await engines.aanalyze(lung, as_of=AS_OF)

        nested, awaited = asyncio.run(inside())
    assert plain.to_json() == nested.to_json() == awaited.to_json()


def test_measured_facts_reach_options_and_drugs_and_no_prediction_does(lung: Case) -> None:
    facts = load_clinical(EXAMPLES / "clinical_complete.yaml")
    with ImmunoPath() as engines:
        alone = engines.analyze(lung, as_of=AS_OF)
        full = engines.analyze(lung.model_copy(update={"clinical": facts}), as_of=AS_OF)
    assert isinstance(alone.guidance, Ok)
    assert isinstance(full.guidance, Ok)
    assert alone.guidance.value.options == ()
    assert alone.guidance.value.category == "TEST_FIRST"
    assert alone.guidance.value.conditional
    assert full.guidance.value.options
    assert isinstance(full.drugs, Ok)
    named = {profile.name for profile in full.drugs.value}
    assert "pembrolizumab" in named


def test_the_instanseg_core_is_excluded_and_shows_why(shared_images: Path) -> None:
    core = Case(case_id="core", images=(shared_images / "he_other/instanseg_tma_HE_0.5mpp.tif",))
    with ImmunoPath() as engines:
        report = engines.analyze(core, as_of=AS_OF)
    assert report.profile.immune_phenotype.value == "excluded"
    seen = report.morphometry
    assert seen is not None
    assert seen.lymphocytes_per_mm2_in_nests is not None
    assert seen.lymphocytes_per_mm2_outside is not None
    assert seen.lymphocytes_per_mm2_in_nests < 0.4 * seen.lymphocytes_per_mm2_outside
    page = report.to_html()
    assert "data:image/jpeg;base64," in page
    assert "<svg" in page


def test_every_value_says_how_the_scale_is_known(lung: Case) -> None:
    with ImmunoPath() as engines:
        report = engines.analyze(lung, as_of=AS_OF)
    assert isinstance(report.phenotype, Ok)
    assert isinstance(report.retrieval, Ok)
    sources = [field.source for _, field in report.profile.items()]
    sources += [report.phenotype.value.source, report.retrieval.value.source]
    assert {source.mpp_source for source in sources} == {"user"}
    assert "scale of the image stated by the user" in report.to_html()


def test_events_name_every_agent_once_with_its_time(lung: Case) -> None:
    counter = Counter()
    with ImmunoPath() as engines:
        engines.analyze(lung, as_of=AS_OF, on_event=counter)
    assert sorted(counter.started) == [
        "adjudicator", "drugs", "guideline", "intake", "phenotype", "predictor", "reporter",
        "retrieval",
    ]  # fmt: skip


def test_an_engine_string_is_refused_before_any_image_is_read() -> None:
    with pytest.raises(EngineSpecError, match="does not exist"):
        ImmunoPath(predictor="oracle")


def test_the_foundation_profile_says_what_is_missing_and_guesses_nothing(lung: Case) -> None:
    with ImmunoPath(profile="foundation") as engines:
        report = engines.analyze(lung, as_of=AS_OF)
    assert report.status == "partial"
    assert all(field.value is None for _, field in report.profile.items())


def test_missing_file_raises_by_name(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match=r"none\.png"):
        immunopath.analyze(tmp_path / "none.png")


def test_nuclei_are_written_as_geojson_or_refused(
    lung: Case, tmp_path: Path, shared_images: Path
) -> None:
    target = tmp_path / "n.geojson"
    with ImmunoPath() as engines:
        report = engines.analyze(lung, as_of=AS_OF, files=SideFiles(nuclei=target))
        assert report.morphometry is not None
        assert target.read_text().count('"detection"') == report.morphometry.n_nuclei
        cat = Case(case_id="cat", images=(shared_images / "negatives/skimage_chelsea.png",))
        with pytest.raises(OutputError, match="no nuclei"):
            engines.analyze(cat, as_of=AS_OF, files=SideFiles(nuclei=tmp_path / "cat.geojson"))
    assert not (tmp_path / "cat.geojson").exists()
