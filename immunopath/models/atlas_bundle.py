"""An atlas on disk: one zip file with a header, the entries and the vectors.

``atlas.json`` (header), ``entries.jsonl`` (one `AtlasEntry` a line), ``vectors.f32`` (little-endian
float32, row by row). Nothing in it is executable; equal atlases give equal bytes.
"""

import os
import uuid
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from immunopath.domain.base import Frozen
from immunopath.domain.errors import EngineUnavailable, OutputError
from immunopath.models.atlas_entry import AtlasEntry, Encoder

SUFFIX = ".atlas"
FILE_IN_FOLDER = "index.atlas"
MAX_UNPACKED_BYTES = 4 * 1024**3
_HEADER, _ENTRIES, _VECTORS = "atlas.json", "entries.jsonl", "vectors.f32"
_EPOCH = (1980, 1, 1, 0, 0, 0)


class AtlasHeader(Frozen):
    """What a bundle says of itself; `atlas_id` carries the digest of everything else."""

    format: Literal["immunopath-atlas-1"] = "immunopath-atlas-1"
    name: str
    atlas_id: str
    encoder: Encoder
    count: int = Field(ge=0)
    index: str | None = Field(default=None, max_length=200)
    """A ``faiss.index_factory`` string; the index is built from the vectors, never stored."""


def bundle_path(path: Path) -> Path:
    """Return the file behind `path`: itself when it ends in ``.atlas``, else the one in it."""
    return path if path.suffix == SUFFIX else path / FILE_IN_FOLDER


def write_bundle(
    path: Path, header: AtlasHeader, entries: Sequence[AtlasEntry], vectors: bytes
) -> Path:
    """Write the bundle under a temporary name, rename it, return its path; raises `OutputError`."""
    target = bundle_path(path)
    packed = BytesIO()
    lines = "".join(entry.model_dump_json() + "\n" for entry in entries)
    with zipfile.ZipFile(packed, "w") as archive:
        for member, data in (
            (_HEADER, header.model_dump_json(indent=1).encode()),
            (_ENTRIES, lines.encode()),
            (_VECTORS, vectors),
        ):
            info = zipfile.ZipInfo(member, _EPOCH)
            archive.writestr(info, data, zipfile.ZIP_DEFLATED)
    temporary = target.parent / f".immunopath-{uuid.uuid4().hex}.tmp"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(packed.getvalue())
        temporary.replace(target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{target}: the atlas cannot be written ({reason})") from error
    finally:
        if os.path.lexists(temporary):
            temporary.unlink()
    return target


def read_header(path: Path) -> AtlasHeader:
    """Return the header alone; raises `EngineUnavailable` naming the file."""
    with _opened(path) as archive:
        return AtlasHeader.model_validate_json(archive.read(_HEADER))


def read_bundle(path: Path) -> tuple[AtlasHeader, tuple[AtlasEntry, ...], bytes]:
    """Return header, entries and vector bytes; raises `EngineUnavailable` naming the file."""
    with _opened(path) as archive:
        header = AtlasHeader.model_validate_json(archive.read(_HEADER))
        lines = archive.read(_ENTRIES).decode("utf-8").splitlines()
        entries = tuple(AtlasEntry.model_validate_json(line) for line in lines)
        return header, entries, archive.read(_VECTORS)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    target = bundle_path(path)
    if not target.is_file() or not target.stat().st_size:
        raise EngineUnavailable(f"{target}: no atlas here; make one with 'immunopath atlas build'")
    try:
        with zipfile.ZipFile(target) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_UNPACKED_BYTES:
                raise EngineUnavailable(f"{target}: larger than an atlas can be")
            yield archive
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError) as error:
        raise EngineUnavailable(f"{target}: damaged or no atlas; build it again") from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise EngineUnavailable(f"{target}: not an atlas of this version; build again") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise EngineUnavailable(f"{target}: cannot be read ({reason})") from error
