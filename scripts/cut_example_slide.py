"""Cut the page's example slide out of OpenSlide's CMU-1-Small-Region.svs, without a new encoding.

The JPEG tiles are copied byte for byte, so the pixels are those of the scanner; label, macro image
and thumbnail are left out. Also writes the small picture that the page shows of it. Arguments: the
slide and the folder ``immunopath/app/examples``.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import tifffile
from PIL import Image

SIDE, COLUMNS, ROWS = 240, range(2, 9), range(4, 11)
"""Of the tiles, in pixels; the part of the slide that is kept, in tiles."""
NAME = "skin_slide_part"
PICTURE_PX = 144


def tiles_of(path: Path, page: tifffile.TiffPage) -> Iterator[bytes]:
    """Yield the encoded tiles of the part, row by row."""
    across = -(-page.imagewidth // SIDE)
    with path.open("rb") as file:
        for row in ROWS:
            for column in COLUMNS:
                index = row * across + column
                file.seek(page.dataoffsets[index])
                yield file.read(page.databytecounts[index])


def cut(source: Path, folder: Path) -> None:
    """Write the slide and its picture."""
    width, height = SIDE * len(COLUMNS), SIDE * len(ROWS)
    corner = (SIDE * COLUMNS.start, SIDE * ROWS.start)
    where = f"{corner[0]},{corner[1]} of {source.name}"
    said = (
        f"Aperio Image Library v11.2.1 \n{width}x{height} [{where}] "
        f"({SIDE}x{SIDE}) JPEG/RGB Q=30|AppMag = 20|MPP = 0.4990"
    )
    with tifffile.TiffFile(source) as slide, tifffile.TiffWriter(folder / f"{NAME}.svs") as out:
        page = slide.pages.first
        out.write(
            tiles_of(source, page), shape=(height, width, 3), dtype="uint8", tile=(SIDE, SIDE),
            photometric="rgb", compression="jpeg", jpegtables=page.jpegtables, description=said,
            compressionargs={"outcolorspace": "rgb"}, metadata=None, software=False,
        )  # fmt: skip
        x, y = corner
        part = Image.fromarray(page.asarray()[y : y + height, x : x + width])
    part.resize((PICTURE_PX, PICTURE_PX), Image.Resampling.BOX).save(folder / f"{NAME}.png")


if __name__ == "__main__":
    cut(Path(sys.argv[1]), Path(sys.argv[2]))
