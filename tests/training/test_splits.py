import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from immunopath.domain.errors import DuplicatePatient, LeakageError, SplitError
from immunopath.training.samples import SPLITS
from immunopath.training.site_split import place_groups
from immunopath.training.splits import Member, make_split, read_split, strata, write_split


def members(*sizes: int, sites: int = 4) -> list[Member]:
    """`sizes[i]` patients of stratum i, sites in turn."""
    return [
        Member(patient_id=f"p{k}-{i:03d}", stratum=f"s{k}", site=f"T{i % sites}")
        for k, n in enumerate(sizes)
        for i in range(n)
    ]


MEMBERS = members(100, 60, 40, 20, sites=20)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(0, 5))
def test_each_stratum_is_divided_to_within_one_patient(sizes: list[int], seed: int) -> None:
    rows = members(*sizes)
    try:
        plan = make_split(rows, seed=seed)
    except SplitError:  # a split stays empty
        assert sum(sizes) < 15
        return
    assert sorted(plan.of) == sorted(m.patient_id for m in rows)
    for k, size in enumerate(sizes):
        for split, share in zip(SPLITS, (0.8, 0.1, 0.1), strict=True):
            assert abs(plan.strata[split].get(f"s{k}", 0) - share * size) < 1
    for split, share in zip(SPLITS, (0.8, 0.1, 0.1), strict=True):
        assert abs(len(plan.ids(split)) - share * len(rows)) < 2


def test_the_seed_decides_and_the_order_of_the_rows_does_not() -> None:
    plan = make_split(MEMBERS, seed=1)
    assert make_split(MEMBERS[::-1], seed=1) == plan
    assert make_split(MEMBERS, seed=2).of != plan.of
    by_site = make_split(MEMBERS, seed=1, by_site=True)
    assert make_split(MEMBERS[::-1], seed=1, by_site=True) == by_site


@pytest.mark.parametrize("seed", range(4))
def test_a_site_stays_whole_and_the_splits_stay_balanced(seed: int) -> None:
    rng = np.random.default_rng(7)
    rows = [
        Member(patient_id=f"p{i}", stratum=f"s{rng.integers(4)}", site=f"T{int(site)}")
        for i, site in enumerate(np.minimum(rng.geometric(0.06, 600), 40))
    ]
    plan = make_split(rows, seed=seed, by_site=True)
    places = {(m.site, plan.of[m.patient_id]) for m in rows}
    assert len(places) == len({site for site, _ in places})
    for split, share in zip(SPLITS, (0.8, 0.1, 0.1), strict=True):
        assert abs(len(plan.ids(split)) / len(rows) - share) < 0.02
        total = Counter(m.stratum for m in rows)
        for stratum, n in plan.strata[split].items():
            assert abs(n / total[stratum] - share) < 0.06


def test_large_sites_leave_no_split_empty() -> None:
    """Six sites of twenty: by cost alone all would go to training."""
    plan = make_split(members(60, 60, sites=6), seed=0, by_site=True)
    assert {split: len(plan.ids(split)) for split in SPLITS} == {"train": 80, "val": 20, "test": 20}


def test_groups_reach_an_exact_solution_when_there_is_one() -> None:
    table = np.array([[40.0], [25.0], [15.0], [10.0], [6.0], [4.0]])
    for seed in range(10):
        place = place_groups(table, (0.8, 0.1, 0.1), np.random.default_rng(seed))
        sizes = [sum(table[g, 0] for g, k in enumerate(place) if k == split) for split in range(3)]
        assert sizes == [80, 10, 10]


def test_a_split_without_share_stays_empty() -> None:
    for by_site in (False, True):
        plan = make_split(MEMBERS, seed=0, fractions=(0.8, 0.0, 0.2), by_site=by_site)
        assert plan.ids("val") == ()


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ((0.8, 0.2), "three shares"),
        ((0.8, 0.3, -0.1), "three shares"),
        ((0.5, 0.1, 0.1), "sum to 1"),
        ((0.0, 0.5, 0.5), "train is more than 0"),
        ((0.3333333, 0.3333333, 0.3333333), "sum to 1"),
        ((float("nan"), 0.5, 0.5), "three shares"),
    ],
)
def test_bad_fractions_are_refused(fractions: tuple[float, ...], message: str) -> None:
    with pytest.raises(SplitError, match=message):
        make_split(MEMBERS, seed=0, fractions=fractions)


def test_what_cannot_be_split_is_named() -> None:
    with pytest.raises(DuplicatePatient, match="patient p0-000 is there twice"):
        make_split([*MEMBERS, MEMBERS[0]], seed=0)
    with pytest.raises(SplitError, match="no patient"):
        make_split([], seed=0)
    with pytest.raises(SplitError, match="leave val, test empty"):
        make_split(members(2), seed=0)
    with pytest.raises(SplitError, match="1 patient has no site"):
        make_split([*MEMBERS, Member(patient_id="x")], seed=0, by_site=True)
    with pytest.raises(SplitError, match="2 sites cannot fill 3 splits"):
        make_split(members(30, sites=2), seed=0, by_site=True)


def test_strata_are_cancer_type_by_cd274() -> None:
    kinds = {"a": "LUAD", "b": "LUSC", "c": "LUAD", "d": ""}
    assert strata(kinds, {"a": 1.0, "b": 2.0, "c": 3.0}) == {
        "a": "LUAD low",
        "b": "LUSC high",
        "c": "LUAD high",
        "d": "unknown unknown",
    }


def test_split_ids_are_written_and_read_back(tmp_path: Path) -> None:
    plan = make_split(MEMBERS, seed=0)
    write_split(tmp_path, plan.of, plan)
    assert read_split(tmp_path) == plan.of
    assert (tmp_path / "val.txt").read_text().splitlines() == list(plan.ids("val"))
    summary = json.loads((tmp_path / "split.json").read_text())
    assert summary["made"]["seed"] == 0
    assert summary["patients"]["train"] == len(plan.ids("train"))


def test_a_patient_in_two_files_is_leakage(tmp_path: Path) -> None:
    write_split(tmp_path, make_split(MEMBERS, seed=0).of)
    train = (tmp_path / "train.txt").read_text()
    (tmp_path / "test.txt").write_text("x\n" + train.splitlines()[0] + "\n")
    with pytest.raises(LeakageError, match=r"test.txt: line 2: patient p0-00. is in train too"):
        read_split(tmp_path)
    (tmp_path / "test.txt").write_text("x\nx\n")
    with pytest.raises(DuplicatePatient, match="line 2: patient x is there twice"):
        read_split(tmp_path)
    (tmp_path / "test.txt").unlink()
    with pytest.raises(SplitError, match=r"test.txt: cannot be read"):
        read_split(tmp_path)
