"""``immunopath tiles``."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from immunopath.cli.main import app
from immunopath.cli.tiles_run import Progress
from immunopath.domain.errors import ImmunoPathError
from immunopath.imaging.slides.reading import Batch
from immunopath.imaging.tile_manifest import read_tiles

SLIDES = Path(__file__).parents[1] / "data" / "slides"
CMU = str(SLIDES / "CMU-1-Small-Region.svs")


def tiles(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["tiles", *words, "--workers", "0"])
    if isinstance(done.exception, ImmunoPathError):
        raise done.exception
    return done.exit_code, done.output


def test_a_slide_becomes_tiles(tmp_path: Path) -> None:
    code, said = tiles(CMU, "-o", str(tmp_path / "out"), "--max", "2", "--normalise", "macenko")
    assert code == 0
    assert said.splitlines() == [
        "CMU-1-Small-Region: 2 of 6 usable tiles, 0.499 µm/px (vendor); "
        "of 20 on the grid rejected: 14 glass",
        f"2 tiles of 512 px at 0.5 µm/px in {tmp_path / 'out'}; stain normalisation: macenko",
    ]
    kept = [row for row in read_tiles(tmp_path / "out" / "tiles.parquet") if row.selected]
    assert [row.stain for row in kept] == ["macenko", "macenko"]


def test_a_manifest_with_a_slide_that_cannot_be_read(tmp_path: Path) -> None:
    table = tmp_path / "slides.csv"
    table.write_text(f"slide,patient_id\n{CMU},P1\n{SLIDES / 'broken.svs'},P2\n")
    code, said = tiles(str(table), "-o", str(tmp_path / "out"), "--size", "1024", "--max", "1")
    assert code == 2
    assert "broken: refused:" in said
    assert "is not an image but plain text" in said


def test_only_slides_that_cannot_be_read(tmp_path: Path) -> None:
    code, said = tiles(str(SLIDES / "broken.svs"), "-o", str(tmp_path / "out"))
    assert code == 2
    assert said.splitlines()[1:] == ["no tile of any slide is usable; nothing was written"]
    assert list(tmp_path.iterdir()) == []


def test_too_much_tissue_asked_for_leaves_no_usable_tile(tmp_path: Path) -> None:
    code, said = tiles(CMU, "-o", str(tmp_path / "out"), "--min-tissue", "1", "--max", "1")
    assert code == 3
    assert "CMU-1-Small-Region: no usable tile of 20 (20 glass)" in said


def test_an_image_smaller_than_a_tile_is_not_said_to_be_empty(tmp_path: Path) -> None:
    code, said = tiles(CMU, "-o", str(tmp_path / "out"), "--size", "4096", "--target-mpp", "1")
    assert code == 3
    assert "are smaller than one tile of 4096 µm" in said
    assert "no tissue" not in said


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["--normalise", "vahadane"], "--normalise 'vahadane'"),
        (["--size", "8"], "--size 8"),
        (["--target-mpp", "40"], "--target-mpp 40.0"),
        (["--min-tissue", "0"], "--min-tissue 0.0"),
        (["--max", "0"], "--max 0"),
        (["--seed", "-1"], "--seed -1"),
        (["--mpp", "40"], "mpp 40 is not a resolution"),
        (["--format", "bmp"], "--format 'bmp'"),
    ],
)
def test_options_out_of_range_are_named(tmp_path: Path, words: list[str], fault: str) -> None:
    with pytest.raises(ImmunoPathError, match=fault):
        tiles(CMU, "-o", str(tmp_path), *words)
    assert list(tmp_path.iterdir()) == []


def test_the_progress_line_says_what_it_waits_for() -> None:
    progress = Progress(3)
    progress.batch("S1", 8, 40, Batch((), 3.0, 1.0))
    assert "slide 1/3 S1: 8/40 tiles" in progress.line("S1", 8, 40)
    assert "waits on reading (reading 75% of the time)" in progress.line("S1", 8, 40)
    progress.batch("S2", 8, 40, Batch((), 0.0, 6.0))
    assert "slide 2/3" in progress.line("S2", 8, 40)
    assert "waits on computing (reading 30% of the time)" in progress.line("S2", 8, 40)
