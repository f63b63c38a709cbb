import pytest
from hypothesis import given
from hypothesis import strategies as st

from immunopath.domain.errors import LeakageError
from immunopath.imaging.tile_manifest import TileRow
from immunopath.training.leakage import Placed, find_leaks, placed, require_no_leak
from immunopath.training.samples import SPLITS, Sample, Split


def row(patient: str, split: Split, **values: object) -> Placed:
    return Placed.model_validate({"patient_id": patient, "split": split, **values})


def test_clean_splits_pass() -> None:
    rows = [row("a", "train", site="1", slides=("s1",)), row("b", "test", site="1", slides=("s2",))]
    require_no_leak(rows)


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        (row("a", "train"), row("a", "test"), r"patient a is in a \(test\) and a \(train\)"),
        (row("TCGA-05-4244", "train"), row("TCGA-05-4244-01A-01R-1107-07", "val"),
         r"is in TCGA-05-4244 \(train\) and TCGA-05-4244-01A-01R-1107-07 \(val\)"),
        (row("TCGA-05-4244", "test"), row("TCGA-05-4244-01A", "test"),
         r"is in TCGA-05-4244 \(test\) and TCGA-05-4244-01A \(test\)"),
        (row("a", "train", slides=("s",)), row("b", "test", slides=("s",)),
         r"slide s is in a \(train\) and b \(test\)"),
        (row("a", "train", slides=("s",)), row("b", "train", slides=("s",)),
         r"slide s is in a \(train\) and b \(train\)"),
        (row("a", "train", aliquots=("x",)), row("b", "val", aliquots=("x",)), "aliquot x"),
        (row("a", "train", pixels=("0f",)), row("b", "val", pixels=("0f",)), "tile 0f"),
        (row("TCGA-05-4244", "train", slides=("TCGA-05-4249-01Z-00-DX1.A",)), row("b", "val"),
         "slide TCGA-05-4249-01Z-00-DX1.A is in TCGA-05-4244 and TCGA-05-4249"),
    ],
)  # fmt: skip
def test_what_is_shared_is_leakage(one: Placed, other: Placed, message: str) -> None:
    with pytest.raises(LeakageError, match=message):
        require_no_leak([one, other])


def test_a_site_in_two_splits_is_leakage_on_demand() -> None:
    rows = [row("a", "train", site="05"), row("b", "test", site="05"), row("c", "val")]
    require_no_leak(rows)
    with pytest.raises(LeakageError, match="site 05 is in test and train"):
        require_no_leak(rows, by_site=True)


def test_many_leaks_are_counted() -> None:
    rows = [row(f"p{i}", split) for i in range(9) for split in ("train", "test")]
    with pytest.raises(LeakageError, match="; and 4 more"):
        require_no_leak(rows)


@given(st.lists(st.tuples(st.integers(0, 8), st.sampled_from(SPLITS)), max_size=12))
def test_a_leak_is_found_exactly_when_a_patient_has_two_splits(
    pairs: list[tuple[int, Split]],
) -> None:
    leaks = find_leaks([row(f"p{i}", split) for i, split in pairs])
    double = {i for i, split in pairs for j, other in pairs if i == j and split != other}
    assert {leak.name for leak in leaks} == {f"p{i}" for i in double}


def tile(patient: str, sha256: str, file: str | None) -> TileRow:
    return TileRow(
        tile_id=f"{patient}-0", patient_id=patient, slide_id="s", source="s.svs", x=0, y=0,
        width=8, height=8, mpp=0.5, mpp_source="tag", target_mpp=0.5, size_px=8, tissue=1.0,
        file=file, sha256=sha256,
    )  # fmt: skip


def test_samples_and_tiles_are_checked_together() -> None:
    samples = [
        Sample(patient_id="a", split="train", labels={}),
        Sample(patient_id="b", split="test", labels={}),
        Sample(patient_id="c", labels={}),
    ]
    shared = [tile("a", "0f", "a.png"), tile("b", "0f", "b.png")]
    rows = placed(samples, shared)
    assert [r.patient_id for r in rows] == ["a", "b"]
    assert [leak.what for leak in find_leaks(rows)] == ["tile"]
    whole_slides = [tile("a", "0f", None), tile("b", "0f", None)]
    assert find_leaks(placed(samples, whole_slides)) == ()
