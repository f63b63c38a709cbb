"""What the embedded predictor says of each image alone."""

from pathlib import Path

import numpy as np
import pytest
from nuclei_fields import CutSource, read_rgb

from immunopath.models.embedded.fields import MIN_NUCLEI
from immunopath.models.embedded.predictor import build
from immunopath.models.protocols import RGB
from immunopath.models.spec import EngineSpec

CORE = "he_other/instanseg_tma_HE_0.5mpp.tif"


@pytest.fixture(scope="module")
def halves(shared_images: Path) -> list[RGB]:
    core = read_rgb(shared_images / CORE)
    return [np.ascontiguousarray(core[:600, :600]), np.ascontiguousarray(core[600:1200, 600:1200])]


def test_each_image_is_called_as_if_it_were_alone(halves: list[RGB]) -> None:
    engine = build(EngineSpec(name="embedded"))
    both = engine.predict(CutSource(halves)).result
    assert [call.image_index for call in both.images] == [0, 1]
    assert both.morphometry is not None
    assert sum(call.weight for call in both.images) == both.morphometry.n_nuclei
    mean = np.average([c.til for c in both.images], weights=[c.weight for c in both.images])
    assert mean == pytest.approx(both.morphometry.corrected_share, abs=1e-9)
    for index, half in enumerate(halves):
        alone = engine.predict(CutSource([half])).result
        assert alone.images[0].til == pytest.approx(both.images[index].til, abs=0.02)
        assert alone.images[0].phenotype == alone.profile.immune_phenotype.value


def test_an_image_with_few_nuclei_has_no_call(halves: list[RGB]) -> None:
    glass = np.full((300, 300, 3), 243, np.uint8)
    result = build(EngineSpec(name="embedded")).predict(CutSource([glass, halves[0]])).result
    assert [call.image_index for call in result.images] == [1]
    assert result.images[0].weight >= MIN_NUCLEI
