"""Answers of TxGemma on disk, so that a report needs no GPU and no weights.

One JSON file per checkpoint, prompt file, mode and number format; its name starts with the weights
digest. An answer is found by task and structure, and carries the digest of the prompt behind it.
"""

import hashlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, ValidationError

from immunopath.domain.base import Frozen
from immunopath.domain.errors import EngineUnavailable
from immunopath.domain.files import read_bounded, write_text

SUFFIX: Final = ".txgemma.json"
_writing = threading.Lock()


class Identity(Frozen):
    """Everything that decides an answer besides prompt and structure."""

    source: str
    """Hub id, or the name of the local folder."""
    revision: str
    weights_digest: str
    prompts_digest: str
    mode: Literal["predict", "chat"]
    precision: str

    @property
    def name(self) -> str:
        """The file's name."""
        rest = hashlib.sha256(self.model_dump_json(exclude={"source"}).encode()).hexdigest()
        return f"{self.weights_digest[:16]}-{rest[:8]}{SUFFIX}"


class CachedAnswer(Frozen):
    """One answer as the model gave it."""

    prompt_sha256: str
    text: str
    statement: str = ""
    letter: Literal["A", "B"] | None = None
    probability: float | None = Field(default=None, ge=0, le=1)
    rank: int | None = Field(default=None, ge=0, le=1000)


class CacheFile(Frozen):
    """The content of a file."""

    format: Literal["immunopath-txgemma-1"] = "immunopath-txgemma-1"
    identity: Identity
    answers: dict[str, CachedAnswer] = Field(default_factory=dict)


def answer_key(task: str, smiles: str) -> str:
    """Return the key of an answer: the task and the start of the structure's SHA-256."""
    return f"{task}:{hashlib.sha256(smiles.encode()).hexdigest()[:32]}"


def default_folder() -> Path:
    """Return where answers are kept: below ``XDG_CACHE_HOME``, else below ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "immunopath" / "txgemma"


def read_file(path: Path) -> CacheFile:
    """Return a cache file; raises `EngineUnavailable` when it is damaged."""
    try:
        return CacheFile.model_validate_json(read_bounded(path))
    except OSError as error:
        raise EngineUnavailable(f"{path}: cannot be read ({error.strerror})") from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise EngineUnavailable(f"{path}: damaged cache of TxGemma; delete it") from error


def load(folder: Path, identity: Identity) -> CacheFile:
    """Return what is known for an identity, empty when nothing is; raises `EngineUnavailable`."""
    path = folder / identity.name
    if not path.exists():
        return CacheFile(identity=identity)
    found = read_file(path)
    same = identity.model_dump(exclude={"source"})
    if found.identity.model_dump(exclude={"source"}) != same:
        raise EngineUnavailable(f"{path}: holds the answers of another checkpoint; delete it")
    return found


@dataclass(frozen=True)
class Wanted:
    """Which caches will do, of a checkpoint that need not be here.

    revision, mode, dtype, quant: as the engine string gives them or its name says, None for any;
    likely: the precision that the device would take, which decides only between several.
    """

    source: str
    revision: str | None = None
    mode: Literal["predict", "chat"] | None = None
    dtype: str | None = None
    quant: str | None = None
    likely: str = ""

    def fits(self, identity: Identity) -> bool:
        """Return whether answers of this identity are answers to the request."""
        quant, _, dtype = identity.precision.rpartition("/")
        return (
            identity.source == self.source
            and self.revision in (None, identity.revision)
            and self.mode in (None, identity.mode)
            and self.dtype in (None, dtype)
            and self.quant in (None, quant or "none")
        )


def find(folder: Path, wanted: Wanted) -> tuple[CacheFile, ...]:
    """Return the files that fit, of several those of the likely precision where there are any."""
    if not folder.is_dir():
        return ()
    files = [read_file(path) for path in sorted(folder.glob(f"*{SUFFIX}"))]
    fitting = tuple(f for f in files if wanted.fits(f.identity))
    return tuple(f for f in fitting if f.identity.precision == wanted.likely) or fitting


def the_one(folder: Path, wanted: Wanted) -> CacheFile | None:
    """Return the one file that fits, None without any.

    Raises `EngineUnavailable` when several fit: nobody says which is meant.
    """
    fitting = find(folder, wanted)
    if len(fitting) > 1:
        raise EngineUnavailable(
            f"{folder}: {len(fitting)} caches of {wanted.source}; give revision=, mode=, dtype= or "
            "quant=, or keep one of them"
        )
    return fitting[0] if fitting else None


def save(folder: Path, identity: Identity, new: Mapping[str, CachedAnswer]) -> CacheFile:
    """Add answers to the file of an identity and return all of it; raises `OutputError`.

    Written to a temporary name and renamed; answers that others added meanwhile are kept.
    """
    path = folder / identity.name
    with _writing:
        known = load(folder, identity)
        merged = dict(sorted((known.answers | dict(new)).items()))
        content = known.model_copy(update={"answers": merged})
        write_text(path, content.model_dump_json(indent=1) + "\n")
    return content
