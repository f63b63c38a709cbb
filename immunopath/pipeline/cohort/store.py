"""The result store of a cohort: files below one folder, each whole or not there.

``cases/<name>.json``, ``.html`` and ``.fhir.json`` hold the report, ``records/<name>.json`` says
that the case is done. The record is written last and names the digest of every file, so a run
killed at any moment leaves nothing that a resumed run would take for finished.
"""

import hashlib
import os
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pydantic import ValidationError

from immunopath import __version__
from immunopath.domain.case import Case
from immunopath.domain.cohort import CaseRecord
from immunopath.domain.errors import CaseFileError, InputError, OutputError
from immunopath.domain.files import open_regular, read_small, safe_name, write_text
from immunopath.domain.report import CaseReport
from immunopath.reporting.rendered import RenderedReport

FOLDERS = ("cases", "records")
"""What the store writes to, below its folder."""
MAX_IMAGE_BYTES = 256 * 1024**3
"""More than any slide holds: a file that only claims to be large would be hashed for hours."""
_BLOCK = 1 << 20
FHIR: Final = ".fhir.json"
NOTHING_KNOWN: Final[Mapping[str, str]] = MappingProxyType({})
RECORD_VERSION: Final = CaseRecord.model_fields["version"].default


class ResultStore:
    """Results of the cases of one cohort below the folder `out`."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def valid(self, case: Case, key: str) -> CaseRecord | None:
        """Return the case's record if it is of this key and every file is as it was written."""
        record = self.record(case.case_id)
        if record is None or record.key != key or not key or record.version != RECORD_VERSION:
            return None
        stem = f"cases/{safe_name(case.case_id)}"
        own = {f"{stem}{suffix}" for suffix in (".json", ".html", FHIR)}
        whole = all(
            name in own and _digest(self.out / name) == found
            for name, found in record.files.items()
        )
        return record if whole else None

    def record(self, case_id: str) -> CaseRecord | None:
        """Return what stands in the store about a case, whatever it was made with."""
        try:
            text = read_small(self._record_path(case_id), "the record of a case")
            record = CaseRecord.model_validate_json(text)
        except (OSError, CaseFileError, ValidationError):
            return None
        return record if record.case_id == case_id else None

    def write_report(
        self, report: RenderedReport, *, html: bool, fhir: bool = False
    ) -> dict[str, str]:
        """Write the report's files; returns their names and digests.

        Files of an earlier run that are not wanted now would be of another report: they go.
        """
        stem = f"cases/{safe_name(report.case_id)}"
        texts = {f"{stem}.json": report.to_json()}
        if html:
            texts[f"{stem}.html"] = report.to_html()
        if fhir:
            texts[f"{stem}{FHIR}"] = report.to_fhir()
        for suffix in (".html", FHIR):
            if f"{stem}{suffix}" not in texts:
                _remove(self.out / f"{stem}{suffix}")
        for name, text in texts.items():
            write_text(self.out / name, text)
        return {
            name: hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
            for name, text in texts.items()
        }

    def write_record(self, record: CaseRecord) -> None:
        """Say that a case is done."""
        write_text(self._record_path(record.case_id), record.model_dump_json(indent=1) + "\n")

    def _record_path(self, case_id: str) -> Path:
        return self.out / "records" / f"{safe_name(case_id)}.json"


def case_key(  # noqa: PLR0913 - one keyword per part of the key
    case: Case,
    configuration: str,
    as_of: str,
    *,
    html: bool,
    fhir: bool = False,
    known: Mapping[str, str] = NOTHING_KNOWN,
) -> str:
    """Return the digest of all that a case's result depends on, the bytes of its images included.

    known: SHA-256 by file name of images that were read and hashed already. Raises `InputError`
    for an image that cannot be read.
    """
    # Bundles and regions are added only where there are some: older results keep their keys.
    left_out = {"images"} if case.regions else {"images", "regions"}
    parts = [__version__, configuration, as_of, str(html), case.model_dump_json(exclude=left_out)]
    if fhir:
        parts.append("fhir")
    for image in case.images:
        found = known.get(image.name) or _digest(image)
        if found is None:
            raise _unreadable(image)
        parts.append(f"{image.name}:{found}")
    joined = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(joined).hexdigest()


def refuse_unreadable(case: Case) -> None:
    """Raise the `InputError` of `case_key` for a file that cannot be opened, without reading it."""
    for image in case.images:
        try:
            with open_regular(image) as stream:
                sound = _sound(stream)
        except OSError:
            sound = False
        if not sound:
            raise _unreadable(image)


def image_digests(report: CaseReport) -> dict[str, str]:
    """Return the SHA-256 of each image of a report by file name; not of names that two share."""
    found: dict[str, set[str]] = {}
    for image in report.images:
        found.setdefault(image.name, set()).add(image.sha256)
    return {name: digests.pop() for name, digests in found.items() if len(digests) == 1}


def _unreadable(image: Path) -> InputError:
    if image.is_file() and image.stat().st_size > MAX_IMAGE_BYTES:
        return InputError(f"{image}: is larger than any slide; export the slide again")
    if image.is_file() and image.stat().st_size == 0:
        return InputError(f"{image}: is empty (0 bytes); copy or export it again")
    return InputError(f"{image}: cannot be read; check the path and its permissions")


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be removed ({error.strerror})") from error


def _digest(path: Path) -> str | None:
    """Return the SHA-256 of a regular file; None when it is empty or cannot be read."""
    whole = hashlib.sha256()
    try:
        with open_regular(path) as stream:
            if not _sound(stream):
                return None
            while block := stream.read(_BLOCK):
                whole.update(block)
    except OSError:
        return None
    return whole.hexdigest()


def _sound(stream: BufferedReader) -> bool:
    return 0 < os.fstat(stream.fileno()).st_size <= MAX_IMAGE_BYTES
