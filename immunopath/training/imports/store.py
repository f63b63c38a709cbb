"""From files of vectors to a cohort folder that ``immunopath train-mil --features`` trains on."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from immunopath.domain.errors import CaseFileError, EngineMismatch, OutputError
from immunopath.domain.files import MAX_TABLE, read_small, require_place, write_bytes
from immunopath.domain.units import MppSource
from immunopath.imaging.tile_manifest import TileRow, write_tiles
from immunopath.models.atlas_entry import Encoder
from immunopath.training.imports.slides import place_slides
from immunopath.training.imports.vectors import Maker, SlideVectors
from immunopath.training.labels.recipe import LABELS
from immunopath.training.mil.cohort import pixels_digest_of
from immunopath.training.mil.features import FILE as FEATURES
from immunopath.training.mil.features import Features, write_features
from immunopath.training.samples import SAMPLES, TILES, read_samples

NOMINAL: Final = 10.0
"""µm per pixel times magnification, as programs that speak of magnification round it."""
_FAR: Final = (0.55, 1.45)
"""Of the nominal resolution: TRIDENT calls 0.3 to 0.6 µm/px twentyfold."""


@dataclass(frozen=True)
class Declared:
    """What the user says of all vectors; None = as the files say.

    mpp: µm per pixel of what the encoder was shown; px: side of a patch there; level0_px: side of
    a patch in level-0 pixels.
    """

    maker: Maker | None = None
    mpp: float | None = None
    px: int | None = None
    level0_px: int | None = None


@dataclass(frozen=True)
class Imported:
    """What was written. empty: slides without a patch; bare: patients without a vector."""

    folder: Path
    encoder: Encoder
    mpp: float
    px: int
    slides: int
    tiles: int
    patients: int
    empty: tuple[str, ...]
    bare: tuple[str, ...]


def import_features(
    cohort: Path, slides: Sequence[SlideVectors], declared: Declared, out: Path
) -> Imported:
    """Write ``features.safetensors`` and ``tiles.parquet`` of the cohort's patients into `out`.

    `out` gets copies of the cohort's own tables when it is another folder. Raises `OutputError`
    where tiles or vectors lie already, `CaseFileError` for slides that no patient has and for
    sizes or a resolution that nobody states, `DuplicatePatient` for a slide that comes twice,
    `EngineMismatch` for vectors of two encoders.
    """
    require_free(out)
    samples = read_samples(cohort / SAMPLES)
    placed = place_slides(cohort / SAMPLES, samples, slides)
    full = [(patient, found) for patient, found in placed if len(found)]
    if not full:
        raise CaseFileError("the files hold no vector at all; extract the features again")
    maker = _one_maker(declared, [found for _, found in full])
    mpp = _one_mpp(declared, [found for _, found in full])
    rows = [row for patient, found in full for row in _rows(patient, found, declared, mpp)]
    px = _one_size(rows, full)
    vectors = np.concatenate([found.rows for _, found in full])
    encoder = _encoder(maker, vectors.shape[1], mpp, px)
    _write(cohort, out, rows, Features(vectors, encoder, pixels_digest_of(rows), imported=True))
    have = {patient for patient, _ in full}
    return Imported(
        folder=out,
        encoder=encoder,
        mpp=mpp,
        px=px,
        slides=len(full),
        tiles=len(rows),
        patients=len(have),
        empty=tuple(found.slide for _, found in placed if not len(found)),
        bare=tuple(s.patient_id for s in samples if s.patient_id not in have),
    )


def require_free(out: Path) -> None:
    """Raise `OutputError` where tiles or vectors lie already, or none can be written."""
    for name in (TILES, FEATURES):
        if (out / name).exists():
            raise OutputError(f"{out / name}: is there already; name another folder with --out")
        require_place(out / name)


def _one_maker(declared: Declared, slides: Iterable[SlideVectors]) -> Maker:
    told: Maker | None = declared.maker
    size: int | None = None
    for found in slides:
        if size is not None and found.rows.shape[1] != size:
            raise EngineMismatch(
                f"{found.path}: its vectors have {found.rows.shape[1]} numbers, those before "
                f"{size}; import the vectors of one encoder at a time"
            )
        size = found.rows.shape[1]
        if found.maker is None:
            continue
        if told is not None and (told.name, told.revision) != (
            found.maker.name,
            found.maker.revision,
        ):
            raise EngineMismatch(
                f"{found.path}: says that its vectors are of {found.maker.name} "
                f"{found.maker.revision}, asked for is {told.name} {told.revision}"
            )
        told = found.maker
    if told is None:
        raise CaseFileError(
            "the files do not say which encoder made the vectors; name it (--encoder, --revision)"
        )
    return told


def _one_mpp(declared: Declared, slides: Sequence[SlideVectors]) -> float:
    """Return µm per pixel of what the encoder saw: told, or the one level-0 mpp of our files."""
    if declared.mpp is None:
        stated = {float(m) for s in slides for m in ([] if s.mpp0 is None else np.unique(s.mpp0))}
        if len(stated) > 1:
            shown = ", ".join(f"{mpp:g}" for mpp in sorted(stated)[:5])
            raise CaseFileError(
                f"{slides[0].path}: the slides have {len(stated)} resolutions ({shown} µm/px); say "
                "at which one the patches are to be counted (--mpp)"
            )
        if len(stated) != 1 or any(s.mpp0 is None for s in slides):
            raise CaseFileError(
                f"{slides[0].path}: the files do not say at how many µm per pixel the encoder saw "
                "the patches; tell it (--mpp), it is never guessed from a magnification"
            )
        return stated.pop()
    for found in slides:
        if found.magnification:
            nominal = NOMINAL / found.magnification
            if not _FAR[0] < declared.mpp / nominal < _FAR[1]:
                raise CaseFileError(
                    f"{found.path}: was cut at {found.magnification:g}x, about {nominal:g} µm/px, "
                    f"and --mpp says {declared.mpp:g}; state the resolution of the patches"
                )
    return declared.mpp


def _rows(patient: str, found: SlideVectors, declared: Declared, mpp: float) -> Iterable[TileRow]:
    px, side = _sizes(found, declared)
    seen: set[str] = set()
    for index, (x, y, w, h) in enumerate(found.boxes.tolist()):
        width, height = (w, h) if w else (side, side)
        own = None if found.mpp0 is None else float(found.mpp0[index])
        size = px or round((width * own if own else 0) / mpp)
        tile_id = f"{found.slide}:{x},{y},{width},{height}"
        if tile_id in seen:
            raise CaseFileError(f"{found.path}: tile {tile_id} is named twice")
        seen.add(tile_id)
        yield TileRow(
            tile_id=tile_id,
            patient_id=patient,
            slide_id=found.slide,
            source=found.path.name,
            x=x,
            y=y,
            width=width,
            height=height,
            mpp=own or mpp * size / width,
            mpp_source=found.mpp_source or MppSource.user.value,
            target_mpp=mpp,
            size_px=size,
            tissue=None,
            sha256=found.sha256,
        )


def _sizes(found: SlideVectors, declared: Declared) -> tuple[int | None, int]:
    """Return the side of a patch as shown and at level 0; raises where nobody states one."""
    told = None if not len(found.boxes) or not found.boxes[0, 2] else int(found.boxes[0, 2])
    for name, said, asked in (
        ("--px", found.px, declared.px),
        ("--level0-px", told, declared.level0_px),
    ):
        if said and asked and said != asked and found.mpp0 is None:
            raise CaseFileError(f"{found.path}: says {said} px, {name} says {asked}")
    px, side = found.px or declared.px, told or declared.level0_px
    if (px is None and found.mpp0 is None) or side is None:
        raise CaseFileError(
            f"{found.path}: does not say how large a patch is; name its side as the encoder saw "
            "it (--px) and in level-0 pixels (--level0-px), or CLAM's folder (--patches)"
        )
    return px, side


def _one_size(rows: Sequence[TileRow], full: Sequence[tuple[str, SlideVectors]]) -> int:
    sizes = sorted({row.size_px for row in rows})
    if len(sizes) > 1:
        odd = next(row for row in rows if row.size_px == sizes[0])
        raise CaseFileError(
            f"{full[0][1].path.parent}: patches of {sizes[0]} px and of {sizes[1]} px "
            f"({odd.slide_id}); a head knows one size, import slides that were cut alike"
        )
    return sizes[0]


def _encoder(maker: Maker, size: int, mpp: float, px: int) -> Encoder:
    """Return the identity as declared: its digest is of the declaration, not of a preprocessing."""
    said = f"declared;mpp={mpp:g};px={px}"
    return Encoder(
        name=maker.name,
        revision=maker.revision,
        weights_digest=maker.weights_digest,
        size=size,
        preprocess_digest=hashlib.sha256(said.encode()).hexdigest(),
    )


def _write(cohort: Path, out: Path, rows: Sequence[TileRow], found: Features) -> None:
    """Write the tables, the manifest of tiles last: without it the folder is no cohort."""
    tables: Mapping[str, Path] = {name: cohort / name for name in (SAMPLES, LABELS)}
    if out.resolve() != cohort.resolve():
        for name, path in tables.items():
            if path.is_file():
                write_bytes(out / name, read_small(path, "a table of the cohort", MAX_TABLE))
    write_features(out / FEATURES, found)
    write_tiles(out / TILES, rows)
