"""From a manifest to an atlas; the shipped one included."""

import csv
import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from pixel_store import CORE

import immunopath
from immunopath.domain.errors import CaseFileError, InputError
from immunopath.imaging.decode import decode_image
from immunopath.models.atlas import Atlas, load_atlas
from immunopath.models.atlas_build import build_atlas, read_manifest
from immunopath.models.atlas_entry import Encoder
from immunopath.models.embedded.embedder import EmbeddedEmbedder, shipped
from immunopath.models.embedded.fields import CUT_POINTS

EMBEDDER = EmbeddedEmbedder(shipped())
REFERENCE = Path(immunopath.__file__).parent / "data" / "atlas"


def manifest(folder: Path, text: str, name: str = "m.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def images(tmp_path: Path, shared_images: Path) -> Path:
    for source, name in (
        ("nucls_til/images/train_2.png", "a.png"),
        ("nucls_til/images/train_9.png", "b.png"),
        ("negatives/skimage_coffee.png", "coffee.png"),
    ):
        (tmp_path / name).write_bytes((shared_images / source).read_bytes())
    (tmp_path / "core.tif").write_bytes((shared_images / CORE).read_bytes())
    return tmp_path


def test_a_manifest_becomes_an_atlas_with_what_is_known(images: Path) -> None:
    path = manifest(
        images,
        "path,id,title,mpp,patient_id,til_density,til_fraction,label_quantity,licence\n"
        "a.png,A,First,0.2,P1,high,0.892,lymphocyte_share_of_nuclei,CC0 1.0\n"
        "b.png,,,0.2,,,,,\n",
    )
    built = build_atlas(path, EMBEDDER, images / "out", name="mine")
    read = Atlas.load(images / "out")
    assert read.entries == built.atlas.entries
    assert built.n_images == 2
    assert built.skipped == ()
    known = {e.image_id: e for e in read.entries}
    assert known["A"].labels == {"til_density": "high", "til_fraction": 0.892}
    assert known["A"].patient_id == "P1"
    unknown = next(e for e in read.entries if e.image_id != "A")
    assert (unknown.labels, unknown.patient_id, unknown.title) == ({}, None, "b.png")
    assert unknown.licence == "not stated"
    data = np.frombuffer(known["A"].thumbnail_jpeg or b"", np.uint8)
    assert max(cv2.imdecode(data, cv2.IMREAD_COLOR).shape) == 96


def test_a_large_image_gives_one_entry_per_tile_and_its_own_resolution(images: Path) -> None:
    path = manifest(images, "path\tid\ncore.tif\tcore\n", "m.tsv")
    entries = build_atlas(path, EMBEDDER, images / "x.atlas").atlas.entries
    assert len(entries) > 4
    assert {e.image_id for e in entries} == {"core"}
    assert all(e.entry_id.startswith("core:") for e in entries)
    assert {(round(e.mpp, 3), e.mpp_source) for e in entries} == {(0.5, "tag")}


def test_what_is_left_out_is_listed_with_its_reason(images: Path) -> None:
    path = manifest(
        images,
        "path,mpp\na.png,0.2\na.png,0.2\ncoffee.png,0.5\nmissing.png,0.5\nb.png,\nb.png,40x\n"
        "b.png,-1\n",
    )
    built = build_atlas(path, EMBEDDER, images / "x.atlas")
    assert len(built.atlas) == 1
    reasons = [reason for _, reason in built.skipped]
    expected = ("again", "", "no such file", "mpp column", "'40x'", "not a resolution")
    assert len(reasons) == len(expected)
    assert all(part in reason for part, reason in zip(expected, reasons, strict=True))
    assert all(reasons)


def test_no_usable_image_is_an_error_and_writes_nothing(images: Path) -> None:
    path = manifest(images, "path,mpp\ncoffee.png,0.5\n")
    with pytest.raises(InputError, match=r"coffee\.png"):
        build_atlas(path, EMBEDDER, images / "x.atlas")
    assert not (images / "x.atlas").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "with path"),
        ("image,mpp\na.png,0.2\n", "unknown column 'image'"),
        ("path,Grade\na.png,2\n", "unknown column 'Grade'"),
        ("path,path\na.png,b.png\n", "unique"),
        ("path,mpp\n,0.2\n", "line 2: path is empty"),
        ("path\na.png,0.2\n", "line 2: more cells"),
        ('path,mpp\n"a.png,0.2\n', "no CSV or TSV"),
        ("path,mpp,til_density\na.png,0.2,medium\n", "line 2: label til_density"),
        ("path,mpp,til_fraction\na.png,0.2,0.5\n", "label_quantity"),
        ("path,mpp,til_fraction\na.png,0.2,lots\n", "til_fraction is a number"),
    ],
)
def test_an_invalid_manifest_is_refused_by_line(images: Path, text: str, message: str) -> None:
    with pytest.raises(CaseFileError, match=message):
        build_atlas(manifest(images, text), EMBEDDER, images / "x.atlas")


def test_a_manifest_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaseFileError, match="no such file"):
        read_manifest(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(b"path\nM\xfcller.png\n")
    with pytest.raises(CaseFileError, match="UTF-8"):
        read_manifest(tmp_path / "latin.csv")


def test_the_shipped_atlas_is_of_the_shipped_encoder_and_small() -> None:
    atlas = load_atlas()
    assert atlas.encoder == Encoder.of(EMBEDDER.info)
    assert len({e.image_id for e in atlas.entries}) == 53
    assert (REFERENCE / "reference.atlas").stat().st_size < 1_500_000
    assert all(e.licence != "not stated" and e.attribution and e.source for e in atlas.entries)


def test_the_shipped_atlas_knows_only_what_the_sources_say(shared_images: Path) -> None:
    text = (shared_images / "nucls_til" / "counts.tsv").read_text()
    counts = {r["image"]: r for r in csv.DictReader(io.StringIO(text), delimiter="\t")}
    for e in load_atlas().entries:
        if e.image_id.startswith("nucls-"):
            row = counts[e.image_id.removeprefix("nucls-") + ".png"]
            share = int(row["n_sTIL"]) / int(row["n_total"])
            assert e.labels["til_fraction"] == pytest.approx(share, abs=1e-4)
            assert e.labels["til_density"] == CUT_POINTS.density_class(share)
            assert e.patient_id is None
        elif e.image_id.startswith("u24-"):
            assert set(e.labels) == {"lymphocyte_rich"}
            assert e.patient_id == "TCGA-05-4244"
        else:
            assert e.labels == {}


def test_the_shipped_atlas_holds_digests_of_the_shared_images(shared_images: Path) -> None:
    known = {e.image_id: e for e in load_atlas().entries}
    image = decode_image(shared_images / "nucls_til" / "images" / "train_2.png")
    assert known["nucls-train_2"].pixels_sha256 == image.pixels_sha256
    assert known["nucls-train_2"].image_sha256 == image.sha256


def test_a_pipe_for_a_manifest_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CaseFileError, match="no regular file"):
        read_manifest(tmp_path / "pipe")
