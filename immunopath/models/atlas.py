"""The one atlas class: reference patches in embedding space, searched with FAISS.

Contiguous float32, unit norm asserted, ids and metadata beside the vectors, digests of encoder and
preprocessing in the same bundle. The search is exact unless the atlas was built with an index
string; similarities are exact always.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from immunopath.domain.errors import EngineError, EngineMismatch, EngineUnavailable
from immunopath.models.atlas_bundle import AtlasHeader, read_bundle, write_bundle
from immunopath.models.atlas_entry import AtlasEntry, Encoder, patient_key
from immunopath.models.atlas_index import I64, SearchIndex

F32 = npt.NDArray[np.float32]
NORM_TOLERANCE = 1e-3
SAME_PATIENT = "same_patient"
IDENTICAL_PIXELS = "identical_pixels"


@dataclass(frozen=True)
class LeaveOut:
    """Whose entries may not answer a query, so that a case never finds itself.

    patient_id: that patient's entries (`patient_key` compares); pixels_sha256s, image_sha256s:
    entries of images with these decoded pixels or file bytes, all tiles of such images, and all
    other entries of those images' patients.
    """

    patient_id: str | None = None
    pixels_sha256s: frozenset[str] = frozenset()
    image_sha256s: frozenset[str] = frozenset()


NOBODY = LeaveOut()


@dataclass(frozen=True)
class Hit:
    """One entry near a query; similarity is the cosine."""

    entry: AtlasEntry
    similarity: float


@dataclass(frozen=True)
class SearchResult:
    """Hits per query row, nearest first, one per atlas image; what was left out and why."""

    hits: tuple[tuple[Hit, ...], ...]
    excluded: dict[str, int]


def unit_rows(vectors: npt.ArrayLike, size: int) -> F32:
    """Return rows as contiguous float32, shape (n, size).

    A single vector becomes one row; other float types and layouts are converted. Raises
    `EngineMismatch` for another size and `EngineError` for rows that are not of unit length.
    """
    rows = np.ascontiguousarray(np.atleast_2d(np.asarray(vectors)), dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] != size:
        raise EngineMismatch(f"vectors have shape {rows.shape}, the encoder makes {size} numbers")
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
    wrong = ~(np.abs(lengths - 1) <= NORM_TOLERANCE)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise EngineError(f"vector {first} has length {lengths[first]:.4g}, not 1: normalise it")
    return rows


@dataclass(frozen=True)
class Atlas:
    """Vectors (n, size) with their entries; build with `Atlas.build` or `Atlas.load`."""

    name: str
    encoder: Encoder
    entries: tuple[AtlasEntry, ...]
    vectors: F32
    atlas_id: str = field(default="")
    index: str | None = None
    """A ``faiss.index_factory`` string; None = flat and exact."""

    @classmethod
    def build(
        cls,
        entries: Sequence[AtlasEntry],
        vectors: npt.ArrayLike,
        encoder: Encoder,
        name: str = "atlas",
        index: str | None = None,
    ) -> Self:
        """Return an atlas of `entries` with one unit vector each, in the order of their ids.

        Raises `EngineError` for doubled ids, a wrong count or vectors that are not unit rows.
        """
        rows = unit_rows(vectors, encoder.size) if len(entries) else _no_rows(encoder.size)
        if len(rows) != len(entries):
            raise EngineError(f"{len(entries)} entries but {len(rows)} vectors")
        ids = [entry.entry_id for entry in entries]
        if len(set(ids)) != len(ids):
            raise EngineError("two atlas entries have one id; ids must differ")
        order = sorted(range(len(ids)), key=lambda i: ids[i])
        rows = np.ascontiguousarray(rows[order])
        rows.setflags(write=False)
        chosen = tuple(entries[i] for i in order)
        identity = _identity(name, encoder, chosen, rows, index)
        return cls(name, encoder, chosen, rows, identity, index)

    def save(self, path: Path) -> Path:
        """Write the bundle and return its path: a ``.atlas`` file, or ``index.atlas`` in a folder.

        Written to a temporary name and renamed; raises `OutputError`.
        """
        header = AtlasHeader(
            name=self.name,
            atlas_id=self.atlas_id,
            encoder=self.encoder,
            count=len(self.entries),
            index=self.index,
        )
        return write_bundle(path, header, self.entries, self.vectors.tobytes())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a bundle; raises `EngineUnavailable` when it is missing, damaged or changed."""
        header, entries, data = read_bundle(path)
        expected = 4 * header.count * header.encoder.size
        if len(entries) != header.count or len(data) != expected:
            raise EngineUnavailable(f"{path}: the atlas is incomplete; build it again")
        rows = np.frombuffer(data, dtype="<f4").reshape(header.count, header.encoder.size)
        try:
            atlas = cls.build(entries, rows, header.encoder, header.name, header.index)
        except EngineError as error:
            raise EngineUnavailable(f"{path}: {error}; build the atlas again") from error
        if atlas.atlas_id != header.atlas_id:
            raise EngineUnavailable(
                f"{path}: content and digest differ, the atlas was changed; build it again"
            )
        return atlas

    def __len__(self) -> int:
        return len(self.entries)

    @cached_property
    def _index(self) -> SearchIndex:
        return SearchIndex(self.vectors, self.index)

    def check_encoder(self, encoder: Encoder) -> None:
        """Raise `EngineMismatch` unless `encoder` is the one that made this atlas."""
        if encoder != self.encoder:
            raise EngineMismatch(
                f"atlas {self.atlas_id} was made by {self.encoder}, the query by {encoder}: "
                "build an atlas with this embedder"
            )

    def search(
        self,
        query: npt.ArrayLike,
        k: int,
        *,
        encoder: Encoder,
        leave_out: LeaveOut = NOBODY,
    ) -> SearchResult:
        """Return up to `k` nearest images per query row, each by its nearest tile.

        Left out before anything is ranked: see `LeaveOut`.
        Raises `EngineMismatch` for another encoder, `EngineError` for vectors of other length.
        """
        if k < 1:
            raise ValueError(f"k is {k}, at least 1 neighbour is needed")
        self.check_encoder(encoder)
        rows = unit_rows(query, self.encoder.size)
        allowed, excluded = self._allowed(leave_out)
        if not allowed.size:
            return SearchResult(tuple(() for _ in rows), excluded)
        among = self._index.among(allowed)
        hits = tuple(self._nearest(row[None], k, among, int(allowed.size)) for row in rows)
        return SearchResult(hits, excluded)

    def _allowed(self, leave_out: LeaveOut) -> tuple[I64, dict[str, int]]:
        """Return the row numbers that may answer, and how many were left out by reason."""
        pixels, images = leave_out.pixels_sha256s, leave_out.image_sha256s
        same = [e.pixels_sha256 in pixels or e.image_sha256 in images for e in self.entries]
        own = [e for e, hit in zip(self.entries, same, strict=True) if hit]
        image_ids = {e.image_id for e in own}
        patients = {patient_key(e.patient_id) for e in own if e.patient_id}
        if leave_out.patient_id is not None and leave_out.patient_id.strip():
            patients.add(patient_key(leave_out.patient_id))
        allowed, excluded = [], {SAME_PATIENT: 0, IDENTICAL_PIXELS: 0}
        for row, entry in enumerate(self.entries):
            if entry.image_id in image_ids or same[row]:
                excluded[IDENTICAL_PIXELS] += 1
            elif entry.patient_id and patient_key(entry.patient_id) in patients:
                excluded[SAME_PATIENT] += 1
            else:
                allowed.append(row)
        return np.array(allowed, np.int64), excluded

    def _nearest(
        self, row: F32, k: int, among: Callable[[F32, int], I64], most: int
    ) -> tuple[Hit, ...]:
        """Return the nearest images; asks for more rows until enough images are among them.

        among: the search among the rows that may answer; most: how many these are, at least 1.
        """
        depth = k
        while True:
            depth = min(depth, most)
            rows = among(row, depth)
            scores = self.vectors[rows] @ row[0]
            found = [Hit(self.entries[i], float(s)) for s, i in zip(scores, rows, strict=True)]
            found.sort(key=lambda hit: (-hit.similarity, hit.entry.entry_id))
            nearest: dict[str, Hit] = {}
            for hit in found:
                nearest.setdefault(hit.entry.image_id, hit)
            if len(nearest) >= k or depth == most:
                return tuple(nearest.values())[:k]
            depth *= 4


def _no_rows(size: int) -> F32:
    return np.zeros((0, size), np.float32)


def _identity(
    name: str, encoder: Encoder, entries: Sequence[AtlasEntry], rows: F32, index: str | None
) -> str:
    """Return ``name-digest`` over encoder, index string, entries and vectors."""
    digest = hashlib.sha256(f"{name}\n{encoder.model_dump_json()}\n".encode())
    if index is not None:
        digest.update(f"index={index}\n".encode())
    for entry in entries:
        digest.update(entry.model_dump_json().encode() + b"\n")
    digest.update(rows.astype("<f4").tobytes())
    return f"{name}-{digest.hexdigest()[:16]}"


def load_atlas(path: Path | None = None) -> Atlas:
    """Return the atlas at `path` (file or folder), or the one that comes with the package."""
    shipped = Path(__file__).parents[1] / "data" / "atlas" / "reference.atlas"
    return Atlas.load(path if path is not None else shipped)
