"""Leakage between splits: found before training, and an error."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from pydantic import Field

from immunopath.domain.base import Frozen
from immunopath.domain.errors import LeakageError
from immunopath.imaging.tile_manifest import TileRow
from immunopath.training.cohort.barcodes import barcode_in, patient_key
from immunopath.training.samples import Sample, Split

_SHOWN: Final = 5


class Placed(Frozen):
    """A patient in a split with what belongs to nobody else.

    slides: ids or file names; aliquots: expression files or barcodes; pixels: digests of tiles.
    """

    patient_id: str = Field(min_length=1)
    split: Split
    site: str = ""
    slides: tuple[str, ...] = ()
    aliquots: tuple[str, ...] = ()
    pixels: tuple[str, ...] = ()


class Leak(Frozen):
    """One thing in two splits, or shared by two patients."""

    what: str
    name: str
    where: tuple[str, ...]

    def __str__(self) -> str:
        """For a message, e.g. ``site 05 is in test and train``."""
        return f"{self.what} {self.name} is in {' and '.join(self.where)}"


def placed(samples: Iterable[Sample], tiles: Iterable[TileRow] = ()) -> tuple[Placed, ...]:
    """Return the samples that lie in a split, with the digests of their tiles."""
    pixels: dict[str, list[str]] = defaultdict(list)
    for tile in tiles:
        if tile.file is not None and tile.sha256:  # else the digest is that of the whole slide
            pixels[tile.patient_id].append(tile.sha256)
    return tuple(
        Placed(
            patient_id=s.patient_id,
            split=s.split,
            site=s.site,
            slides=s.slides,
            pixels=tuple(sorted(set(pixels[s.patient_id]))),
        )
        for s in samples
        if s.split is not None
    )


def find_leaks(rows: Sequence[Placed], *, by_site: bool = False) -> tuple[Leak, ...]:
    """Return what is shared across splits.

    A patient is the same under every barcode that names it, and is there once: a patient under two
    names in one split would count twice. A slide or an aliquot must not even
    be shared by two patients of one split, and a slide whose barcode names another patient is
    reported; a tile's pixels and, with `by_site`, a site must not lie in two splits.
    """
    leaks = [
        *_shared("patient", rows, lambda r: (patient_key(r.patient_id),)),
        *_shared("slide", rows, lambda r: r.slides),
        *_shared("aliquot", rows, lambda r: r.aliquots),
        *_shared("tile", rows, lambda r: r.pixels, within=False),
        *_foreign(rows),
    ]
    if by_site:
        leaks += _across("site", rows, lambda r: (r.site,) if r.site else ())
    return tuple(leaks)


def require_no_leak(rows: Sequence[Placed], *, by_site: bool = False) -> None:
    """Raise `LeakageError` with the first few leaks, if there is one."""
    leaks = find_leaks(rows, by_site=by_site)
    if leaks:
        more = f"; and {len(leaks) - _SHOWN} more" if len(leaks) > _SHOWN else ""
        raise LeakageError("; ".join(map(str, leaks[:_SHOWN])) + more)


Names = Callable[[Placed], Iterable[str]]


def _across(what: str, rows: Sequence[Placed], names: Names) -> list[Leak]:
    splits: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        for name in names(row):
            splits[name].add(row.split)
    return [
        Leak(what=what, name=name, where=tuple(sorted(found)))
        for name, found in sorted(splits.items())
        if len(found) > 1
    ]


def _shared(what: str, rows: Sequence[Placed], names: Names, *, within: bool = True) -> list[Leak]:
    """Return what several patients have; `within`: also those of one split."""
    owners: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in rows:
        for name in names(row):
            owners[name].add((row.patient_id, row.split))
    return [
        Leak(what=what, name=name, where=tuple(f"{who} ({split})" for who, split in sorted(found)))
        for name, found in sorted(owners.items())
        if len(found if within else {split for _, split in found}) > 1
    ]


def _foreign(rows: Sequence[Placed]) -> list[Leak]:
    """Slides whose barcode names another patient than the row."""
    found: list[Leak] = []
    for row in rows:
        for slide in row.slides:
            barcode = barcode_in(slide)
            mine = patient_key(row.patient_id)
            if barcode is not None and mine.startswith("TCGA-") and barcode.patient_id != mine:
                found.append(
                    Leak(what="slide", name=slide, where=(row.patient_id, barcode.patient_id))
                )
    return found
