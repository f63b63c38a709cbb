import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from immunopath.models.embedded.classifier import shipped
from immunopath.models.embedded.density import WORK_MPP
from immunopath.models.embedded.layout import Layout, analyse_layout, decide, morisita_horn
from immunopath.models.embedded.looks import TileBox
from immunopath.models.embedded.merge import Nuclei
from immunopath.models.embedded.nuclei import CaseNuclei
from immunopath.models.embedded.tissue import TissueGrid, case_tissue_um2, tissue_grid

FIX = shipped().constants.correction
FIELD = 400.0


def _scatter(n: int, left: float, right: float, seed: int, size: float = FIELD) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform([left, 0], [right, size], (n, 2))


def _tissue(image: int, size: float, glass_from: float) -> TissueGrid:
    pixels = round(size / WORK_MPP)
    mask = np.ones((pixels, pixels), np.bool_)
    mask[:, int(min(glass_from, size) / WORK_MPP) :] = False
    return tissue_grid(mask, TileBox(str(image), image, 0, 0, size, size))


def _case(  # noqa: PLR0917
    lymphocytes: np.ndarray,
    tumour: np.ndarray,
    size: float = FIELD,
    area: float = 24.0,
    copies: int = 1,
    glass_from: float = np.inf,
) -> CaseNuclei:
    points = np.concatenate([lymphocytes, tumour]).astype(np.float32)
    is_lym = np.arange(len(points)) < len(lymphocytes)
    n = len(points)
    one = Nuclei(
        points[:, 0],
        points[:, 1],
        np.where(is_lym, 15, area).astype(np.float32),
        np.full(n, 0.8, np.float32),
        is_lym.astype(np.float32),
        is_lym,
    )
    return CaseNuclei(
        nuclei=Nuclei.join([one] * copies),
        image_index=np.repeat(np.arange(copies), n),
        tile_index=np.repeat(np.arange(copies), n),
        boxes=tuple(TileBox(str(i), i, 0, 0, size, size) for i in range(copies)),
        tissue=tuple(_tissue(i, size, glass_from) for i in range(copies)),
        gain=1.0,
        n_pigment=0,
        n_candidates=n * copies,
    )


def _layout(case: CaseNuclei) -> Layout:
    return analyse_layout(case, FIX)


NEST = _scatter(320, 0, 200, 1)
"""320 nuclei on 0.08 mm²: 4000 per mm²."""


def test_lymphocytes_beside_a_nest_are_excluded() -> None:
    layout = _layout(_case(_scatter(800, 200, 400, 2), NEST))
    assert layout.phenotype == "excluded"
    assert layout.density_in_nests is not None
    assert layout.density_outside is not None
    assert layout.density_in_nests < 0.2 * layout.density_outside
    assert layout.nest_mm2 == pytest.approx(0.08, rel=0.25)


def test_lymphocytes_among_tumour_cells_are_inflamed() -> None:
    tumour = _scatter(640, 0, 400, 3)
    assert _layout(_case(_scatter(450, 0, 400, 4), tumour)).phenotype == "inflamed"


def test_tumour_with_hardly_any_lymphocyte_is_desert() -> None:
    assert _layout(_case(_scatter(20, 0, 400, 5), _scatter(640, 0, 400, 6))).phenotype == "desert"


def test_lymphocytes_alone_have_no_phenotype() -> None:
    layout = _layout(_case(_scatter(1500, 0, 400, 7), np.zeros((0, 2))))
    assert layout.phenotype is None
    assert "No tumour nests" in layout.reason


def test_small_nuclei_do_not_make_a_nest() -> None:
    layout = _layout(_case(_scatter(300, 200, 400, 8), NEST, area=9.0))
    assert layout.phenotype is None


@pytest.mark.parametrize(("size", "usable"), [(199.0, False), (201.0, True)])
def test_a_field_below_200_micrometres_has_no_layout(size: float, usable: bool) -> None:
    layout = _layout(_case(_scatter(60, 0, size, 9, size), _scatter(160, 0, size, 10, size), size))
    assert (layout.phenotype is not None) == usable
    assert usable or "200 µm across" in layout.reason


def test_fewer_than_100_nuclei_have_no_layout() -> None:
    assert _layout(_case(_scatter(9, 0, 400, 11), _scatter(90, 0, 400, 12))).phenotype is None


@pytest.mark.parametrize("glass_from", [0.0, 60.0, 123.0, 200.0, 400.0])
def test_nests_lie_on_tissue(glass_from: float) -> None:
    case = _case(_scatter(800, 200, 400, 2), NEST, glass_from=glass_from)
    layout, tissue = _layout(case), case_tissue_um2(case.tissue) * 1e-6
    assert layout.nest_mm2 is not None
    assert layout.nest_mm2 <= tissue
    assert layout.blocks[:, [1, 3]].sum() <= tissue + 1e-12
    assert (layout.nest_mm2 > 0) == (glass_from > 0)


def test_two_images_do_not_add_up_to_one_large_field() -> None:
    case = _case(_scatter(60, 0, 150, 13, 150), _scatter(160, 0, 150, 14, 150), 150, copies=2)
    assert _layout(case).phenotype is None


def test_the_same_image_twice_says_the_same() -> None:
    once = _layout(_case(_scatter(800, 200, 400, 2), NEST))
    twice = _layout(_case(_scatter(800, 200, 400, 2), NEST, copies=2))
    assert twice.phenotype == once.phenotype
    assert twice.nest_mm2 == pytest.approx(2 * (once.nest_mm2 or 0))
    assert twice.density_outside == pytest.approx(once.density_outside)


def test_in_nest_marks_the_nuclei_of_the_nest() -> None:
    case = _case(_scatter(800, 200, 400, 2), NEST)
    layout = _layout(case)
    deep = case.nuclei.x_um < 150
    far = case.nuclei.x_um > 250
    assert layout.in_nest[deep].mean() > 0.95
    assert not layout.in_nest[far].any()


def test_blocks_add_up_to_the_case() -> None:
    case = _case(_scatter(800, 200, 400, 2), NEST)
    total = _layout(case).blocks.sum(axis=0)
    assert total[4] == case.nuclei.is_lymphocyte.sum()
    assert total[5] == len(case.nuclei)
    assert total[1] + total[3] <= 0.16 + 1e-9


def test_decide_at_its_limits() -> None:
    floor, ceiling = np.zeros(4), 1.0
    rows = np.array(
        [
            [10, 0.1, 1000, 0.1, 1010, 9000],
            [390, 0.1, 1000, 0.1, 1390, 5000],
            [410, 0.1, 1000, 0.1, 1410, 5000],
            [150, 0.1, 200, 0.1, 350, 1000],
        ]
    )
    assert decide(rows, floor, ceiling).tolist() == ["desert", "excluded", "inflamed", "desert"]


def test_morisita_horn_of_equal_and_of_disjoint_layouts() -> None:
    a = np.array([1.0, 5, 2, 0])
    assert morisita_horn(np.stack([a, 3 * a])) == pytest.approx(1)
    assert morisita_horn(np.array([[1.0, 0], [0, 4]])) == 0
    assert morisita_horn(np.array([[0.0, 0], [0, 4]])) is None


@given(hnp.arrays(np.float64, (2, 12), elements=st.integers(0, 50)))
def test_morisita_horn_is_symmetric_and_in_range(counts: np.ndarray) -> None:
    value = morisita_horn(counts)
    if value is not None:
        assert 0 <= value <= 1
        assert value == pytest.approx(morisita_horn(counts[::-1]))
