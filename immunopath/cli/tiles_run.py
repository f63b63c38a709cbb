"""``immunopath tiles``: from slides to tiles at a true resolution, rejections counted."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from immunopath.cli.exits import EXIT_ERROR, EXIT_REFUSED
from immunopath.cli.pace import pace
from immunopath.domain.words import counted
from immunopath.imaging.slides.reading import Batch
from immunopath.reporting.text import visible
from immunopath.training.tiles.inputs import collect
from immunopath.training.tiles.record import SlideRecord, TilingRecord, TilingSettings
from immunopath.training.tiles.run import tile_slides

OPTIONS: Final = {"size_px": "size", "max_tiles": "max", "image_format": "format"}
"""Fields of `TilingSettings` and `TileRules` that are called otherwise on the command line."""


def tile(
    given: Sequence[Path],
    out: Path,
    settings: TilingSettings,
    where: tuple[float | None, Path | None],
    workers: int | None,
) -> int:
    """Tile slides and print what came of each.

    where: the stated µm per pixel of the slides, and the folder of those that manifests name.
    Returns 0, 3 when a slide has no usable tissue, 2 when a slide could not be read.
    """
    slides = collect(given, *where)
    count = max(1, (os.cpu_count() or 1)) if workers is None else workers
    with Progress(len(slides)) as watch:
        record = tile_slides(
            slides, out, settings, workers=count, clock=time.perf_counter, watch=watch
        )
    _show(record, out)
    states = {slide.status for slide in record.slides}
    return EXIT_ERROR if "refused" in states else EXIT_REFUSED * ("no_tissue" in states)


class Progress:
    """One line on stderr: slide, tiles, tiles per second, and what the time goes to."""

    def __init__(self, slides: int) -> None:
        """`slides`: how many there are."""
        self._slides = slides
        self._seen: list[str] = []
        self._tiles = 0
        self._read = self._work = 0.0
        self._start = time.perf_counter()
        self._live = Live(console=Console(stderr=True), transient=True, refresh_per_second=4)
        self._shown = sys.stderr.isatty()

    def __enter__(self) -> "Progress":
        if self._shown:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._live.stop()

    def batch(self, slide_id: str, done: int, total: int, batch: Batch) -> None:
        """Count a batch and refresh the line."""
        if slide_id not in self._seen[-1:]:
            self._seen.append(slide_id)
        self._tiles += len(batch.tiles)
        self._read += batch.read_s
        self._work += batch.work_s
        if self._shown:
            self._live.update(Text(visible(self.line(slide_id, done, total))))

    def line(self, slide_id: str, done: int, total: int) -> str:
        """Return the progress line."""
        going = pace(self._tiles, time.perf_counter() - self._start, self._read, self._work)
        place = f"slide {len(self._seen)}/{self._slides} {slide_id}"
        return f"{place}: {done}/{total} tiles, {going}"


def _show(record: TilingRecord, out: Path) -> None:
    for slide in record.slides:
        typer.echo(visible(_line(slide)))
    total = sum(slide.selected for slide in record.slides)
    rules = record.settings.rules
    if not any(slide.accepted for slide in record.slides):
        seen = any(slide.status != "refused" for slide in record.slides)
        kept = f"{out} holds only the record and thumbnails" if seen else "nothing was written"
        typer.echo(visible(f"no tile of any slide is usable; {kept}"))
        return
    typer.echo(
        visible(
            f"{counted(total, 'tile')} of {rules.size_px} px at {rules.target_mpp:g} "
            f"µm/px in {out}; "
            f"stain normalisation: {record.settings.normalise.value}"
        )
    )


def _line(slide: SlideRecord) -> str:
    if slide.status != "tiled":
        refused = "refused: " if slide.status == "refused" else ""
        return f"{slide.slide_id}: {refused}{slide.reason}"
    rejected = ", ".join(f"{count} {reason}" for reason, count in slide.rejected.items())
    text = (
        f"{slide.slide_id}: {slide.selected} of {slide.accepted} usable tiles, {slide.mpp:.4g} "
        f"µm/px ({slide.mpp_source}); of {slide.grid} on the grid rejected: {rejected or 'none'}"
    )
    if slide.stain is not None and slide.stain.failed:
        text += f"; not normalised: {slide.stain.failed}"
    return text
