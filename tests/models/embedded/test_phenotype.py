"""What the phenotype engine says, and when it says nothing."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))
from pixel_store import CORE, pixels, restained, store_of

from immunopath.domain.errors import EngineSpecError
from immunopath.models.embedded.phenotype import EmbeddedPhenotype, build, phenotype_scores
from immunopath.models.embedded.phenotype_constants import Layout, shipped
from immunopath.models.protocols import RGB
from immunopath.models.spec import EngineSpec

ENGINE = EmbeddedPhenotype(shipped())
DENSITY = st.floats(0, 50_000)


@pytest.fixture(scope="module")
def core(shared_images: Path) -> RGB:
    return pixels(shared_images / CORE)


def test_a_nest_walled_off_by_lymphocytes_is_excluded(core: RGB) -> None:
    answer = ENGINE.score(store_of(core))
    assert answer.value == "excluded"
    assert answer.scores["excluded"] > 0.9
    assert sum(answer.scores.values()) == pytest.approx(1)
    inside = answer.features["lymphoid_per_mm2_in_nests"]
    assert answer.features["lymphoid_per_mm2_outside"] > 4 * inside
    assert not answer.calibrated
    assert answer.source.weights_digest == shipped().digest


@pytest.mark.parametrize("side", ["left", "right"])
def test_each_half_of_the_core_is_excluded_too(core: RGB, side: str) -> None:
    middle = core.shape[1] // 2
    part = core[:, :middle] if side == "left" else core[:, middle:]
    assert ENGINE.score(store_of(part.copy())).value == "excluded"


def test_a_lymphoid_block_without_nest_is_not_judged(core: RGB) -> None:
    answer = ENGINE.score(store_of(core[40:440, 380:1000].copy()))
    assert answer.abstained
    assert answer.value is None
    assert answer.scores == {}
    assert "no nest-like epithelium" in answer.reason
    assert answer.features["lymphoid_share"] > 0.6


def test_a_weaker_or_stronger_stain_does_not_change_the_call(core: RGB) -> None:
    for h, e in ((0.8, 1.2), (1.2, 0.8)):
        assert ENGINE.score(store_of(restained(core, h, e))).value == "excluded"


def test_a_quarter_turn_does_not_change_the_call(core: RGB) -> None:
    straight = ENGINE.score(store_of(core)).scores["excluded"]
    turned = ENGINE.score(store_of(np.rot90(core).copy())).scores["excluded"]
    assert turned == pytest.approx(straight, abs=0.1)


def test_equal_pixels_give_equal_answers(core: RGB) -> None:
    part = core[400:1000, 200:900].copy()
    assert ENGINE.score(store_of(part)) == ENGINE.score(store_of(part))


@pytest.mark.parametrize(
    "name", ["prov_normal_000_1.png", "tiatoolbox_kather1.tif", "01581x_25327y.png"]
)
def test_a_field_below_200_um_is_not_judged(shared_images: Path, name: str) -> None:
    answer = ENGINE.score(store_of(pixels(shared_images / "he_other" / name)))
    assert answer.abstained
    assert "200 µm across" in answer.reason
    assert 0 <= answer.features["lymphoid_share"] <= 1


def test_many_small_fields_do_not_add_up_to_a_large_one(shared_images: Path) -> None:
    folder = shared_images / "lung_he_til" / "u24_train300"
    fields = [pixels(path) for path in sorted(folder.glob("*.png"))[:6]]
    assert "200 µm across" in ENGINE.score(store_of(*fields)).reason


def test_aligned_muscle_is_no_nest(shared_images: Path) -> None:
    muscle = pixels(shared_images / "he_other" / "tiatoolbox_kather1.tif")
    answer = ENGINE.score(store_of(np.tile(muscle, (2, 2, 1))))
    assert answer.abstained
    assert "no nest-like" in answer.reason
    assert answer.features["lymphoid_share"] < 0.15


def test_mostly_glass_is_too_little_tissue(core: RGB) -> None:
    field = np.full((450, 450, 3), 243, np.uint8)
    field[:200, :200] = core[700:900, 400:600]
    answer = ENGINE.score(store_of(field))
    assert "too little tissue" in answer.reason


def test_a_case_without_tiles_is_not_judged() -> None:
    answer = ENGINE.score(store_of())
    assert answer.abstained
    assert "lymphoid_share" not in answer.features


def told(inside: float, outside: float | None) -> dict[str, float]:
    features = {"lymphoid_per_mm2_in_nests": inside}
    if outside is not None:
        features["lymphoid_per_mm2_outside"] = outside
    return phenotype_scores(features, Layout())


@given(inside=DENSITY, outside=st.none() | DENSITY)
def test_scores_are_shares(inside: float, outside: float | None) -> None:
    scores = told(inside, outside)
    assert set(scores) == {"inflamed", "excluded", "desert"}
    assert all(0 <= score <= 1 for score in scores.values())
    assert sum(scores.values()) == pytest.approx(1)


def test_the_layout_decides_the_leading_score() -> None:
    for inside, outside, leading in (
        (8000.0, 9000.0, "inflamed"),
        (1000.0, 9000.0, "excluded"),
        (300.0, 500.0, "desert"),
        (8000.0, None, "inflamed"),
        (300.0, None, "desert"),
    ):
        scores = told(inside, outside)
        assert max(scores, key=lambda name: scores[name]) == leading


def test_more_lymphocytes_in_nests_are_more_inflamed_and_never_more_excluded() -> None:
    steps = [told(inside, 9000.0) for inside in (100.0, 1000.0, 3000.0, 9000.0)]
    for less, more in pairwise(steps):
        assert more["inflamed"] > less["inflamed"]
        assert more["excluded"] < less["excluded"]


def test_close_scores_are_no_answer(core: RGB, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "immunopath.models.embedded.phenotype.phenotype_scores",
        lambda features, layout: {"inflamed": 0.45, "excluded": 0.25, "desert": 0.3},
    )
    answer = ENGINE.score(store_of(core))
    assert answer.abstained
    assert "too close" in answer.reason
    assert answer.scores["inflamed"] == 0.45


def test_the_engine_does_not_read_the_predictors_nuclei() -> None:
    code = (
        "import sys, immunopath.models.embedded.phenotype\n"
        "names = ('nuclei', 'predictor', 'candidates', 'classifier', 'features', 'layout')\n"
        "sys.exit(any(f'immunopath.models.embedded.{n}' in sys.modules for n in names))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_build_takes_no_options() -> None:
    assert build(EngineSpec.parse("embedded")).info.weights_digest == shipped().digest
    with pytest.raises(EngineSpecError):
        build(EngineSpec.parse("embedded,layout=2"))
