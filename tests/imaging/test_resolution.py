"""Which resolution counts, and which is refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from immunopath.domain.errors import ResolutionError
from immunopath.domain.units import MPP_MAX, MPP_MIN, WORKING_MPP, MppSource, Resolution
from immunopath.imaging.resolution import resolve_resolution

OME = Resolution(mpp=0.25, source=MppSource.tag)


def test_the_users_value_wins_and_a_contradiction_is_noted() -> None:
    found = resolve_resolution(OME, 0.5)
    assert (found.mpp, found.source) == (0.5, MppSource.user)
    assert "0.25" in found.note
    assert "0.5" in found.note


@pytest.mark.parametrize("stated", [0.25, 0.23, 0.27])
def test_a_small_difference_is_no_contradiction(stated: float) -> None:
    assert resolve_resolution(OME, stated).note == ""


def test_the_files_value_is_used_as_it_is() -> None:
    assert resolve_resolution(OME, None) is OME


def test_without_any_value_half_a_micrometre_is_assumed_and_said_so() -> None:
    found = resolve_resolution(None, None)
    assert (found.mpp, found.source) == (WORKING_MPP, MppSource.assumed)
    assert "assumed" in found.note


@pytest.mark.parametrize("stated", [0.0, -0.5, math.nan, math.inf, -math.inf, 400.0, 0.049, 20.1])
def test_an_impossible_mpp_is_refused_even_when_the_file_knows_better(stated: float) -> None:
    with pytest.raises(ResolutionError, match="micrometres per pixel"):
        resolve_resolution(OME, stated)


@given(st.floats(MPP_MIN, MPP_MAX), st.floats(MPP_MIN, MPP_MAX))
def test_a_note_appears_exactly_beyond_ten_percent(stated: float, embedded: float) -> None:
    found = resolve_resolution(Resolution(mpp=embedded, source=MppSource.vendor), stated)
    assert found.mpp == stated
    assert bool(found.note) == (abs(stated - embedded) > 0.1 * embedded)
