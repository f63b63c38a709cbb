"""Uploaded images: limited, under safe names in a folder of their own, deleted after the run."""

import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from immunopath.domain.errors import InputError, OutputError

MAX_NAME: Final = 80
_UNFIT: Final = re.compile(r"[^\w.()+,=@ -]+")
_BLOCK: Final = 1 << 20


class UploadError(InputError):
    """An upload is too many, empty, missing or too slow."""


class UploadTooLarge(UploadError):
    """The images hold more bytes together than one case may."""


@dataclass(frozen=True)
class Limits:
    """What one run may bring, and how many runs may wait.

    max_bytes: of one request, all files together; max_kept: finished reports kept in memory, each
    for `keep_s` seconds at most; upload_s: longest time that an upload may take; max_slides: that
    wait for a choice of regions, each for `slide_s` seconds at most.
    """

    max_files: int = 16
    max_bytes: int = 512 * 1024 * 1024
    max_waiting: int = 8
    max_kept: int = 32
    keep_s: float = 3600.0
    upload_s: float = 900.0
    max_slides: int = 4
    slide_s: float = 900.0


def safe_upload_name(name: str) -> str:
    """Return a file name of letters, digits and plain marks; its suffix is kept.

    Only the part behind the last slash or backslash counts, so that no name leaves its folder.
    """
    base = re.split(r"[/\\]", name)[-1]
    plain = _UNFIT.sub("_", base).strip(" .")
    if len(plain) > MAX_NAME:
        stem, dot, suffix = plain.rpartition(".")
        keep = dot + suffix if stem and len(suffix) <= 8 else ""
        plain = plain[: MAX_NAME - len(keep)] + keep
    return plain or "image"


@dataclass
class UploadFolder:
    """The images of one run. `discard` deletes them all, and may be called twice."""

    root: Path
    files: list[Path] = field(default_factory=list)

    @classmethod
    def below(cls, parent: Path) -> "UploadFolder":
        """Return a new folder below `parent` that only this user may read."""
        try:
            return cls(Path(tempfile.mkdtemp(prefix="run-", dir=parent)))
        except OSError as error:
            raise OutputError(f"{parent}: cannot be written ({error.strerror})") from error

    def add(self, name: str, content: BinaryIO) -> Path:
        """Copy an upload; raises `UploadError` for an empty one. Blocks: call it in a thread."""
        safe = safe_upload_name(name)
        path = self.root / str(len(self.files)) / safe
        try:
            path.parent.mkdir()
            with path.open("xb") as out:
                shutil.copyfileobj(content, out, _BLOCK)
            size = path.stat().st_size
        except OSError as error:
            raise OutputError(f"{safe}: cannot be kept for the run ({error.strerror})") from error
        if size == 0:
            raise UploadError(f"{safe}: is empty (0 bytes); choose the image again")
        self.files.append(path)
        return path

    def told(self, message: str) -> str:
        """Return a message without the folder's own path: the reader knows the file's name."""
        return re.sub(re.escape(str(self.root)) + r"(/\d+/)?", "", message)

    def discard(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.root, ignore_errors=True)


def check_count(names: Sequence[str], limits: Limits) -> None:
    """Raise `UploadError` for no file or too many."""
    if not names:
        raise UploadError("no image was given; choose at least one, or an example")
    if len(names) > limits.max_files:
        raise UploadError(
            f"{len(names)} images were given; at most {limits.max_files} make one case here"
        )


def size_words(n: int) -> str:
    """Return a number of bytes as a person says it."""
    return f"{n / 1024**2:.0f} MB" if n >= 1024**2 else f"{n / 1024:.0f} kB"
