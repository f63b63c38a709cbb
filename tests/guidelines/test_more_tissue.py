"""When a slide is read further, where, and why it stops: a pure function with laws."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampled_slides import intake, judged

from immunopath.domain.quality import IntakeResult
from immunopath.domain.sampling import SamplingBudget, SamplingDecision, SamplingRound
from immunopath.guidelines.more_tissue import LEAST_GAIN, WIDTH_LIMIT, more_tissue

BUDGET = SamplingBudget(rounds=2, regions=12)
WIDE = [0.0, 0.9, 0.1, 0.8, 0.0, 0.9]


def visit(images: tuple[int, ...], width: float | None) -> SamplingRound:
    return SamplingRound(images=images, because="wide", width_before=width)


def decide(
    case: IntakeResult,
    values: list[float],
    budget: SamplingBudget = BUDGET,
    *,
    state: str = "single",
    apart: float | None = None,
    late: tuple[str, ...] = (),
) -> SamplingDecision:
    found = more_tissue(judged(case, values, state=state, apart=apart), case, budget, late)
    assert found is not None
    return found


def test_plain_images_are_never_read_further() -> None:
    case = intake([9] * 6).model_copy(update={"sampling": None})
    assert more_tissue(judged(case, WIDE, state="disagree"), case, BUDGET) is None


def test_a_wide_interval_asks_for_more() -> None:
    found = decide(intake([9] * 6), WIDE)
    assert found.stop is None
    assert sum(part.count for part in found.wanted) == 6
    assert found.reason.startswith("the interval of the slide's share is ")
    assert found.width is not None
    assert found.width > WIDTH_LIMIT


def test_a_settled_case_stops() -> None:
    found = decide(intake([9] * 6), [0.3] * 6)
    assert (found.stop, found.wanted) == ("settled", ())


def test_a_conflict_asks_for_more_though_the_interval_is_narrow() -> None:
    found = decide(intake([9] * 6), [0.3] * 6, state="disagree")
    assert found.reason == "the engines differ on the immune phenotype"
    assert sum(part.count for part in found.wanted) == 6


def test_tiles_that_contradict_ask_once() -> None:
    once = decide(intake([9] * 6), [0.3] * 6, apart=0.6)
    assert once.wanted
    again = intake([5] * 12, [visit(tuple(range(6, 12)), 0.5)])
    assert decide(again, [0.3] * 12, apart=0.6).stop == "settled"


def test_more_is_read_where_regions_differ() -> None:
    """Three alike on the left, three unlike on the right; neighbours are what variance is from."""
    found = decide(intake([9] * 8), [0.1] * 5 + [0.0, 1.0, 0.0])
    assert {part.image for part in found.wanted} <= {3, 4, 5, 6, 7}


def test_large_strata_come_first_where_nothing_differs() -> None:
    found = decide(intake([2, 2, 2, 30]), [0.3] * 4, state="disagree")
    assert max(found.wanted, key=lambda part: part.count).image == 3


@pytest.mark.parametrize(
    ("case", "values", "budget", "late", "stop"),
    [
        (intake([9] * 6), WIDE, SamplingBudget(rounds=0), (), "off"),
        (intake([9] * 6), WIDE, SamplingBudget(regions=0), (), "off"),
        (intake([9] * 6), WIDE, BUDGET, ("phenotype",), "late_engine"),
        (intake([9] * 6), WIDE[:3], BUDGET, (), "no_estimate"),
        (intake([1] * 6), WIDE, BUDGET, (), "settled"),
        (
            intake([5] * 12, [visit((6, 7, 8), 0.9), visit((9, 10, 11), 0.9)], first=6),
            WIDE * 2, BUDGET, (), "rounds",
        ),
        (
            intake([5] * 12, [visit(tuple(range(6, 12)), 0.99)]),
            WIDE * 2, SamplingBudget(rounds=5, regions=6), (), "budget",
        ),
    ],
)  # fmt: skip
def test_every_reason_to_stop(
    case: IntakeResult,
    values: list[float],
    budget: SamplingBudget,
    late: tuple[str, ...],
    stop: str,
) -> None:
    found = decide(case, values, budget, late=late)
    assert (found.stop, found.wanted) == (stop, ())
    assert found.reason


@pytest.mark.parametrize(("before", "stop"), [(1.0, "no_gain"), (1.04, "no_gain"), (0.9, None)])
def test_a_round_that_changes_nothing_is_the_last(before: float, stop: str | None) -> None:
    """`before` in widths of now: a wider interval is news, the same one is none."""
    width = decide(intake([5] * 12), WIDE * 2).width
    assert width is not None
    case = intake([5] * 12, [visit(tuple(range(6, 12)), before * width)], first=6)
    assert decide(case, WIDE * 2).stop == stop


def test_a_conflict_on_a_slide_read_whole_ends_for_want_of_tissue() -> None:
    case = intake([1] * 6)
    assert decide(case, [0.3] * 6, state="disagree").stop == "no_tissue_left"


def test_a_region_that_could_not_be_read_ends_the_rounds() -> None:
    case = intake([9] * 6)
    assert case.sampling is not None
    log = case.sampling.model_copy(update={"fault": "S.svs: is gone"})
    found = decide(case.model_copy(update={"sampling": log}), WIDE)
    assert found.stop == "unreadable"
    assert found.reason == "a further round could not be read: S.svs: is gone"


@given(
    places=st.lists(st.integers(1, 12), min_size=4, max_size=14),
    more=st.integers(0, 8),
    rounds=st.integers(0, 5),
    regions=st.integers(0, 30),
    state=st.sampled_from(["agree", "disagree", "single"]),
    data=st.data(),
)
@settings(deadline=None, max_examples=120)
def test_laws(  # noqa: PLR0917 - one argument per thing that may vary
    places: list[int], more: int, rounds: int, regions: int, state: str, data: st.DataObject
) -> None:
    """Never more than the budget or the tissue; either tissue or a reason to stop; no chance."""
    first = max(1, len(places) - more)
    added = tuple(range(first, len(places)))
    before = data.draw(st.one_of(st.none(), st.floats(0, 1)))
    case = intake(places, [visit(added, before)] if added else [], first=first)
    share = st.floats(0, 1, allow_nan=False)
    values = data.draw(st.lists(share, min_size=len(places), max_size=len(places)))
    budget = SamplingBudget(rounds=rounds, regions=regions)
    found = decide(case, values, budget, state=state)
    assert found == decide(case, values, budget, state=state)
    assert (found.stop is None) == bool(found.wanted)
    asked = sum(part.count for part in found.wanted)
    assert asked <= max(0, regions - len(added))
    assert not asked or asked <= -(-regions // rounds)
    assert all(part.count <= places[part.image] - 1 for part in found.wanted)
    narrow = found.width is not None and found.width <= WIDTH_LIMIT
    if narrow and state != "disagree":
        assert found.stop == "settled"
    gained = (
        before is None or found.width is None or abs(found.width - before) >= LEAST_GAIN * before
    )
    if found.wanted:
        assert gained or not added
