"""Embeddings of every tile of a cohort, computed once and kept in one file.

The file names the encoder and the tiles (ids and file digests) that it belongs to; others are
refused, never silently mixed.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from immunopath.domain.errors import CaseFileError, EngineMismatch
from immunopath.domain.files import require_content, write_bytes
from immunopath.models.atlas_entry import Encoder
from immunopath.models.mil.network import F32
from immunopath.models.mil.predictor import embed_rows
from immunopath.models.protocols import Embedder
from immunopath.training.mil.cohort import Cohort
from immunopath.training.tile_source import Control, PatientTiles

FILE: Final = "features.safetensors"
CHUNK: Final = 32
"""Tiles that are in memory together, per worker."""
_ABOUT: Final = "immunopath.features"

Progress = Callable[[int, int], None]
"""Called with tiles done and tiles in all."""


@dataclass(frozen=True)
class Features:
    """Unit rows of a cohort's tiles, (tiles, size), in the order of its manifest.

    imported: made elsewhere, by an encoder that is only declared (``immunopath features import``).
    """

    rows: F32
    encoder: Encoder
    pixels_digest: str
    imported: bool = False


def cohort_features(
    cohort: Cohort,
    embedder: Embedder,
    cache: Path | None,
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> Features:
    """Return the features of every tile: from `cache` when it is there, else computed and kept.

    Raises `EngineMismatch` for a cache of another encoder or of other tiles, `CaseFileError`
    for a damaged one, and what `embed_tiles` raises.
    """
    encoder = Encoder.of(embedder.info)
    if cache is not None and cache.is_file():
        return read_features(cache, cohort, encoder)
    places = range(len(cohort.rows))
    rows = embed_tiles(cohort, places, embedder, workers=workers, progress=progress)
    found = Features(rows, encoder, cohort.pixels_digest)
    if cache is not None:
        write_features(cache, found)
    return found


def embed_tiles(  # noqa: PLR0913 - what, with what, and how
    cohort: Cohort,
    places: Sequence[int],
    embedder: Embedder,
    *,
    control: Control = "none",
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> F32:
    """Return the unit rows of the tiles at these row numbers, in their order.

    control, seed: see `PatientTiles`. Raises `CaseFileError` for a tile that is not the one of
    the manifest, `ImageReadError` for one that cannot be read.
    """
    chunks = [places[start : start + CHUNK] for start in range(0, len(places), CHUNK)]

    def embed(chunk: Sequence[int]) -> F32:
        rows = [cohort.rows[place] for place in chunk]
        return embed_rows(embedder, PatientTiles(cohort.folder, rows, control, seed))

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
    found = load_features(path)
    if found.encoder != encoder:
        raise EngineMismatch(
            f"{path}: holds vectors of {found.encoder}, asked for is {encoder}; name another file "
            "or remove it"
        )
    require_tiles_of(path, found, cohort)
    return found


def require_tiles_of(path: Path, found: Features, cohort: Cohort) -> None:
    """Raise `EngineMismatch` unless the vectors in `path` are those of the cohort's tiles."""
    if found.pixels_digest != cohort.pixels_digest or len(found.rows) != len(cohort.rows):
        raise EngineMismatch(
            f"{path}: belongs to other tiles than those of {cohort.folder}; name another file or "
            "remove it"
        )


def write_features(path: Path, found: Features) -> None:
    """Write the features as one safetensors file, whole or not at all."""
    from safetensors.numpy import save

    about: dict[str, object] = {
        "encoder": found.encoder.model_dump(),
        "pixels_digest": found.pixels_digest,
        "rows_sha256": hashlib.sha256(found.rows.tobytes()).hexdigest(),
    }
    if found.imported:
        about["imported"] = True
    # One key: safetensors writes several in any order, and equal features are equal bytes.
    write_bytes(path, save({"rows": found.rows}, {_ABOUT: json.dumps(about)}))


def load_features(path: Path) -> Features:
    """Return what is in a file; raises `CaseFileError` for a damaged one."""
    with _opened(path) as (stored, about):
        rows = np.ascontiguousarray(stored.get_tensor("rows"), np.float32)
        encoder = Encoder.model_validate(about["encoder"])
    if about.get("rows_sha256") != hashlib.sha256(rows.tobytes()).hexdigest():
        raise CaseFileError(f"{path}: is damaged; remove it")
    return Features(
        rows, encoder, about.get("pixels_digest", ""), imported=about.get("imported") is True
    )


def are_imported(path: Path) -> bool:
    """Return whether the vectors in a file were made elsewhere; they themselves are not read.

    Raises `CaseFileError` for what is no file of features.
    """
    with _opened(path) as (_, about):
        return about.get("imported") is True


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Give an open file and what it says of itself."""
    from safetensors import SafetensorError, safe_open

    require_content(path, "a file of features")
    try:
        with safe_open(path, framework="numpy") as stored:
            yield stored, json.loads((stored.metadata() or {})[_ABOUT])
    except (SafetensorError, OSError, MemoryError, KeyError, ValueError) as error:
        raise CaseFileError(f"{path}: is no file of features ({error}); remove it") from error


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
