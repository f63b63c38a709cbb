"""A cohort's tiles as engines see them, and the controls."""

from pathlib import Path

import numpy as np
import pytest
from tile_cohort import PX, tile, write_cohort

from immunopath.domain.errors import CaseFileError
from immunopath.imaging.tile_manifest import read_tiles, write_tiles
from immunopath.training.samples import TILES
from immunopath.training.tile_source import PatientTiles, read_cohort_folder


def test_tiles_are_shown_at_the_recorded_resolution(tmp_path: Path) -> None:
    source = PatientTiles(tmp_path, [tile(tmp_path, "A", k, 100 + k) for k in range(2)])
    assert [(t.tile_id, t.mpp, t.mpp_source, t.image_index) for t in source.tiles] == [
        ("A-0", 0.5, "user", 0),
        ("A-1", 0.5, "user", 1),
    ]
    assert source.tiles[0].quality.tissue_share == 0.8
    assert source.pixels("A-1", 0.5).shape == (PX, PX, 3)
    assert source.pixels("A-1", 1.0, halo_um=20).shape == (PX // 2, PX // 2, 3)
    assert source.image(0, 16).shape == (16, 16, 3)
    assert source.halo("A-0", 30.0) == (0.0, 0.0, 0.0, 0.0)


def test_blank_is_white_and_shuffled_keeps_every_pixel_but_no_place(tmp_path: Path) -> None:
    rows = [tile(tmp_path, "A", 0, 120)]
    true = PatientTiles(tmp_path, rows).pixels("A-0", 0.5)
    assert (PatientTiles(tmp_path, rows, "blank").pixels("A-0", 0.5) == 255).all()
    mixed = PatientTiles(tmp_path, rows, "shuffled", seed=1).pixels("A-0", 0.5)
    assert (mixed != true).mean() > 0.5
    assert (np.sort(mixed.reshape(-1, 3), axis=0) == np.sort(true.reshape(-1, 3), axis=0)).all()
    again = PatientTiles(tmp_path, rows, "shuffled", seed=1).pixels("A-0", 0.5)
    assert (again == mixed).all()
    other = PatientTiles(tmp_path, rows, "shuffled", seed=2).pixels("A-0", 0.5)
    assert (other != mixed).any()


def test_another_file_another_size_and_no_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(CaseFileError, match=r"A-0\.png: is not the file"):
        PatientTiles(tmp_path, [tile(tmp_path, "A", 0, 9, sha256="0" * 64)]).pixels("A-0", 0.5)
    with pytest.raises(CaseFileError, match=r"is 64 x 64 px, tiles.parquet says 32 px"):
        PatientTiles(tmp_path, [tile(tmp_path, "A", 0, 9, size_px=32)]).pixels("A-0", 0.5)
    with pytest.raises(CaseFileError, match="was not rendered"):
        PatientTiles(tmp_path, [tile(tmp_path, "A", 0, 9, file=None)]).pixels("A-0", 0.5)


def test_a_cohort_folder_gives_selected_tiles_and_refuses_strangers(tmp_path: Path) -> None:
    samples = write_cohort(tmp_path, n=4, tiles=2)
    rows = list(read_tiles(tmp_path / TILES))
    rows[0] = rows[0].model_copy(update={"selected": False})
    write_tiles(tmp_path / TILES, rows)
    found, tiles = read_cohort_folder(tmp_path)
    assert found == samples
    assert [row.tile_id for row in tiles["P000"]] == ["P000-1"]
    assert len(tiles["P001"]) == 2
    write_tiles(tmp_path / TILES, [*rows, tile(tmp_path, "X", 0, 9)])
    with pytest.raises(CaseFileError, match="patient 'X', whom"):
        read_cohort_folder(tmp_path)
