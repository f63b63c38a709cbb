"""Intervals of counted shares."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from immunopath.domain.intervals import wilson


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share(pair: tuple[int, int]) -> None:
    low, high = wilson(*pair)
    assert 0 <= low <= pair[0] / pair[1] + 1e-12
    assert pair[0] / pair[1] - 1e-12 <= high <= 1


def test_wilson_against_a_published_example() -> None:
    low, high = wilson(81, 263)
    assert (low, high) == pytest.approx((0.2633, 0.3566), abs=2e-3)
