"""Slides of several files name their parts in a text; the parts lie beside it or are not read.

OpenSlide joins such a name to the folder of the text, so that ``../../other.jpg`` would be opened
too: whoever sends a slide could look at pictures that are none of theirs.
"""

import re
from pathlib import Path
from typing import Final

from immunopath.domain.errors import ImageReadError

_HAMAMATSU: Final = re.compile(r"\s*(ImageFile|MapFile|MacroImage|OptimisationFile)")
_MIRAX: Final = re.compile(r"\s*(FILE_[0-9]+|INDEXFILE)")
_MOST: Final = 4 * 1024 * 1024
_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def refuse_strays(path: Path, vendor: str | None) -> None:
    """Raise `ImageReadError` for a slide whose list of files leads out of its own folder.

    May raise `OSError`.
    """
    if vendor == "hamamatsu":
        listing, keys = path, _HAMAMATSU
    elif vendor == "mirax":
        listing, keys = path.with_suffix("") / "Slidedat.ini", _MIRAX
    else:
        return
    with listing.open("rb") as file:
        content = file.read(_MOST)
    if content.startswith(_TIFF):  # an NDPI, which is a slide of one file
        return
    for line in content.decode("utf-8", "replace").splitlines():
        key, _, name = line.partition("=")
        if keys.match(key) and re.search(r"[/\\]|^\s*\.\.?\s*$", name):
            raise ImageReadError(
                f"{path}: names a file outside its own folder ({name.strip()[:60]!r}); copy the "
                "whole slide to one folder, as the scanner wrote it"
            )
