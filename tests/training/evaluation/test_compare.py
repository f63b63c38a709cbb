"""Differences of several fields: the p that counts how many were tested."""

import pytest
from evaluation_cases import cohort, of_split, seeing
from hypothesis import given
from hypothesis import strategies as st

from immunopath.training.evaluation.compare import Difference, holm, with_holm
from immunopath.training.evaluation.compare_runs import verdict
from immunopath.training.evaluation.evaluate import evaluate_sets
from immunopath.training.evaluation.markdown import render_markdown
from immunopath.training.evaluation.resample import Plan

P = st.floats(min_value=0, max_value=1)


def row(metric: str, p: float | None, field: str = "til_fraction") -> Difference:
    return Difference(
        against="x", field=field, metric=metric, n=40, one=0.6, other=0.5, value=0.1, low=0.01,
        high=0.2, p=p,
    )  # fmt: skip


def test_holm_gives_the_textbook_s_numbers() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm([]) == ()


@given(st.lists(P, max_size=10))
def test_an_adjusted_p_is_never_smaller_keeps_the_order_and_is_a_p(ps: list[float]) -> None:
    found = holm(ps)
    assert all(raw <= adjusted <= 1 for raw, adjusted in zip(ps, found, strict=True))
    ranked = sorted(range(len(ps)), key=lambda i: ps[i])
    assert [found[i] for i in ranked] == sorted(found)
    if ps:
        assert min(found) <= min(1.0, len(ps) * min(ps)) + 1e-12


def test_a_family_is_the_main_metrics_together_and_every_other_by_itself() -> None:
    rows = with_holm(
        [row("balanced_accuracy", 0.02), row("spearman", 0.03), row("mae", 0.02), row("mae", None)]
    )
    assert [r.p_holm for r in rows] == [
        pytest.approx(0.04),
        pytest.approx(0.04),
        pytest.approx(0.02),
        None,
    ]
    assert [r.family for r in rows] == [2, 2, 1, 0]


def test_a_run_is_better_only_where_the_family_agrees() -> None:
    alone = with_holm([row("spearman", 0.02)])[0]
    among = with_holm([row("spearman", 0.02), *(row("balanced_accuracy", 0.5),) * 7])[0]
    assert (alone.low, among.low) == (0.01, 0.01)
    assert verdict(alone) == "first"
    assert verdict(among) == "not shown"


def test_every_page_shows_both() -> None:
    samples = cohort()
    test = of_split(samples, "test")
    found = evaluate_sets(samples, seeing(test), plan=Plan(draws=100))
    primary = [d for d in found.differences if d.against == "majority" and d.field != "msi_status"
               and d.metric in {"balanced_accuracy", "spearman"}]  # fmt: skip
    assert {d.family for d in primary} == {len(primary)}
    assert "| p | p (Holm) |" in render_markdown(found)
