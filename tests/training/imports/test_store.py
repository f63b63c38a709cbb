"""Vectors of other programs become a cohort: by slide, sized, declared, or one line why not."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feature_files import grid, trident, vectors, write_h5

from immunopath.domain.errors import CaseFileError, DuplicatePatient, EngineMismatch, OutputError
from immunopath.imaging.tile_manifest import read_tiles
from immunopath.training.imports.hdf5 import read_hdf5
from immunopath.training.imports.store import Declared, Imported, import_features
from immunopath.training.imports.vectors import Maker
from immunopath.training.mil.cohort import read_cohort
from immunopath.training.mil.features import load_features
from immunopath.training.samples import SAMPLES, TILES, Sample, write_samples

pytest.importorskip("h5py")
UNI = Maker("uni", "v1")
TOLD = Declared(UNI, 0.5)


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    samples = [
        Sample(patient_id="A", labels={}, split="train", slides=("slides/A1.svs", "A2.ndpi")),
        Sample(patient_id="B", labels={}, split="val"),
        Sample(
            patient_id="TCGA-05-4244", labels={}, split="val", slides=("TCGA-05-4244-01Z-00-DX1",)
        ),
    ]
    write_samples(tmp_path / "c" / SAMPLES, samples)
    return tmp_path / "c"


def bring(cohort: Path, files: Sequence[Path], told: Declared = TOLD, **more: Any) -> Imported:
    slides = [read_hdf5(path) for path in files]
    return import_features(cohort, slides, told, more.get("out", cohort))


def test_slides_find_their_patients_and_rows_their_vectors(cohort: Path, tmp_path: Path) -> None:
    names = ("TCGA-05-4244-01Z-00-DX1.d4ff32cd-38cf", "B", "A2", "A1")
    files = [trident(tmp_path / "f", name, 3) for name in names]
    done = bring(cohort, files)
    assert (done.slides, done.tiles, done.px, done.mpp, done.bare) == (4, 12, 256, 0.5, ())
    rows = read_tiles(cohort / TILES)
    assert [row.slide_id for row in rows[::3]] == ["A1", "A2", "B", names[0]]
    assert [row.patient_id for row in rows[::3]] == ["A", "A", "B", "TCGA-05-4244"]
    first = rows[1]
    assert (first.x, first.width, first.mpp, first.target_mpp) == (512, 512, 0.25, 0.5)
    assert (first.file, first.tissue, first.mpp_source) == (None, None, "user")
    kept = load_features(cohort / "features.safetensors")
    assert kept.imported
    assert np.array_equal(kept.rows[:3], read_hdf5(files[3]).rows)
    assert str(kept.encoder) == "uni v1 (no diges, 6 numbers)"
    assert read_cohort(cohort, rendered=False).pixels_digest == kept.pixels_digest


def test_the_same_files_give_the_same_bytes_in_another_folder(cohort: Path, tmp_path: Path) -> None:
    files = [trident(tmp_path / "f", name) for name in ("B", "A1")]
    bring(cohort, files, out=tmp_path / "one")
    bring(cohort, files[::-1], out=tmp_path / "two")
    for name in (SAMPLES, TILES, "features.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert not (cohort / TILES).exists()


def test_slides_without_a_patch_and_patients_without_a_slide_are_told(
    cohort: Path, tmp_path: Path
) -> None:
    empty = trident(tmp_path / "f", "A2", rows=np.zeros((0, 6), np.float32))
    done = bring(cohort, [empty, trident(tmp_path / "f", "A1")])
    assert done.empty == ("A2",)
    assert done.bare == ("B", "TCGA-05-4244")


def test_nothing_that_lies_there_is_overwritten(cohort: Path, tmp_path: Path) -> None:
    file = trident(tmp_path / "f", "B")
    bring(cohort, [file])
    with pytest.raises(OutputError, match=r"tiles\.parquet: is there already"):
        bring(cohort, [file])


def faulty(folder: Path) -> dict[str, tuple[list[Path], Declared, type[Exception], str]]:
    one, b = trident(folder, "A1"), trident(folder, "B")
    other = trident(folder / "again", "A1", 5)
    renamed = trident(folder, "A2", rows=vectors(4, sum(map(ord, "A1"))))
    wide = trident(folder / "wide", "B", rows=vectors(4, 9, size=7))
    large = trident(folder / "large", "B", patch_size=512)
    bare = write_h5(folder / "bare/B.h5", vectors(3, 1), grid(3))
    return {
        "unknown": ([trident(folder, "X"), b], TOLD, CaseFileError, r"no patient has 1 of 2 .*'X'"),
        "twice": ([one, other], TOLD, DuplicatePatient, "slide 'A1' comes twice"),
        "twins": ([one, renamed], TOLD, DuplicatePatient, "one slide under two names"),
        "sizes": ([one, wide], TOLD, EngineMismatch, "7 numbers, those before 6"),
        "patches": ([one, large], TOLD, CaseFileError, "256 px and of 512 px"),
        "encoder": ([b], Declared(mpp=0.5), CaseFileError, "which encoder made the vectors"),
        "mpp": ([b], Declared(UNI), CaseFileError, "never guessed from a magnification"),
        "far": ([b], Declared(UNI, 0.25), CaseFileError, "cut at 20x, about 0.5 µm/px"),
        "px": ([b], Declared(UNI, 0.5, px=224), CaseFileError, "says 256 px, --px says 224"),
        "side": ([bare], TOLD, CaseFileError, "does not say how large a patch is"),
    }


@pytest.mark.parametrize(
    "name",
    ["unknown", "twice", "twins", "sizes", "patches", "encoder", "mpp", "far", "px", "side"],
)
def test_what_cannot_be_placed_is_one_line_and_leaves_nothing(
    cohort: Path, tmp_path: Path, name: str
) -> None:
    files, told, kind, fault = faulty(tmp_path / "f")[name]
    with pytest.raises(kind, match=fault):
        bring(cohort, files, told)
    assert sorted(path.name for path in cohort.iterdir()) == [SAMPLES]


def test_sizes_that_the_file_does_not_say_are_taken_from_the_user(
    cohort: Path, tmp_path: Path
) -> None:
    bare = write_h5(tmp_path / "f/B.h5", vectors(3, 1), grid(3))
    done = bring(cohort, [bare], Declared(UNI, 0.5, px=224, level0_px=448))
    assert (done.px, read_tiles(cohort / TILES)[0].mpp) == (224, 0.25)


def test_a_slide_of_two_patients_is_refused(cohort: Path, tmp_path: Path) -> None:
    shared = [Sample(patient_id=p, labels={}, slides=("S.svs",)) for p in "AB"]
    write_samples(cohort / SAMPLES, shared)
    with pytest.raises(CaseFileError, match="a slide has one patient"):
        bring(cohort, [trident(tmp_path / "f", "S")])
