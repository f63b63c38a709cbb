"""``immunopath atlas``: an atlas built from a manifest finds its own patches again."""

from pathlib import Path

import pytest

from immunopath.cli.atlas_run import build, search
from immunopath.domain.errors import CaseFileError, EngineSpecError, EngineUnavailable, InputError

FOLDER = "lung_he_til/u24_cae100"


@pytest.fixture(scope="module")
def patches(shared_images: Path) -> list[Path]:
    return [shared_images / FOLDER / f"image_{n}.png" for n in (99, 199, 299)]


@pytest.fixture(scope="module")
def manifest(patches: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("atlas") / "manifest.csv"
    rows = [f"{p},p{n},patch {n},lung,0.5,CC0,high" for n, p in enumerate(patches)]
    rows.append(f"{path.parent / 'gone.png'},p9,gone,lung,0.5,CC0,high")
    header = "path,id,title,tissue,mpp,licence,til_density"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.fixture(scope="module")
def atlas(manifest: Path) -> Path:
    folder = manifest.parent / "built"
    build(manifest, folder, None)
    return folder


def test_building_says_what_it_holds_and_what_was_left_out(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(manifest, tmp_path / "a", None)
    shown = capsys.readouterr().out
    assert shown.startswith("3 patches of 3 images: ")
    assert "gone.png" in shown.replace("\n", "")
    assert "no such file" in " ".join(shown.split())


def test_a_search_prints_what_it_returns(
    atlas: Path, patches: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    found = search(patches[0], 0.5, atlas, None, 8)
    assert found is not None
    shown = capsys.readouterr().out
    assert len(found.neighbours) == 2
    for neighbour in found.neighbours:
        assert f"{neighbour.similarity:.2f}" in shown
        assert neighbour.neighbour_id in shown
        assert neighbour.tissue in shown
    assert "til_density high" in shown
    assert "cosine" in shown


def test_the_searched_image_does_not_find_itself(atlas: Path, patches: list[Path]) -> None:
    for n, patch in enumerate(patches):
        found = search(patch, 0.5, atlas, None, 8)
        assert found is not None
        assert f"p{n}" not in {neighbour.neighbour_id for neighbour in found.neighbours}
        assert sum(found.excluded.values()) == 1


def test_as_many_neighbours_as_asked_for(atlas: Path, patches: list[Path]) -> None:
    found = search(patches[0], 0.5, atlas, None, 1)
    assert found is not None
    assert len(found.neighbours) == 1


def test_without_an_atlas_the_shipped_one_is_searched(patches: list[Path]) -> None:
    found = search(patches[0], 0.5, None, None, 3)
    assert found is not None
    assert found.atlas_size > 3


def test_a_refused_image_finds_nothing_and_says_why(
    shared_images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert search(shared_images / "negatives/skimage_chelsea.png", None, None, None, 3) is None
    assert capsys.readouterr().out.startswith("skimage_chelsea.png: refused: ")


def test_a_hostile_file_name_cannot_drive_the_terminal(
    shared_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cat\x1b[2J\n.png"
    path.write_bytes((shared_images / "negatives/skimage_chelsea.png").read_bytes())
    assert search(path, None, None, None, 3) is None
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert shown.startswith(r"cat\x1b[2J\n.png: refused: ")


@pytest.mark.parametrize(
    ("embedder", "error"), [("oracle", EngineSpecError), ("path-foundation", EngineUnavailable)]
)
def test_an_embedder_that_is_not_there_is_named(
    patches: list[Path], embedder: str, error: type[Exception]
) -> None:
    with pytest.raises(error, match=embedder):
        search(patches[0], 0.5, None, embedder, 3)


def test_a_manifest_that_is_not_there_builds_nothing(tmp_path: Path) -> None:
    with pytest.raises((CaseFileError, InputError), match=r"none\.csv"):
        build(tmp_path / "none.csv", tmp_path / "atlas", None)
    assert list(tmp_path.iterdir()) == []
