"""Embeddings of every tile of a cohort, computed once and kept in one file.

The file names the encoder and the tile manifest that it belongs to; others are refused, never
silently mixed.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from immunopath.domain.errors import CaseFileError, EngineMismatch, ImageReadError
from immunopath.domain.files import write_bytes
from immunopath.imaging.decode import decode_image
from immunopath.imaging.tile_manifest import TileRow
from immunopath.models.atlas_entry import Encoder
from immunopath.models.mil.network import F32
from immunopath.models.mil.pixels import Square, SquareTiles
from immunopath.models.mil.predictor import embed_rows
from immunopath.models.protocols import RGB, Embedder
from immunopath.training.mil.cohort import Cohort

FILE: Final = "features.safetensors"
CHUNK: Final = 32
"""Tiles that are in memory together, per worker."""
_ABOUT: Final = "immunopath.features"
_SLACK: Final = 0.02

Alter = Callable[[RGB, int], RGB]
"""What a control does to a tile: pixels and the tile's row number to pixels."""
Progress = Callable[[int, int], None]
"""Called with tiles done and tiles in all."""


@dataclass(frozen=True)
class Features:
    """Unit rows of a cohort's tiles, (tiles, size), in the order of its manifest."""

    rows: F32
    encoder: Encoder
    tiles_sha256: str


def cohort_features(
    cohort: Cohort,
    embedder: Embedder,
    cache: Path | None,
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> Features:
    """Return the features of every tile: from `cache` when it is there, else computed and kept.

    Raises `EngineMismatch` for a cache of another encoder or another manifest, `CaseFileError`
    for a damaged one, `ImageReadError` for a tile that cannot be read.
    """
    encoder = Encoder.of(embedder.info)
    if cache is not None and cache.is_file():
        return read_features(cache, cohort, encoder)
    places = range(len(cohort.rows))
    rows = embed_tiles(cohort, places, embedder, workers=workers, progress=progress)
    found = Features(rows, encoder, cohort.tiles_sha256)
    if cache is not None:
        write_features(cache, found)
    return found


def embed_tiles(  # noqa: PLR0913 - what, with what, and how
    cohort: Cohort,
    places: Sequence[int],
    embedder: Embedder,
    *,
    alter: Alter | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> F32:
    """Return the unit rows of the tiles at these row numbers, in their order."""
    chunks = [places[start : start + CHUNK] for start in range(0, len(places), CHUNK)]

    def embed(chunk: Sequence[int]) -> F32:
        squares = [_square(cohort, place, alter) for place in chunk]
        return embed_rows(embedder, SquareTiles(squares, cohort.mpp))

    done: list[F32] = []
    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        for part in _in_order(pool, embed, chunks, workers):
            done.append(part)
            if progress is not None:
                progress(sum(map(len, done)), len(places))
    if not done:
        return np.zeros((0, Encoder.of(embedder.info).size), np.float32)
    return np.concatenate(done)


def read_features(path: Path, cohort: Cohort, encoder: Encoder) -> Features:
    """Return the features in a file; raises as `cohort_features` does."""
    found = _load(path)
    if found.encoder != encoder:
        raise EngineMismatch(
            f"{path}: holds vectors of {found.encoder}, asked for is {encoder}; name another file "
            "or remove it"
        )
    if found.tiles_sha256 != cohort.tiles_sha256 or len(found.rows) != len(cohort.rows):
        raise EngineMismatch(
            f"{path}: belongs to another tile manifest than that of {cohort.folder}; name another "
            "file or remove it"
        )
    return found


def write_features(path: Path, found: Features) -> None:
    """Write the features as one safetensors file, whole or not at all."""
    from safetensors.numpy import save

    about = {
        "encoder": found.encoder.model_dump(),
        "tiles_sha256": found.tiles_sha256,
        "rows_sha256": hashlib.sha256(found.rows.tobytes()).hexdigest(),
    }
    # One key: safetensors writes several in any order, and equal features are equal bytes.
    write_bytes(path, save({"rows": found.rows}, {_ABOUT: json.dumps(about)}))


def _load(path: Path) -> Features:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as stored:
            about = json.loads((stored.metadata() or {})[_ABOUT])
            rows = np.ascontiguousarray(stored.get_tensor("rows"), np.float32)
        encoder = Encoder.model_validate(about["encoder"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise CaseFileError(f"{path}: is no file of features ({error}); remove it") from error
    if about.get("rows_sha256") != hashlib.sha256(rows.tobytes()).hexdigest():
        raise CaseFileError(f"{path}: is damaged; remove it")
    return Features(rows, encoder, about.get("tiles_sha256", ""))


def _square(cohort: Cohort, place: int, alter: Alter | None) -> Square:
    row = cohort.rows[place]
    pixels = _tile_pixels(cohort, row)
    return Square(row.tile_id, pixels if alter is None else alter(pixels, place))


def _tile_pixels(cohort: Cohort, row: TileRow) -> RGB:
    path = cohort.folder / str(row.file)
    image = decode_image(path)
    if row.sha256 and image.sha256 != row.sha256:
        raise ImageReadError(
            f"{path}: is not the file that the tile manifest names (SHA-256 {image.sha256[:12]}…, "
            f"expected {row.sha256[:12]}…); render the tiles again"
        )
    sides = image.pixels.shape[:2]
    if any(abs(side - row.size_px) > _SLACK * row.size_px for side in sides):
        raise ImageReadError(
            f"{path}: is {sides[1]} x {sides[0]} pixels, the tile manifest says {row.size_px}; "
            "render the tiles again"
        )
    return image.pixels


def _in_order(
    pool: ThreadPoolExecutor,
    embed: Callable[[Sequence[int]], F32],
    chunks: Sequence[Sequence[int]],
    workers: int,
) -> Iterable[F32]:
    """Yield results in order while at most two chunks per worker wait in memory."""
    ahead = 2 * max(1, workers)
    waiting = [pool.submit(embed, chunk) for chunk in chunks[:ahead]]
    for index in range(len(chunks)):
        yield waiting[index].result()
        if index + ahead < len(chunks):
            waiting.append(pool.submit(embed, chunks[index + ahead]))
