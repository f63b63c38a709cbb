"""Regions that a person picks: what is one, and which may stand together."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from immunopath.domain.case import Case
from immunopath.domain.errors import RegionError
from immunopath.domain.region import (
    MAX_REGIONS,
    checked_regions,
    refuse_outside,
    region_of,
    region_text,
    regions_of,
)

PIXELS = st.integers(0, 10**8)
SIDES = st.integers(1, 10**8)


@given(st.tuples(PIXELS, PIXELS, SIDES, SIDES))
def test_a_region_survives_its_text(region: tuple[int, int, int, int]) -> None:
    assert region_of(region_text(region)) == region
    assert regions_of(f"\n {region_text(region)} \r\n\n") == (region,)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is not x,y,width,height"),
        ("1,2,3", "is not x,y,width,height"),
        ("1,2,3,4,5", "is not x,y,width,height"),
        ("nan,0,9,9", "is not x,y,width,height"),
        ("1e3,0,9,9", "is not x,y,width,height"),
        ("0.5,0,9,9", "is not x,y,width,height"),
        ("9" * 5000 + ",0,9,9", "is not x,y,width,height"),
        ("0,0,9,0", "holds no pixel"),
        ("0,0,-9,9", "holds no pixel"),
        ("-1,0,9,9", "begins outside the slide"),
    ],
)
def test_text_that_is_no_region_is_one_named_line(text: str, fault: str) -> None:
    with pytest.raises(RegionError, match=fault) as caught:
        region_of(text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "regions",
    [
        None, 5, "1,2,3,4", [5], ["1,2,3,4"], [[1, 2, 3]], [(1.5, 0, 9, 9)], [(True, 0, 9, 9)],
        [(math.nan, 0, 9, 9)], [(math.inf, 0, 9, 9)], [("1", 0, 9, 9)], [(0, 0, 0, 9)],
    ],
)  # fmt: skip
def test_a_case_takes_nothing_else_for_a_region(regions: Any) -> None:
    with pytest.raises(RegionError, match=r"^region"):
        Case(case_id="a", images="a.svs", regions=regions)


def test_a_case_takes_what_json_makes_of_it() -> None:
    case = Case(case_id="a", images="a.svs", regions=[[0, 0, 9.0, 9], (9, 0, 9, 9)])
    assert case.regions == ((0, 0, 9, 9), (9, 0, 9, 9))
    assert Case.model_validate_json(case.model_dump_json()) == case


def test_regions_are_of_one_image() -> None:
    with pytest.raises(RegionError, match="picked for 2 images; pick them on one slide"):
        Case(case_id="a", images=("a.svs", "b.svs"), regions=[(0, 0, 9, 9)])


def test_thousands_are_refused_before_they_are_looked_at() -> None:
    many = [(10 * i, 0, 9, 9) for i in range(MAX_REGIONS)]
    assert len(checked_regions(many)) == MAX_REGIONS
    with pytest.raises(RegionError, match=f"more than {MAX_REGIONS} regions were picked"):
        checked_regions((10 * i, 0, 9, 9) for i in range(10**9))
    with pytest.raises(RegionError, match="more than"):
        regions_of("no region\n" * 5000)


@given(st.lists(st.tuples(*[st.integers(0, 8)] * 2, *[st.integers(1, 5)] * 2), max_size=5))
def test_no_pixel_is_read_twice(regions: list[tuple[int, int, int, int]]) -> None:
    pixels = [
        (x + i, y + j) for x, y, width, height in regions for i in range(width)
        for j in range(height)
    ]  # fmt: skip
    if len(pixels) == len(set(pixels)):
        assert checked_regions(regions) == tuple(regions)
    else:
        with pytest.raises(RegionError, match="nuclei would count twice"):
            checked_regions(regions)


def test_a_region_ends_with_its_slide() -> None:
    refuse_outside([(90, 40, 10, 10)], (100, 50), "a.svs")
    for region in ((91, 40, 10, 10), (90, 41, 10, 10), (10**9, 0, 1, 1)):
        with pytest.raises(RegionError, match=r"reaches outside a\.svs, which is 100 x 50 pixels"):
            refuse_outside([region], (100, 50), "a.svs")
