"""The eight fields: values with their uncertainty, or abstentions that give their reason."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from immunopath.domain.prediction import FIELD_VALUES, BiomarkerProfile
from immunopath.domain.provenance import Provenance
from immunopath.models.embedded.classifier import Correction
from immunopath.models.embedded.fields import (
    CUT_POINTS,
    DENSITY,
    MIN_NUCLEI,
    MIN_PHENOTYPE_BLOCKS,
    PHENOTYPES,
    SHARE,
    Common,
    cannot_see,
    density_field,
    hint_field,
    phenotype_field,
    phenotype_table,
    share_field,
    too_few,
    unseen_fields,
)
from immunopath.models.embedded.layout import Layout
from immunopath.models.embedded.shares import COVERAGE, Share, estimate_share

SOURCE = Provenance(engine="embedded-predictor", revision="1", mpp=0.5, mpp_source="user")
COMMON = Common(n_tiles=4, qc_pass=True, source=SOURCE)
EXACT = Correction(floor=0.0, ceiling=1.0, floor_sd=0.0, ceiling_sd=0.0, source="identity")
counts = st.lists(
    st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    min_size=1, max_size=20,
)  # fmt: skip
some = settings(max_examples=30, deadline=None)


def share_of(pairs: list[tuple[int, int]]) -> Share:
    lymphocytes, nuclei = np.array(pairs, float).T
    return estimate_share(lymphocytes, nuclei, EXACT)


def layout(phenotype: str | None, rows: list[tuple[float, ...]], reason: str = "") -> Layout:
    blocks = np.array(rows, float).reshape(-1, 6)
    return Layout(phenotype, reason, np.zeros(0, np.bool_), blocks, 0.05, None, None, None)


def field_of_blocks(inside: float, outside: float, n: int = 12) -> list[tuple[float, ...]]:
    """Return blocks with these lymphocyte counts in and outside 0.005 mm² of nest each."""
    return [(inside, 0.005, outside, 0.005, inside + outside, 60.0)] * n


@some
@given(counts)
def test_the_share_is_reported_with_what_it_rests_on(pairs: list[tuple[int, int]]) -> None:
    share = share_of(pairs)
    field = share_field(COMMON, share, sum(n for _, n in pairs), 0.25)
    assert field.value == share.value
    assert field.raw_value == share.raw
    assert field.interval == share.interval
    assert field.coverage == COVERAGE
    assert field.tile_disagreement == 0.25
    assert field.quantity == SHARE
    assert field.probabilities is None


@some
@given(counts)
def test_density_follows_the_share_and_leaves_no_class_impossible(
    pairs: list[tuple[int, int]],
) -> None:
    share = share_of(pairs)
    field = density_field(COMMON, share, 99, None)
    assert field.value == CUT_POINTS.density_class(share.value)
    assert field.probabilities is not None
    assert tuple(field.probabilities) == DENSITY == FIELD_VALUES["til_density"]
    assert all(p > 0 for p in field.probabilities.values())
    assert sum(field.probabilities.values()) == pytest.approx(1)
    assert not field.calibrated


@some
@given(counts)
def test_the_hint_is_the_share_itself_marked_as_a_hint(pairs: list[tuple[int, int]]) -> None:
    share = share_of(pairs)
    field = hint_field(COMMON, share, 99)
    assert field.value == share.value
    assert field.hint
    assert field.interval is None
    assert "hint" in field.quantity


@pytest.mark.parametrize("n", [0, 1, MIN_NUCLEI - 1])
def test_without_a_share_three_fields_abstain_for_the_same_reason(n: int) -> None:
    fields = (
        share_field(COMMON, None, n, None),
        density_field(COMMON, None, n, None),
        hint_field(COMMON, None, n),
    )
    for field in fields:
        assert field.value is None
        assert field.reason == too_few(n)
        assert field.prior is None
        assert not field.hint
    assert ("no nuclei were" in too_few(n)) is (n == 0)
    assert str(MIN_NUCLEI) in too_few(n)


def test_what_cannot_be_seen_is_silent_whatever_was_counted() -> None:
    fields = unseen_fields(COMMON)
    assert set(fields) == {"cd274_expression", "msi_status", "tme_subtype", "cd8_infiltration"}
    for name, field in fields.items():
        assert field.abstained
        assert field.reason.endswith(".")
        assert field.probabilities is None
        assert field.source == SOURCE
        if field.prior is not None:
            assert set(field.prior) == set(FIELD_VALUES[name] or ())


def test_the_fields_fit_into_a_profile() -> None:
    share = share_of([(3, 10)] * 9)
    profile = BiomarkerProfile(
        **unseen_fields(COMMON),
        til_fraction=share_field(COMMON, share, 90, None),
        til_density=density_field(COMMON, share, 90, None),
        immune_phenotype=phenotype_field(COMMON, layout(None, [], "no nests"), EXACT),
        immune_score=hint_field(COMMON, share, 90),
    )
    said = {name for name, field in profile.items() if not field.abstained}
    assert said == {"til_fraction", "til_density", "immune_score"}


@pytest.mark.parametrize(
    ("phenotype", "inside", "outside"),
    [("inflamed", 30.0, 30.0), ("excluded", 1.0, 40.0), ("desert", 0.2, 0.2)],
)
def test_even_blocks_leave_no_doubt_about_the_phenotype(
    phenotype: str, inside: float, outside: float
) -> None:
    seen = layout(phenotype, field_of_blocks(inside, outside))
    field = phenotype_field(COMMON, seen, EXACT)
    assert field.value == phenotype
    assert field.probabilities is not None
    assert tuple(field.probabilities) == PHENOTYPES
    assert field.probabilities[phenotype] > 0.99
    assert all(p > 0 for p in field.probabilities.values())


@pytest.mark.parametrize("n", [MIN_PHENOTYPE_BLOCKS - 1, MIN_PHENOTYPE_BLOCKS])
def test_few_blocks_give_a_value_without_probabilities(n: int) -> None:
    seen = layout("inflamed", field_of_blocks(30, 30, n))
    table = phenotype_table(seen, EXACT)
    assert (table is None) is (n < MIN_PHENOTYPE_BLOCKS)
    assert phenotype_field(COMMON, seen, EXACT).value == "inflamed"


def test_mixed_blocks_are_less_sure_than_even_ones() -> None:
    mixed = field_of_blocks(30, 30, 6) + field_of_blocks(0.5, 40, 6)
    table = phenotype_table(layout("inflamed", mixed), EXACT)
    even = phenotype_table(layout("inflamed", field_of_blocks(30, 30)), EXACT)
    assert table is not None
    assert even is not None
    assert max(table.values()) <= even["inflamed"]
    assert sum(table.values()) == pytest.approx(1)


def test_a_layout_without_a_call_hands_on_its_reason() -> None:
    field = phenotype_field(COMMON, layout(None, field_of_blocks(1, 1), "no nests here"), EXACT)
    assert field.abstained
    assert field.reason == "no nests here"
    assert field.probabilities is None


@pytest.mark.parametrize("passed", [True, False])
def test_quality_and_tiles_are_passed_on(passed: bool) -> None:
    common = Common(n_tiles=7, qc_pass=passed, source=SOURCE)
    field = cannot_see(common, "q", "because", {"high": 0.5, "low": 0.5})
    assert (field.n_tiles, field.qc_pass, field.source) == (7, passed, SOURCE)


def test_twice_is_the_same() -> None:
    seen = layout("inflamed", field_of_blocks(12, 30))
    assert phenotype_table(seen, EXACT) == phenotype_table(seen, EXACT)
