"""Files of vectors: what TRIDENT, CLAM and AnnData say, and one line for every fault."""

import os
from pathlib import Path

import numpy as np
import pytest
from feature_files import TRIDENT, grid, h5ad, trident, vectors, write_h5

from immunopath.domain.errors import CaseFileError
from immunopath.training.imports.h5ad import read_h5ad
from immunopath.training.imports.hdf5 import read_hdf5
from immunopath.training.imports.reading import Reading, read_all
from immunopath.training.imports.vectors import corners_of

pytest.importorskip("h5py")
pytest.importorskip("anndata")


def test_trident_says_places_sizes_and_magnification(tmp_path: Path) -> None:
    found = read_hdf5(trident(tmp_path, "S1", 5))
    assert (found.slide, found.px, found.magnification) == ("S1", 256, 20)
    assert found.boxes.tolist()[4] == [0, 512, 512, 512]
    assert np.allclose(np.linalg.norm(found.rows, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_leading_axis_and_other_floats_are_the_same_vectors(tmp_path: Path, dtype: str) -> None:
    rows = vectors(3, 1)
    one = write_h5(tmp_path / "S.h5", rows[None].astype(dtype), grid(3), TRIDENT)
    assert np.allclose(read_hdf5(one).rows, rows / np.linalg.norm(rows, axis=1)[:, None], atol=2e-3)


def test_clam_tells_sizes_by_its_files_of_coordinates_only(tmp_path: Path) -> None:
    one = write_h5(tmp_path / "f/S.h5", vectors(3, 1), grid(3))
    bare = read_hdf5(one)
    assert bare.px is None
    assert bare.boxes[0].tolist() == [0, 0, 0, 0]
    facts = {"patch_size": 256, "patch_level": 1, "downsample": (4.0, 4.0)}
    write_h5(tmp_path / "p/S.h5", None, grid(3), facts)
    full = read_hdf5(one, tmp_path / "p")
    assert (full.px, full.boxes[1].tolist()) == (256, [512, 0, 1024, 1024])
    write_h5(tmp_path / "p/S.h5", None, grid(3) + 1, facts)
    with pytest.raises(CaseFileError, match="holds other places than"):
        read_hdf5(one, tmp_path / "p")


def test_a_slide_without_a_patch_is_no_fault(tmp_path: Path) -> None:
    assert len(read_hdf5(trident(tmp_path, "S1", rows=np.zeros((0, 6), np.float32)))) == 0


NAN = vectors(3, 1)
NAN[1, 2] = np.nan
ZERO = vectors(3, 1)
ZERO[2] = 0


@pytest.mark.parametrize(
    ("rows", "coords", "fault"),
    [
        (None, grid(3), "has no dataset 'features'"),
        (vectors(3, 1), None, "has no coordinates"),
        (vectors(3, 1), grid(4), r"3 vectors and coordinates of shape \(4, 2\)"),
        (vectors(3, 1), grid(3) - 1, "coordinates are negative"),
        (vectors(3, 1), np.zeros((3, 2), int), "same place is named twice"),
        (vectors(3, 1)[0], grid(3), r"shape \(6,\), a vector of the whole slide"),
        (np.ones((3, 6), int), grid(3), "are int64, not floating point"),
        (NAN, grid(3), r"vector 1 holds NaN or infinity \(1 of 3"),
        (ZERO, grid(3), "vector 2 is all zeros"),
        (np.zeros((3, 0), np.float32), grid(3), "no table"),
    ],
)
def test_what_is_no_table_of_vectors_with_places_is_named(
    tmp_path: Path, rows: object, coords: object, fault: str
) -> None:
    path = write_h5(tmp_path / "S.h5", rows, coords, TRIDENT)
    with pytest.raises(CaseFileError, match=fault) as error:
        read_hdf5(path)
    assert str(path) in str(error.value)


def test_truncated_files_and_other_files_are_named(tmp_path: Path) -> None:
    path = trident(tmp_path, "S1", 400)
    whole = path.read_bytes()
    path.write_bytes(b"")
    with pytest.raises(CaseFileError, match=r"is empty \(0 bytes\)"):
        read_hdf5(path)
    for size in (100, len(whole) // 2):
        path.write_bytes(whole[:size])
        with pytest.raises(CaseFileError, match="is no HDF5 file or a truncated one"):
            read_hdf5(path)
    ann = h5ad(tmp_path / "a.h5ad", 400)
    ann.write_bytes(ann.read_bytes()[: ann.stat().st_size // 2])
    with pytest.raises(CaseFileError, match="is no AnnData file or a truncated one"):
        read_h5ad(ann, level0_px=512)
    with pytest.raises(CaseFileError, match="no such file"):
        read_hdf5(tmp_path / "none.h5")


def test_a_pipe_is_not_waited_on(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.h5")
    with pytest.raises(CaseFileError, match="no regular file"):
        read_hdf5(tmp_path / "p.h5")


def test_no_other_file_is_read_through_a_link(tmp_path: Path) -> None:
    import h5py

    secret = trident(tmp_path, "secret")
    with h5py.File(tmp_path / "S.h5", "w") as stored:
        stored["features"] = h5py.ExternalLink(str(secret), "features")
        stored["coords"] = grid(4)
    with pytest.raises(CaseFileError, match="'features' is a link or lies in another file"):
        read_hdf5(tmp_path / "S.h5")
    path = h5ad(tmp_path / "a.h5ad")
    with h5py.File(path, "a") as stored:
        del stored["X"]
        stored["X"] = h5py.ExternalLink(str(secret), "features")
    with pytest.raises(CaseFileError, match="'X' is a link or lies in another file"):
        read_h5ad(path, level0_px=512)


def test_no_other_file_is_read_through_a_virtual_dataset(tmp_path: Path) -> None:
    import h5py

    secret = trident(tmp_path, "secret")
    with h5py.File(tmp_path / "S.h5", "w") as stored:
        layout = h5py.VirtualLayout((4, 6), "f4")
        layout[:] = h5py.VirtualSource(str(secret), "features", (4, 6))
        stored.create_virtual_dataset("features", layout)
        stored["coords"] = grid(4)
    with pytest.raises(CaseFileError, match="'features' is a link or lies in another file"):
        read_hdf5(tmp_path / "S.h5")


def test_sparse_anndata_is_dense_vectors_and_its_claimed_shape_is_judged(tmp_path: Path) -> None:
    import h5py
    from scipy.sparse import csr_matrix

    rows = vectors(4, 1)
    path = h5ad(tmp_path / "a.h5ad", rows=csr_matrix(rows))
    (found,) = read_h5ad(path, level0_px=512)
    assert np.allclose(found.rows, rows / np.linalg.norm(rows, axis=1)[:, None], atol=1e-6)
    with h5py.File(path, "a") as stored:
        stored["X"].attrs["shape"] = (4, 1 << 40)
    with pytest.raises(CaseFileError, match="claims vectors of shape"):
        read_h5ad(path, level0_px=512)


def test_a_shape_that_fills_the_memory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "S.h5", "w") as stored:
        stored.create_dataset("features", (1 << 22, 1 << 10), "f4", chunks=(1, 1 << 10))
        stored["coords"] = grid(4)
    assert (tmp_path / "S.h5").stat().st_size < 100_000
    with pytest.raises(CaseFileError, match="claims vectors of shape"):
        read_hdf5(tmp_path / "S.h5")


def test_a_file_of_another_slide_than_its_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaseFileError, match="says that it is of slide 'S2'"):
        read_hdf5(trident(tmp_path, "S1", name="S2"))


def test_anndata_of_others_needs_the_side_of_a_patch_or_its_corners(tmp_path: Path) -> None:
    path = h5ad(tmp_path / "S1.h5ad", obs={"slide": ["a", "a", "b", "b"]})
    with pytest.raises(CaseFileError, match="gives the centres of patches and not their size"):
        read_h5ad(path)
    (found,) = read_h5ad(path, level0_px=512)
    assert (found.slide, found.boxes[1].tolist()) == ("S1", [512, 0, 512, 512])
    one, two = read_h5ad(path, "slide", "corner", 512)
    assert (one.slide, two.slide, len(two)) == ("a", "b", 2)
    assert two.boxes[0].tolist() == [1280, 256, 512, 512]
    with pytest.raises(CaseFileError, match="no column 'x'"):
        read_h5ad(path, "x", level0_px=512)


def test_anndata_without_places_or_with_nan_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaseFileError, match=r"has no coordinates \(obsm"):
        read_h5ad(h5ad(tmp_path / "a.h5ad", spatial=None), level0_px=9)
    with pytest.raises(CaseFileError, match="vector 1 holds NaN"):
        read_h5ad(h5ad(tmp_path / "b.h5ad", rows=NAN), level0_px=9)


def test_a_folder_is_read_in_order_and_pickles_never(tmp_path: Path) -> None:
    trident(tmp_path / "f", "S2")
    trident(tmp_path / "f", "S1")
    (tmp_path / "f/S1.pt").write_bytes(b"never opened")
    assert [found.slide for found in read_all([tmp_path / "f"], Reading())] == ["S1", "S2"]
    with pytest.raises(CaseFileError, match="is a pickled file, which can run code"):
        read_all([tmp_path / "f/S1.pt"], Reading())
    (tmp_path / "empty").mkdir()
    with pytest.raises(CaseFileError, match=r"holds no \.h5 and no \.h5ad"):
        read_all([tmp_path / "empty"], Reading())


@pytest.mark.parametrize("far", [1e30, float(2**53), float("nan")])
def test_places_beyond_every_slide_are_not_wrapped_round(far: float) -> None:
    with pytest.raises(CaseFileError, match="are no numbers of level-0 pixels"):
        corners_of(Path("x.h5"), np.array([[far, 0.0]]), 1)
    with pytest.raises(CaseFileError, match="are no numbers of level-0 pixels"):
        corners_of(Path("x.h5"), np.array([[2**63 + 5, 0]], np.uint64), 1)
