"""The share of a slide from its regions: weights, intervals, and what they must not do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampled_slides import QUANTITY, calls, intake

from immunopath.domain.prediction import ImageCall
from immunopath.domain.sampling import SamplingLog, SamplingRound, SlideEstimate
from immunopath.guidelines.slide_estimate import adaptive_findings, slide_estimates

ROUND = SamplingRound(images=(4, 5), because="wide", width_before=0.3)


def estimate(places: list[int], values: list[float], first: int | None = None) -> SlideEstimate:
    (found,) = slide_estimates(intake(places, first=first), calls(values), QUANTITY)
    return found


def test_strata_weigh_by_their_places() -> None:
    found = estimate([1, 1, 1, 7], [0.0, 0.0, 0.0, 0.5])
    assert found.value == pytest.approx(0.35)
    assert found.first_round_value == found.value
    assert found.n_regions == 4


def test_reading_a_hot_part_closely_does_not_heat_the_slide() -> None:
    """The pool of the ten regions would say 0.7; three quarters of the tissue are cold."""
    found = estimate([10, 10, 10, 2, 1, 1, 2, 1, 1, 2], [0.0] * 3 + [1.0] * 7, first=4)
    assert found.value == pytest.approx(0.25)
    assert found.first_round_value == pytest.approx(0.25)


def test_a_slide_read_whole_has_no_sampling_error() -> None:
    found = estimate([1] * 4, [0.1, 0.9, 0.2, 0.4])
    assert found.width == pytest.approx(0)
    assert found.value == pytest.approx(0.4)


def test_a_region_with_much_unread_tissue_and_unlike_neighbours_widens_the_interval() -> None:
    even = estimate([5] * 6, [0.1, 0.9, 0.1, 0.9, 0.1, 0.9])
    alike = estimate([5] * 6, [0.1, 0.1, 0.1, 0.9, 0.9, 0.9])
    assert even.width > alike.width > 0.1


def test_neighbours_are_those_that_look_alike() -> None:
    """Every second region is dark and hot: in the plane the neighbours differ, in depth hardly."""
    values = [0.1, 0.9] * 4
    case = intake([5] * 8)
    assert case.sampling is not None
    (slide,) = case.sampling.slides
    strata = tuple(s.model_copy(update={"depth": 1e5 * (s.image % 2)}) for s in slide.strata)
    log = case.sampling.model_copy(
        update={"slides": (slide.model_copy(update={"strata": strata}),)}
    )
    deep = case.model_copy(update={"sampling": log})
    (flat,), (found,) = (slide_estimates(c, calls(values), QUANTITY) for c in (case, deep))
    assert found.value == flat.value
    assert flat.width > 0.3
    assert found.width == pytest.approx(0, abs=1e-9)


def test_values_beyond_the_ends_are_clipped_after_averaging() -> None:
    found = estimate([1, 1, 1, 1], [-0.1, -0.1, 0.1, 0.1])
    assert found.value == pytest.approx(0, abs=1e-12)
    low = estimate([1, 1, 1, 2], [-0.1, -0.1, -0.1, -0.2])
    assert (low.value, low.interval[0]) == (0, 0)


def test_nuclei_weigh_within_the_ratio() -> None:
    rows = [ImageCall(image_index=i, til=t, weight=w) for i, t, w in
            ((0, 0.0, 300), (1, 0.0, 300), (2, 0.0, 300), (3, 1.0, 100))]  # fmt: skip
    (found,) = slide_estimates(intake([5] * 4), rows, QUANTITY)
    assert found.value == pytest.approx(0.1)


def test_without_four_values_or_without_a_slide_there_is_no_estimate() -> None:
    assert slide_estimates(intake([5] * 3), calls([0.1] * 3), QUANTITY) == ()
    assert slide_estimates(intake([5] * 6), calls([0.1] * 3), QUANTITY) == ()
    plain = intake([5] * 4).model_copy(update={"sampling": None})
    assert slide_estimates(plain, calls([0.1] * 4), QUANTITY) == ()


def test_a_first_region_without_a_value_does_not_stop_the_others() -> None:
    rows = [call for call in calls([0.9, 0.1, 0.1, 0.1, 0.1]) if call.image_index]
    (found,) = slide_estimates(intake([9, 1, 1, 1, 1]), rows, QUANTITY)
    assert found.value == pytest.approx(0.1)


@given(data=st.data(), places=st.lists(st.integers(1, 9), min_size=4, max_size=12))
@settings(deadline=None, max_examples=60)
def test_the_value_lies_in_its_interval_and_among_the_regions(
    data: st.DataObject, places: list[int]
) -> None:
    share = st.floats(0, 1, allow_nan=False)
    values = data.draw(st.lists(share, min_size=len(places), max_size=len(places)))
    found = estimate(places, values)
    assert 0 <= found.interval[0] <= found.value <= found.interval[1] <= 1
    assert min(values) - 1e-9 <= found.value <= max(values) + 1e-9
    assert all(v >= 0 for v in found.variances.values())
    if len(set(values)) == 1:
        assert found.width == pytest.approx(0, abs=1e-9)


def test_the_interval_covers_what_simple_drawing_gives() -> None:
    """Strata alike, one region each: 90 % of intervals should hold the mean of the slide."""
    rng, hits = np.random.default_rng(1), 0
    for _ in range(400):
        slide = rng.beta(2, 5, (12, 10))
        found = estimate([10] * 12, list(slide[:, 0]))
        hits += found.interval[0] <= slide.mean() <= found.interval[1]
    assert 0.84 <= hits / 400 <= 0.98


def test_a_caution_only_when_what_was_seen_chose_regions() -> None:
    first = intake([9] * 4)
    assert adaptive_findings(first, ()) == ()
    case = intake([9] * 6, [ROUND], first=4)
    (found,) = adaptive_findings(case, slide_estimates(case, calls([0.1] * 6), QUANTITY))
    assert found.code == "SAMPLING_ADAPTIVE"
    assert (
        "Not all of 6 regions were read for where they lie, 2 because of what earlier"
        in found.message
    )
    assert "S.svs 0.10 (0.10 to 0.10)" in found.action
    looked = first.model_copy(
        update={
            "sampling": SamplingLog(
                slides=(), rounds=(SamplingRound(images=(0, 1, 2), because="", by_thumbnail=(2,)),)
            )
        }
    )
    (dark,) = adaptive_findings(looked, ())
    assert (
        "Not all of 3 regions were read for where they lie, 1 because they look dark"
        in dark.message
    )
    (bare,) = adaptive_findings(case, ())
    assert "where one is given" in bare.action
