"""What a reviewer of the field found on real images, from the engines to the findings."""

from pathlib import Path

import numpy as np
import pytest
from nuclei_fields import CutSource, read_rgb

from immunopath.domain.finding import Adjudication, Severity
from immunopath.domain.outcome import Ok, Unavailable
from immunopath.domain.prediction import PhenotypeScores, PredictorResult
from immunopath.domain.quality import IntakeResult
from immunopath.guidelines.adjudication import adjudicate
from immunopath.models.embedded.phenotype import EmbeddedPhenotype
from immunopath.models.embedded.phenotype_constants import shipped as texture_constants
from immunopath.models.embedded.predictor import EmbeddedPredictor, build
from immunopath.models.spec import EngineSpec

CORE = "he_other/instanseg_tma_HE_0.5mpp.tif"
DEBRIS = "lung_he_til/u24_necrosis/image_50.png"
PALE = "he_other/histoqc_template2.png"
LUNG = "he_other/histolab_tcga-lung-rgb.png"


@pytest.fixture(scope="module")
def engine() -> EmbeddedPredictor:
    return build(EngineSpec(name="embedded"))


def _judge(engine: EmbeddedPredictor, path: Path) -> Adjudication:
    source = CutSource([read_rgb(path)])
    second = EmbeddedPhenotype(texture_constants()).score(source)
    return adjudicate(
        Ok[PredictorResult](value=engine.predict(source).result),
        Ok[PhenotypeScores](value=second),
        Unavailable(reason="not asked"),
        IntakeResult(usable=True, images=(), tiles=tuple(source.tiles)),
    )


@pytest.mark.parametrize("name", [CORE, DEBRIS, PALE, LUNG, "lung_he_til/u24_train300/17.png"])
def test_nests_never_exceed_the_tissue(
    engine: EmbeddedPredictor, shared_images: Path, name: str
) -> None:
    for mpp in (0.5, 1.0):
        shape = engine.predict(CutSource([read_rgb(shared_images / name)], mpp)).result.morphometry
        assert shape is not None
        assert (shape.nest_mm2 or 0) <= shape.tissue_mm2


def test_debris_in_a_gland_is_not_a_confirmed_exclusion(
    engine: EmbeddedPredictor, shared_images: Path
) -> None:
    judged = _judge(engine, shared_images / DEBRIS)
    cautions = {f.code: f for f in judged.findings if f.severity is Severity.caution}
    assert "debris" in cautions["MORPHOMETRY_WARNING"].message
    assert "excluded is not confirmed" in cautions["NOT_CONFIRMED"].message


def test_the_lymphoid_region_of_the_core_is_no_debris_and_the_core_stays_confirmed(
    engine: EmbeddedPredictor, shared_images: Path
) -> None:
    judged = _judge(engine, shared_images / CORE)
    assert judged.profile.immune_phenotype.value == "excluded"
    assert {row.state for row in judged.agreement} == {"agree"}
    assert not judged.findings
    lymphoid = np.ascontiguousarray(read_rgb(shared_images / CORE)[60:500, 150:900])
    shape = engine.predict(CutSource([lymphoid])).result.morphometry
    assert shape is not None
    assert shape.warnings == ()


def test_the_largest_contradiction_is_told(engine: EmbeddedPredictor, shared_images: Path) -> None:
    codes = {f.code for f in _judge(engine, shared_images / PALE).findings}
    assert {"NESTS_DISAGREE", "ENGINES_DISAGREE", "NOT_CONFIRMED"} <= codes
    assert "SINGLE_OPINION" not in codes


def test_a_resolution_wrong_by_two_withholds_the_counts(
    engine: EmbeddedPredictor, shared_images: Path
) -> None:
    judged = _judge(engine, shared_images / LUNG)
    assert [f.code for f in judged.findings].count("MPP_IMPLAUSIBLE") == 1
    assert judged.profile.til_fraction.abstained
    assert judged.profile.til_density.abstained
