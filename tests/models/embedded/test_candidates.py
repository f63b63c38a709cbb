import numpy as np
from nuclei_fields import STROMA, draw, grid_points

from immunopath.models.embedded.candidates import Candidates, base_maps, find_candidates
from immunopath.models.embedded.density import Workspace, optical_density


def _find(rgb: np.ndarray) -> Candidates:
    work = Workspace()
    od = optical_density(rgb, np.full(3, 245, np.float32), work)
    return find_candidates(base_maps(od, work), work)


def test_every_separate_nucleus_is_one_candidate_at_its_place() -> None:
    points = grid_points(120, 100, 14)
    found = _find(draw(120, 100, 0.5, points))
    assert len(found) == len(points)
    seen = (np.stack([found.x, found.y], 1) + 0.5) * 0.5
    distance = np.hypot(*(seen[:, None] - points[None]).transpose(2, 0, 1)).min(axis=0)
    assert distance.max() < 0.8


def test_blank_and_flat_fields_have_no_candidate() -> None:
    assert len(_find(np.full((64, 64, 3), 245, np.uint8))) == 0
    assert len(_find(np.full((64, 64, 3), STROMA, np.uint8))) == 0


def test_a_plateau_is_one_candidate() -> None:
    rgb = np.full((41, 41, 3), STROMA, np.uint8)
    rgb[18:22, 18:22] = (70, 50, 120)
    assert len(_find(rgb)) == 1


def _spot(colour: tuple[int, int, int]) -> Candidates:
    rgb = np.full((61, 61, 3), STROMA, np.uint8)
    yy, xx = np.mgrid[-30:31, -30:31]
    rgb[np.hypot(yy, xx) < 6] = colour
    return _find(rgb)


def test_red_cells_are_gated_out_and_counted() -> None:
    found = _spot((190, 30, 40))
    assert (len(found), found.n_red, found.n_pigment) == (0, 1, 0)


def test_black_pigment_is_gated_out_and_counted() -> None:
    found = _spot((10, 10, 10))
    assert (len(found), found.n_red, found.n_pigment) == (0, 0, 1)


def test_a_blue_nucleus_passes_the_gate() -> None:
    found = _spot((70, 50, 120))
    assert (len(found), found.n_red, found.n_pigment) == (1, 0, 0)


def test_candidates_come_in_reading_order() -> None:
    found = _find(draw(120, 100, 0.5, grid_points(120, 100, 14)))
    order = np.lexsort((found.x, found.y))
    assert order.tolist() == list(range(len(found)))
