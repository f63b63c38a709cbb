"""Vectors of a cohort: computed once, kept with the encoder, refused when they do not belong."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from texture_cohort import make_cohort, texture

from immunopath.domain.errors import CaseFileError, EngineMismatch, ImageReadError
from immunopath.imaging.tile_manifest import read_tiles, write_tiles
from immunopath.models.atlas_entry import Encoder
from immunopath.models.embedded.embedder import EmbeddedEmbedder, shipped
from immunopath.models.mil.network import F32
from immunopath.models.protocols import TileSource
from immunopath.training.mil.cohort import read_cohort
from immunopath.training.mil.features import (
    cohort_features,
    embed_tiles,
    read_features,
    write_features,
)
from immunopath.training.samples import TILES


class Counting(EmbeddedEmbedder):
    """The embedded embedder, counting what it is asked."""

    def __init__(self) -> None:
        super().__init__(shipped())
        self.tiles = 0

    def embed(self, source: TileSource) -> F32:
        self.tiles += len(source.tiles)
        return super().embed(source)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return make_cohort(tmp_path / "cohort", patients=4, tiles=2)


def test_a_cache_answers_without_the_embedder(small: Path, tmp_path: Path) -> None:
    cohort, cache, engine = read_cohort(small), tmp_path / "f.safetensors", Counting()
    first = cohort_features(cohort, engine, cache)
    assert engine.tiles == len(cohort.rows) == 8
    again = cohort_features(cohort, engine, cache)
    assert engine.tiles == 8
    np.testing.assert_array_equal(first.rows, again.rows)
    np.testing.assert_allclose(np.linalg.norm(again.rows, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("workers", [2, 3])
def test_several_workers_give_the_same_rows(cohort: Path, workers: int) -> None:
    found = read_cohort(cohort)
    places = range(70)
    said: list[tuple[int, int]] = []
    one = embed_tiles(found, places, Counting())
    many = embed_tiles(
        found, places, Counting(), workers=workers, progress=lambda *n: said.append(n)
    )
    np.testing.assert_array_equal(one, many)
    assert said == [(32, 70), (64, 70), (70, 70)]


def test_a_cache_of_another_encoder_or_cohort_is_refused(small: Path, tmp_path: Path) -> None:
    cohort, cache = read_cohort(small), tmp_path / "f.safetensors"
    cohort_features(cohort, Counting(), cache)
    other = Encoder.of(Counting().info).model_copy(update={"revision": "0"})
    with pytest.raises(EngineMismatch, match=r"holds vectors of embedded .* asked for is"):
        read_features(cache, cohort, other)
    write_tiles(small / TILES, read_tiles(small / TILES)[:-1])
    with pytest.raises(EngineMismatch, match="belongs to other tiles"):
        cohort_features(read_cohort(small), Counting(), cache)


def test_a_cache_outlives_a_manifest_that_says_more_of_the_same_tiles(
    small: Path, tmp_path: Path
) -> None:
    cache, engine = tmp_path / "f.safetensors", Counting()
    cohort_features(read_cohort(small), engine, cache)
    rows = [row.model_copy(update={"cluster": 3}) for row in read_tiles(small / TILES)]
    write_tiles(small / TILES, rows)
    cohort_features(read_cohort(small), engine, cache)
    assert engine.tiles == len(rows)


def test_a_damaged_cache_is_named(small: Path, tmp_path: Path) -> None:
    cohort, cache = read_cohort(small), tmp_path / "f.safetensors"
    cohort_features(cohort, Counting(), cache)
    whole = cache.read_bytes()
    for data in (whole[:-1] + bytes([whole[-1] ^ 1]), whole[: len(whole) // 2], b"", b"x" * 100):
        cache.write_bytes(data)
        with pytest.raises(CaseFileError, match=r"f\.safetensors: is (damaged|no file|empty)"):
            cohort_features(cohort, Counting(), cache)


def test_a_cache_keeps_what_it_was_given(small: Path, tmp_path: Path) -> None:
    cohort = read_cohort(small)
    found = cohort_features(cohort, Counting(), None)
    write_features(tmp_path / "a", found)
    write_features(tmp_path / "b", found)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_tile_that_is_not_the_one_of_the_manifest_is_named(small: Path) -> None:
    cohort = read_cohort(small)
    path = small / str(cohort.rows[3].file)
    path.write_bytes((small / str(cohort.rows[0].file)).read_bytes())
    with pytest.raises(CaseFileError, match=f"{path.name}: is not the file that"):
        cohort_features(cohort, Counting(), None)
    path.unlink()
    with pytest.raises(ImageReadError, match="no such file"):
        cohort_features(cohort, Counting(), None)


def test_a_tile_of_another_size_is_named(small: Path) -> None:
    rows = [row.model_copy(update={"size_px": 200}) for row in read_tiles(small / TILES)]
    write_tiles(small / TILES, rows)
    with pytest.raises(CaseFileError, match=r"is 96 x 96 px, tiles\.parquet says 200"):
        cohort_features(read_cohort(small), Counting(), None)


def test_a_cohort_may_lie_elsewhere(small: Path, tmp_path: Path) -> None:
    cache = tmp_path / "f.safetensors"
    cohort_features(read_cohort(small), Counting(), cache)
    shutil.move(small, tmp_path / "moved")
    engine = Counting()
    cohort_features(read_cohort(tmp_path / "moved"), engine, cache)
    assert engine.tiles == 0
    assert texture(0.5, 1).shape == (96, 96, 3)
