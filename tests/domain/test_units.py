"""mpp is a number of micrometres per pixel, nothing else."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from immunopath.domain.case import Case
from immunopath.domain.errors import ImmunoPathError, ResolutionError
from immunopath.domain.units import MPP_MAX, MPP_MIN, checked_mpp


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_value_is_kept_or_refused_never_changed(value: float) -> None:
    if math.isfinite(value) and MPP_MIN <= value <= MPP_MAX:
        assert checked_mpp(value) == value
    else:
        with pytest.raises(ResolutionError, match="micrometres per pixel"):
            checked_mpp(value)


def test_a_case_checks_its_mpp_and_takes_one_path() -> None:
    case = Case(case_id="a", images="x.png", mpp=0.25)  # type: ignore[arg-type]
    assert [path.name for path in case.images] == ["x.png"]
    with pytest.raises(ResolutionError):
        Case(case_id="a", images="x.png", mpp=40)  # type: ignore[arg-type]


@given(st.text())
def test_an_error_is_one_printable_line(text: str) -> None:
    shown = str(ImmunoPathError(text))
    assert len(shown.splitlines()) <= 1
    assert all(c.isprintable() for c in shown)
