"""Laws of the atlas."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pixel_store import ENCODER, SIZE, entry, random_unit, unit

from immunopath.domain.errors import EngineError, EngineMismatch
from immunopath.models.atlas import Atlas, LeaveOut, unit_rows


def atlas_of(n: int = 12, seed: int = 0) -> Atlas:
    return Atlas.build([entry(i) for i in range(n)], random_unit(n, seed), ENCODER, "test")


def ids(atlas: Atlas, query: object, k: int = 5, leave_out: LeaveOut | None = None) -> list[str]:
    found = atlas.search(query, k, encoder=ENCODER, leave_out=leave_out or LeaveOut())
    return [hit.entry.entry_id for hit in found.hits[0]]


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), row=st.integers(0, 11))
def test_every_entry_finds_itself_first_with_similarity_one(seed: int, row: int) -> None:
    atlas = atlas_of(seed=seed)
    first = atlas.search(atlas.vectors[row], 1, encoder=ENCODER).hits[0][0]
    assert first.entry == atlas.entries[row]
    assert first.similarity == pytest.approx(1, abs=1e-5)


@settings(deadline=None, max_examples=20)
@given(order=st.permutations(range(12)))
def test_the_order_of_entries_changes_nothing(order: list[int]) -> None:
    entries, rows = [entry(i) for i in range(12)], random_unit(12)
    first = Atlas.build(entries, rows, ENCODER)
    other = Atlas.build([entries[i] for i in order], rows[order], ENCODER)
    assert other.atlas_id == first.atlas_id
    assert ids(other, random_unit(1, 9)) == ids(first, random_unit(1, 9))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 20))
def test_search_is_exact(seed: int, k: int) -> None:
    atlas, query = atlas_of(seed=seed), random_unit(1, seed + 1)
    expected = np.argsort(-(atlas.vectors @ query[0]))[:k]
    assert ids(atlas, query, k) == [atlas.entries[i].entry_id for i in expected]


def test_hits_come_nearest_first_and_equal_ones_by_id() -> None:
    rows = unit([0.0, 1.0], [1.0], [1.0], [1.0, 1.0])
    atlas = Atlas.build([entry(i) for i in range(4)], rows, ENCODER)
    assert ids(atlas, unit([1.0]), 4) == ["e001", "e002", "e003", "e000"]


def test_the_own_patient_is_left_out_before_k_is_counted() -> None:
    rows = unit([1.0], [1.0, 0.01], [1.0, 0.02], [0.0, 1.0])
    entries = [entry(i, patient_id="TCGA-05-4244") for i in range(3)] + [entry(3)]
    atlas = Atlas.build(entries, rows, ENCODER)
    found = atlas.search(
        unit([1.0]), 1, encoder=ENCODER, leave_out=LeaveOut(" tcga-05-4244-01Z-00-DX1")
    )
    assert [hit.entry.entry_id for hit in found.hits[0]] == ["e003"]
    assert found.excluded == {"same_patient": 3, "identical_pixels": 0}


@pytest.mark.parametrize(
    "leave_out",
    [
        LeaveOut(pixels_sha256s=frozenset({"pixels-0"})),
        LeaveOut(image_sha256s=frozenset({"file-0"})),
    ],
)
def test_identical_pixels_take_all_tiles_and_the_patient_along(leave_out: LeaveOut) -> None:
    entries = [
        entry(0, image_id="one", patient_id="P"),
        entry(1, image_id="one", patient_id="P"),
        entry(2, patient_id="p "),
        entry(3, patient_id="Q"),
        entry(4),
    ]
    atlas = Atlas.build(entries, random_unit(5), ENCODER)
    found = atlas.search(random_unit(1, 5), 5, encoder=ENCODER, leave_out=leave_out)
    assert {hit.entry.entry_id for hit in found.hits[0]} == {"e003", "e004"}
    assert found.excluded == {"same_patient": 1, "identical_pixels": 2}


def test_an_unknown_patient_excludes_nobody() -> None:
    atlas = atlas_of(4)
    for nobody in (None, "", "  "):
        assert len(ids(atlas, random_unit(1), 9, LeaveOut(nobody))) == 4


def test_everything_left_out_gives_no_hits() -> None:
    atlas = Atlas.build([entry(i, patient_id="P") for i in range(3)], random_unit(3), ENCODER)
    assert ids(atlas, random_unit(1), 2, LeaveOut("P")) == []


def test_an_image_answers_once_with_its_nearest_tile() -> None:
    tiles = [entry(i, image_id="big") for i in range(10)]
    rows = unit(*[[1.0, 0.001 * i] for i in range(10)], [0.5, 0.5], [0.0, 1.0])
    atlas = Atlas.build([*tiles, entry(10), entry(11)], rows, ENCODER)
    assert ids(atlas, unit([1.0]), 3) == ["e000", "e010", "e011"]


@pytest.mark.parametrize(
    "change",
    [{"name": "other"}, {"revision": "2"}, {"weights_digest": "x"}, {"preprocess_digest": "y"}],
)
def test_another_encoders_query_is_refused(change: dict[str, str]) -> None:
    other = ENCODER.model_copy(update=change)
    with pytest.raises(EngineMismatch, match="build an atlas with this embedder"):
        atlas_of().search(random_unit(1), 1, encoder=other)


def test_a_query_of_another_size_is_refused() -> None:
    with pytest.raises(EngineMismatch, match=f"{SIZE} numbers"):
        atlas_of().search(np.ones((1, SIZE + 1)), 1, encoder=ENCODER)


@pytest.mark.parametrize("factor", [0.0, 0.5, 2.0, float("nan"), float("inf")])
def test_vectors_that_are_not_of_unit_length_are_refused(factor: float) -> None:
    rows = random_unit(3)
    rows[1] *= factor
    with pytest.raises(EngineError, match="vector 1"):
        Atlas.build([entry(i) for i in range(3)], rows, ENCODER)
    with pytest.raises(EngineError, match="normalise it"):
        atlas_of().search(rows, 1, encoder=ENCODER)


def test_float64_and_strided_vectors_are_converted() -> None:
    wide = np.zeros((6, 2 * SIZE))
    wide[:, ::2] = random_unit(6)
    strided = wide[::-1, ::2]
    assert not strided.flags["C_CONTIGUOUS"]
    rows = unit_rows(strided, SIZE)
    assert rows.dtype == np.float32
    assert rows.flags["C_CONTIGUOUS"]
    plain = np.ascontiguousarray(strided, np.float32)
    entries = [entry(i) for i in range(6)]
    assert (
        Atlas.build(entries, strided, ENCODER).atlas_id
        == Atlas.build(entries, plain, ENCODER).atlas_id
    )


def test_doubled_ids_and_wrong_counts_are_refused() -> None:
    with pytest.raises(EngineError, match="ids must differ"):
        Atlas.build([entry(1), entry(1)], random_unit(2), ENCODER)
    with pytest.raises(EngineError, match="2 entries but 3 vectors"):
        Atlas.build([entry(1), entry(2)], random_unit(3), ENCODER)


def test_an_empty_atlas_and_an_empty_query_have_no_hits() -> None:
    empty = Atlas.build([], np.zeros((0, SIZE)), ENCODER)
    assert ids(empty, random_unit(1)) == []
    assert atlas_of().search(np.zeros((0, SIZE)), 3, encoder=ENCODER).hits == ()


def test_k_below_one_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        atlas_of().search(random_unit(1), 0, encoder=ENCODER)


def test_the_vectors_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        atlas_of().vectors[0, 0] = 1


def test_faiss_is_imported_only_when_an_index_is_needed() -> None:
    code = "import sys, immunopath.models.retrieval; sys.exit('faiss' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
