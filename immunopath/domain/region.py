"""Regions of a slide that a person picked: boxes in level-0 pixels, judged before any file is."""

import itertools
import math
import re
from collections.abc import Iterable, Sequence
from typing import Final

from immunopath.domain.errors import RegionError, first_few

Region = tuple[int, int, int, int]
"""x, y, width, height in level-0 pixels."""
MAX_REGIONS: Final = 24
"""As many as the first and all further rounds of reading a slide take by default."""
_WHOLE: Final = re.compile(r"[-+]?[0-9]{1,9}(\.0+)?")


def region_of(text: str) -> Region:
    """Return the region of ``x,y,width,height``; blanks may stand around the numbers.

    Raises `RegionError` for anything but four whole numbers of pixels.
    """
    parts = [part.strip() for part in text[:200].split(",")]
    if len(parts) != 4 or not all(map(_WHOLE.fullmatch, parts)):
        raise RegionError(
            f"region {text.strip()[:60]!r}: is not x,y,width,height in whole pixels of level 0, "
            "e.g. 1024,2048,512,512"
        )
    x, y, width, height = (int(float(part)) for part in parts)
    return checked_region((x, y, width, height))


def regions_of(text: str) -> tuple[Region, ...]:
    """Return the regions of a text, one a line; empty lines count for nothing."""
    lines = [line for line in text.splitlines() if line.strip()]
    refuse_many(len(lines))
    return checked_regions([region_of(line) for line in lines])


def region_text(region: Sequence[int]) -> str:
    """Return ``x,y,width,height``."""
    return ",".join(map(str, region))


def checked_region(region: Sequence[object]) -> Region:
    """Return a region of four whole numbers with an area; raises `RegionError`."""
    values = [_whole(value) for value in region]
    found = [value for value in values if value is not None]
    shown = first_few([str(value)[:20] for value in region])
    if len(values) != 4 or len(found) != 4:
        raise RegionError(f"region {shown}: is not x,y,width,height in whole pixels of level 0")
    x, y, width, height = found
    if min(width, height) < 1:
        raise RegionError(f"region {shown}: holds no pixel; width and height are 1 or more")
    if min(x, y) < 0:
        raise RegionError(f"region {shown}: begins outside the slide; x and y are 0 or more")
    return x, y, width, height


def checked_regions(regions: Iterable[Sequence[object]]) -> tuple[Region, ...]:
    """Return regions that may be read together; raises `RegionError`.

    At most `MAX_REGIONS`, none of which overlap: nuclei of the common part would count twice.
    """
    listed = list(itertools.islice(regions, MAX_REGIONS + 1))
    refuse_many(len(listed))
    found = tuple(map(checked_region, listed))
    for one, other in itertools.combinations(found, 2):
        if _overlap(one, other):
            raise RegionError(
                f"region {region_text(other)}: overlaps {region_text(one)}, so nuclei would count "
                "twice; pick regions that lie apart"
            )
    return found


def refuse_many(count: int) -> None:
    """Raise `RegionError` for more regions than a case may have."""
    if count > MAX_REGIONS:
        raise RegionError(f"more than {MAX_REGIONS} regions were picked; pick fewer")


def refuse_outside(regions: Iterable[Region], size: tuple[int, int], name: str) -> None:
    """Raise `RegionError` for a region that is not wholly on the slide `name` of `size` pixels."""
    for region in regions:
        x, y, width, height = region
        if x + width > size[0] or y + height > size[1]:
            raise RegionError(
                f"region {region_text(region)}: reaches outside {name}, which is {size[0]} x "
                f"{size[1]} pixels"
            )


def _whole(value: object) -> int | None:
    """Return a whole number that is stated as one; a truth value is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not (math.isfinite(value) and value.is_integer()):
        return None
    return int(value)


def _overlap(one: Region, other: Region) -> bool:
    return all(
        one[axis] < other[axis] + other[axis + 2] and other[axis] < one[axis] + one[axis + 2]
        for axis in (0, 1)
    )
