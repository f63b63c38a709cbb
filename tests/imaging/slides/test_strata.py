"""Strata of a slide: every place belongs to its nearest region; more is read by distance."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from immunopath.imaging.slides.strata import further, strata_of
from immunopath.imaging.tiles import Box

cells = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=40, unique=True
)


def boxes(found: list[tuple[int, int]]) -> list[Box]:
    return [(100 * column, 100 * row, 100, 100) for column, row in sorted(found)]


@given(found=cells, data=st.data())
@settings(deadline=None, max_examples=80)
def test_strata_part_the_frame_and_rounds_never_read_twice(
    found: list[tuple[int, int]], data: st.DataObject
) -> None:
    frame = boxes(found)
    read = data.draw(st.lists(st.sampled_from(frame), min_size=1, max_size=8, unique=True))
    depth = {box: data.draw(st.sampled_from([0.0, 90.0, 400.0])) for box in frame}
    for _ in range(3):
        strata = strata_of(frame, read, depth)
        assert list(strata) == read
        members = [box for mine in strata.values() for box in mine]
        assert sorted(members) == sorted(frame)
        assert all(box in mine for box, mine in strata.items())
        wanted = {box: data.draw(st.integers(1, 4)) for box in read[:3]}
        new = further(strata, wanted, depth)
        assert new == further(strata, wanted, depth)
        for box, chosen in new.items():
            assert len(chosen) == min(wanted[box], len(strata[box]) - 1)
            assert set(chosen) <= set(strata[box]) - set(read)
            read += chosen
    assert len(read) == len(set(read))


@given(found=cells, data=st.data())
@settings(deadline=None, max_examples=60)
def test_without_depth_only_the_plane_counts(
    found: list[tuple[int, int]], data: st.DataObject
) -> None:
    frame = boxes(found)
    read = data.draw(st.lists(st.sampled_from(frame), min_size=1, max_size=8, unique=True))
    strata = strata_of(frame, read)
    for box, mine in strata.items():
        for x, y, *_ in mine:
            nearest = min(read, key=lambda b: ((b[0] - x) ** 2 + (b[1] - y) ** 2, read.index(b)))
            assert nearest == box
    level = data.draw(st.sampled_from([0.0, 300.0]))
    assert strata == strata_of(frame, read, dict.fromkeys(frame, level))
    wanted = dict.fromkeys(read, 2)
    assert further(strata, wanted) == further(strata, wanted, dict.fromkeys(frame, level))


def test_a_dark_region_stands_for_dark_places() -> None:
    frame = boxes([(n, 0) for n in range(6)])
    depth = {frame[0]: 900.0, frame[5]: 900.0}
    strata = strata_of(frame, [frame[0], frame[1]], depth)
    assert strata == {frame[0]: (frame[0], frame[5]), frame[1]: tuple(frame[1:5])}


def test_the_farthest_place_is_read_first() -> None:
    frame = [(100 * n, 0, 100, 100) for n in range(6)]
    strata = strata_of(frame, [frame[0]])
    assert further(strata, {frame[0]: 1}) == {frame[0]: (frame[5],)}
    assert further(strata, {frame[0]: 2}) == {frame[0]: (frame[2], frame[5])}


def test_of_equal_distances_the_earlier_region_gets_the_place() -> None:
    frame = [(0, 0, 100, 100), (100, 0, 100, 100), (200, 0, 100, 100)]
    assert strata_of(frame, [frame[2], frame[0]])[frame[2]] == (frame[1], frame[2])


def test_a_region_off_the_grid_is_a_fault() -> None:
    with pytest.raises(ValueError, match="not among the places"):
        strata_of([(0, 0, 1, 1)], [(5, 5, 1, 1)])
    with pytest.raises(ValueError, match="no region"):
        strata_of([(0, 0, 1, 1)], [])
