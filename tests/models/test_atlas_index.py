"""An atlas may be searched through an index string; flat is exact and the default."""

from pathlib import Path

import numpy as np
import pytest
from pixel_store import CORE, ENCODER, SIZE, entry, random_unit
from typer.testing import CliRunner

from immunopath.cli.main import app
from immunopath.domain.errors import EngineUnavailable, InputError
from immunopath.models import atlas_index
from immunopath.models.atlas import Atlas, LeaveOut
from immunopath.models.atlas_index import SearchIndex, recall

N = 400
FACTORIES = ("HNSW32,Flat", "HNSW16", "IVF8,Flat", "IVF4,SQ8", "SQ8", "Flat")


def atlas(index: str | None, n: int = N) -> Atlas:
    return Atlas.build([entry(i) for i in range(n)], random_unit(n), ENCODER, "test", index)


@pytest.mark.parametrize("factory", FACTORIES)
def test_an_index_finds_most_of_what_is_near_with_exact_similarities(factory: str) -> None:
    share, queries = recall(random_unit(N), factory)
    assert queries == 200
    assert share >= 0.9
    found = atlas(factory).search(random_unit(1, 7), 5, encoder=ENCODER).hits[0]
    assert len(found) == 5
    kept = {
        e.entry_id: row for e, row in zip(atlas(None).entries, atlas(None).vectors, strict=True)
    }
    for hit in found:
        exact = float(kept[hit.entry.entry_id] @ random_unit(1, 7)[0])
        assert hit.similarity == pytest.approx(exact, abs=1e-6)
    assert [h.similarity for h in found] == sorted((h.similarity for h in found), reverse=True)


def test_the_recall_of_a_flat_index_is_one_and_of_a_bad_one_is_told() -> None:
    assert recall(random_unit(N), "Flat") == (1.0, 200)
    assert recall(random_unit(N), "IVF8,PQ1x4")[0] < 0.9
    assert recall(random_unit(1), "Flat") == (1.0, 0)
    assert recall(random_unit(5), "Flat") == (1.0, 5)


@pytest.mark.parametrize("factory", ["HNSW32,Flat", "IVF8,Flat", "SQ8", "PCA4,Flat"])
def test_what_is_left_out_never_answers(factory: str) -> None:
    rows = random_unit(N)
    own = atlas(factory).entries[17]
    found = atlas(factory).search(
        rows[17], 50, encoder=ENCODER, leave_out=LeaveOut(pixels_sha256s=frozenset({"pixels-17"}))
    )
    assert own.entry_id == "e017"
    assert "e017" not in {hit.entry.entry_id for hit in found.hits[0]}
    assert found.excluded["identical_pixels"] == 1


def test_equal_atlases_find_equal_neighbours_and_the_string_is_part_of_the_identity(
    tmp_path: Path,
) -> None:
    made = atlas("HNSW32,Flat")
    read = Atlas.load(made.save(tmp_path / "a.atlas"))
    assert read.index == "HNSW32,Flat"
    assert read.atlas_id == made.atlas_id != atlas(None).atlas_id
    query = random_unit(20, 3)
    first, second = (a.search(query, 5, encoder=ENCODER).hits for a in (made, read))
    assert first == second


def test_the_default_stays_exact() -> None:
    query = random_unit(1, 5)
    found = [h.entry.entry_id for h in atlas(None).search(query, 9, encoder=ENCODER).hits[0]]
    best = np.argsort(-(random_unit(N) @ query[0]))[:9]
    assert found == [f"e{i:03d}" for i in best]
    assert SearchIndex(random_unit(3)).exact
    assert not SearchIndex(random_unit(300), "HNSW16").exact


@pytest.mark.parametrize("factory", ["Nonsense", "IVF999,Flat", "PQ4x4", "LSH"])
def test_a_string_that_does_not_fit_is_named(factory: str) -> None:
    with pytest.raises(InputError, match="exact search"):
        SearchIndex(random_unit(20), factory)


def test_faiss_runs_on_one_thread_on_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    faiss = atlas_index.faiss_module()
    before = faiss.omp_get_max_threads()
    monkeypatch.setattr(atlas_index.sys, "platform", "darwin")
    try:
        SearchIndex(random_unit(4))
        assert faiss.omp_get_max_threads() == 1
    finally:
        faiss.omp_set_num_threads(before)


def test_building_an_index_leaves_the_threads_as_they_were() -> None:
    faiss = atlas_index.faiss_module()
    before = faiss.omp_get_max_threads()
    try:
        faiss.omp_set_num_threads(3)
        SearchIndex(random_unit(300), "HNSW16")
        with pytest.raises(InputError):
            SearchIndex(random_unit(20), "Nonsense")
        assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(before)


def test_without_faiss_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(atlas_index, "import_module", absent)
    with pytest.raises(EngineUnavailable, match="faiss-cpu"):
        SearchIndex(np.eye(SIZE, dtype=np.float32))


def test_the_command_prints_the_recall(tmp_path: Path, shared_images: Path) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text(f"path,mpp\n{shared_images / CORE},0.5\n")
    arguments = ["atlas", "build", str(manifest), "-o", str(tmp_path / "a.atlas"), "--index"]
    done = CliRunner().invoke(app, [*arguments, "HNSW8,Flat"])
    assert done.exit_code == 0, done.output
    assert "index HNSW8,Flat: recall at 8 against flat 1.000 (9 queries)" in done.output
    assert Atlas.load(tmp_path / "a.atlas").index == "HNSW8,Flat"
    assert not (tmp_path / "b.atlas").exists()
