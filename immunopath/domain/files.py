"""Files: what a path must be before it is opened, and writing that never leaves half a file."""

import errno
import hashlib
import os
import re
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, TextIO

from immunopath.domain.errors import CaseFileError, OutputError

MAX_TABLE = 256_000_000
"""Bytes of a table or a JSON file: a line a patient for any cohort, and still held in memory."""
MAX_WEIGHTS = 16_000_000_000
_BLOCK = 1 << 20
_HALF = ".immunopath-"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def require_file(path: Path, what: str) -> None:
    """Raise `CaseFileError` unless `path` is a regular file; `what` says which file is wanted.

    A pipe would be waited on for ever, a device might never end.
    """
    _size_of(path, what)


def require_content(path: Path, what: str) -> None:
    """Raise `CaseFileError` unless `path` is a regular file with something in it.

    For what a library opens by its name. The kernel's own files (``/proc/kmsg``) call themselves
    regular, hold 0 bytes, and are waited on for ever.
    """
    if _size_of(path, what) == 0:
        raise CaseFileError(f"{path}: is empty (0 bytes); name {what}")


def _size_of(path: Path, what: str) -> int:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise CaseFileError(f"{path}: no such file; check the path") from None
    except (OSError, ValueError) as error:  # a loop of links, NUL, too long a name, no permission
        raise CaseFileError(f"{path}: cannot be read ({_reason(error)}); check the path") from None
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "no regular file"
        raise CaseFileError(f"{path}: is {kind}; name {what}")
    return found.st_size


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading, and nothing else: not what took its place meanwhile either.

    Raises `OSError`; never waits for a pipe's writer.
    """
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    return os.fdopen(_regular(os.open(path, flags)), "rb")


def read_bounded(path: Path, limit: int = MAX_TABLE) -> bytes:
    """Return the bytes of a regular file of at most `limit` bytes; anything else is an `OSError`.

    What a user names, or what lies in a folder that a user names, is read by this or `read_small`:
    a pipe is waited on for ever, and a device or a file with holes in it fills the memory.
    """
    data = bytearray()
    with open_regular(path) as stream:
        large = os.fstat(stream.fileno()).st_size > limit
        while not large and (block := stream.read(_BLOCK)):  # read(limit) would allocate it all
            data += block
            large = len(data) > limit
    if large:
        raise OSError(errno.EFBIG, f"is larger than {limit} bytes")
    return bytes(data)


def open_to_append(path: Path) -> TextIO:
    """Open a UTF-8 file to append to; it is made when it is not there.

    Raises `OSError` for a link (it may lead anywhere) and for all that is no regular file.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    return os.fdopen(_regular(os.open(path, flags, 0o666)), "a", encoding="utf-8")


def _regular(number: int) -> int:
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, "is no regular file")
    return number


def refuse_links(folder: Path, *names: str) -> None:
    """Raise `OutputError` if a folder of that name below `folder` is a link: it leads elsewhere."""
    for name in names:
        if (folder / name).is_symlink():
            raise OutputError(
                f"{folder / name}: is a link; results are written below {folder} only, so remove it"
            )


def read_small(path: Path, what: str, limit: int = 4_000_000) -> bytes:
    """Return the bytes of a settings-like file; `what` says which file is wanted.

    Raises `CaseFileError` unless it is a regular file of at most `limit` bytes that can be read.
    """
    require_file(path, what)
    try:
        return read_bounded(path, limit)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise CaseFileError(f"{path}: larger than {limit} bytes; name {what}") from error
        raise CaseFileError(f"{path}: cannot be read ({_reason(error)})") from error


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically; raises `OutputError` with the remedy.

    Missing parent folders are created. A folder or a special file in the way is refused.
    """
    with writing(path) as stream:
        stream.write(data)


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Give a stream whose bytes stand at `path` once the block has ended well, as `write_bytes`.

    A block that raises leaves `path` as it was.
    """
    temporary = path.parent / f"{_HALF}{uuid.uuid4().hex}.tmp"
    try:
        if path.exists() and not path.is_file():
            raise OutputError(f"{path}: is not a regular file; name a file to write to")
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as stream:
            yield stream
        temporary.replace(path)
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: cannot be written ({_reason(error)})") from error
    finally:
        if os.path.lexists(temporary):
            temporary.unlink()


def require_place(path: Path) -> None:
    """Raise `OutputError` unless a file could be written at `path` now; nothing is left there.

    For a result that long work comes before: what `write_bytes` would say at its end.
    """
    folder = path.parent
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    temporary = folder / f"{_HALF}{uuid.uuid4().hex}.tmp"
    try:
        if path.exists() and not path.is_file():
            raise OutputError(f"{path}: is not a regular file; name a file to write to")
        temporary.open("xb").close()
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: cannot be written ({_reason(error)})") from error
    finally:
        if os.path.lexists(temporary):
            temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 `text` to `path` atomically; raises `OutputError`."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def sweep(folder: Path) -> None:
    """Remove the half-written files that a killed process left below `folder`.

    Only whoever holds the folder alone may call this: the files of a living process look the same.
    """
    for left in folder.rglob(f"{_HALF}*.tmp"):
        if left.is_symlink() or not left.is_dir():
            left.unlink(missing_ok=True)


def safe_name(case_id: str) -> str:
    """Return a file stem for any case id: a readable slug (≤ 48 characters) and a digest.

    Different ids never share a stem, whatever characters they hold or differ in.
    """
    slug = _UNSAFE.sub("-", case_id).strip("-.")[:48].strip("-.") or "case"
    digest = hashlib.sha256(case_id.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"{slug}-{digest}"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
