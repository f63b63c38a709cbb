"""What the Genomic Data Commons gives to take along: manifests, sample sheets and metadata.

Read as they are downloaded, told by their columns and not by their names:

- the manifest of ``gdc-client`` (id, filename, md5, size, state): no case in it, so a barcode comes
  from the file name, which slides have and expression files have not;
- the sample sheet (File ID, File Name, Data Type, Project ID, Case ID, Sample ID, Sample Type), or
  any other table with file id, file name and a column of barcodes;
- metadata JSON of the cart (associated_entities) or of the files endpoint (cases, data.hits);
- the files endpoint as TSV (cases.0.submitter_id, …).

Several of them can be given for the same files: what one lacks comes from the other.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from immunopath.domain.base import Frozen
from immunopath.domain.errors import CohortError
from immunopath.domain.files import open_regular, read_bounded
from immunopath.training.cohort.barcodes import Barcode, barcode_in, is_barcode, parse_barcode
from immunopath.training.tables import first_of, read_table

FileKind = Literal["slide", "expression", "other"]

_SLIDES: Final = (".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".dcm")
_COUNTS: Final = "star_gene_counts"
_EXPRESSION_TYPE: Final = "gene expression quantification"
_NO_TPM: Final = ("htseq", "fpkm")
"""Names of expression files without TPM, of earlier workflows."""
_SLIDE_TYPE: Final = "slide image"
_ID: Final = ("file_id", "file id", "id")
_NAME: Final = ("file_name", "file name", "filename")
_MD5: Final = ("md5sum", "md5")
_TYPE: Final = ("data_type", "data type")
_PROJECT: Final = ("project id", "project", "project_id", "cases.0.project.project_id")
_SAMPLE_TYPE: Final = ("sample type", "cases.0.samples.0.sample_type", "sample_type")
_TISSUE: Final = ("tissue type", "cases.0.samples.0.tissue_type", "tissue_type")
_DESCRIPTOR: Final = ("tumor descriptor", "cases.0.samples.0.tumor_descriptor", "tumor_descriptor")
_CODES: Final = {
    "primary tumor": "01",
    "primary": "01",
    "recurrent tumor": "02",
    "recurrence": "02",
    "additional - new primary": "05",
    "new primary": "05",
    "metastatic": "06",
    "metastasis": "06",
    "additional metastatic": "07",
    "blood derived normal": "10",
    "solid tissue normal": "11",
    "buccal cell normal": "12",
    "bone marrow normal": "14",
    "normal": "11",
    "cell lines": "50",
    "xenograft tissue": "60",
}
"""Sample types in GDC's words, where no barcode reaches down to the sample."""


class FileRecord(Frozen):
    """One file as GDC lists it.

    barcode: the longest that is known of what was sequenced or scanned, None when nothing names
    a case; patients: all patients it belongs to (more than one for pooled material).
    """

    file_id: str
    file_name: str
    kind: FileKind
    barcode: Barcode | None
    patients: tuple[str, ...] = ()
    project: str = ""
    md5: str = ""
    listed: str

    @property
    def path(self) -> str:
        """Where ``gdc-client`` puts the file: in a folder named by its id."""
        return f"{self.file_id}/{self.file_name}" if self.file_id else self.file_name


def read_gdc(paths: Iterable[Path]) -> tuple[FileRecord, ...]:
    """Return the files of several lists, each file once, sorted by id.

    Raises `CohortError` for a list that is none, and for a file that two lists give to different
    patients.
    """
    found: dict[str, FileRecord] = {}
    for path in paths:
        for record in _json(path) if _is_json(path) else _table(path):
            key = record.file_id or record.file_name
            found[key] = _merge(found[key], record) if key in found else record
    return tuple(found[key] for key in sorted(found))


def _merge(one: FileRecord, other: FileRecord) -> FileRecord:
    if one.patients and other.patients and one.patients != other.patients:
        raise CohortError(
            f"{other.listed}: file {other.file_name} belongs to {', '.join(other.patients)}, but "
            f"to {', '.join(one.patients)} in {one.listed}"
        )
    longest = max((one.barcode, other.barcode), key=lambda b: len(str(b or "")))
    return FileRecord(
        file_id=one.file_id or other.file_id,
        file_name=one.file_name or other.file_name,
        kind=one.kind if one.kind != "other" else other.kind,
        barcode=longest,
        patients=one.patients or other.patients,
        project=one.project or other.project,
        md5=one.md5 or other.md5,
        listed=one.listed,
    )


def _is_json(path: Path) -> bool:
    if not path.is_file():
        return False
    with open_regular(path) as stream:
        return stream.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")


def _table(path: Path) -> list[FileRecord]:
    rows = read_table(path, "a GDC manifest, sample sheet or metadata JSON")
    columns = rows[0][1]
    if not any(n in columns for n in _NAME) or not any(n in columns for n in _ID):
        raise CohortError(
            f"{path}: has no file id or file name column; name a GDC manifest, sample sheet or "
            "metadata JSON"
        )
    return [_record(row, f"{path.name}:{number}") for number, row in rows]


def _record(row: Mapping[str, str], listed: str) -> FileRecord:
    """Return one file; any column may hold barcodes, of several cases or samples too."""
    return _make(
        file_id=first_of(row, _ID),
        name=first_of(row, _NAME),
        texts=[part for cell in row.values() for part in _several(cell) if is_barcode(part)],
        codes=[_code(row)],
        project=next(iter(_several(first_of(row, _PROJECT))), ""),
        data_type=first_of(row, _TYPE),
        md5=first_of(row, _MD5),
        listed=listed,
    )


def _several(cell: str) -> list[str]:
    return list(dict.fromkeys(part.strip() for part in re.split(r"[,;|]", cell) if part.strip()))


def _code(row: Mapping[str, str]) -> str:
    """Return the sample type code of words; "" when they do not say."""
    kinds = {_CODES.get(w.lower(), "?") for w in _several(first_of(row, _SAMPLE_TYPE))}
    if len(kinds) == 1 and "?" not in kinds:
        return kinds.pop()
    if kinds:
        return ""
    tissue = first_of(row, _TISSUE).lower()
    descriptor = first_of(row, _DESCRIPTOR).lower()
    if tissue == "normal":
        return "11"
    return _CODES.get(descriptor, "") if tissue in {"tumor", ""} else ""


def _make(  # noqa: PLR0913 - the columns of a list
    *,
    file_id: str,
    name: str,
    texts: Iterable[str],
    codes: Iterable[str],
    project: str,
    data_type: str,
    md5: str,
    listed: str,
) -> FileRecord:
    _require_name(file_id, name, listed)
    barcodes = [b for text in texts if (b := barcode_in(text)) is not None]
    own = barcode_in(name)
    if own is not None:
        barcodes.append(own)
    patients = tuple(sorted({b.patient_id for b in barcodes}))
    longest = max(barcodes, key=lambda b: len(str(b)), default=None)
    kinds = {b.sample for b in barcodes if b.sample}
    if longest is not None and not longest.sample:
        known = {code for code in codes if code}
        if len(known) == 1:
            longest = parse_barcode(f"{longest}-{known.pop()}")
    if len(kinds) > 1:  # material of two samples: no barcode says what it is
        longest = None
    return FileRecord(
        file_id=file_id,
        file_name=name,
        kind=_kind(name, data_type),
        barcode=longest,
        patients=patients,
        project=project,
        md5=md5.lower(),
        listed=listed,
    )


def _require_name(file_id: str, name: str, listed: str) -> None:
    """Raise `CohortError` for a file that would be looked for outside its own download folder."""
    for text in (file_id, name):
        if text in {".", ".."} or re.search(r"[/\\\0]", text):
            raise CohortError(
                f"{listed}: {text[:80]!r} is no file name or id but a path; fetch the list again"
            )


def _kind(name: str, data_type: str) -> FileKind:
    lower = name.lower()
    if lower.endswith(_SLIDES) or data_type.lower() == _SLIDE_TYPE:
        return "slide"
    if _COUNTS in lower:
        return "expression"
    if data_type.lower() == _EXPRESSION_TYPE and not any(word in lower for word in _NO_TPM):
        return "expression"
    return "other"


def _json(path: Path) -> list[FileRecord]:
    try:
        data = json.loads(read_bounded(path).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise CohortError(f"{path}: is no JSON ({error}); fetch the metadata again") from error
    if isinstance(data, dict):
        data = data.get("data", data)
    hits = data.get("hits") if isinstance(data, dict) else data
    if not isinstance(hits, list) or not all(isinstance(hit, dict) for hit in hits):
        raise CohortError(f"{path}: is no list of files; name GDC metadata")
    if not hits:
        raise CohortError(f"{path}: lists no file")
    return [_hit(hit, f"{path.name}:{number}") for number, hit in enumerate(hits, 1)]


def _hit(hit: Mapping[str, Any], listed: str) -> FileRecord:
    name, file_id = hit.get("file_name"), hit.get("file_id", hit.get("id", ""))
    if not isinstance(name, str) or not name:
        raise CohortError(f"{listed}: has no file_name; name GDC metadata of files")
    cases = [case for case in hit.get("cases") or [] if isinstance(case, dict)]
    samples = [s for case in cases for s in case.get("samples") or [] if isinstance(s, dict)]
    entities = [e for e in hit.get("associated_entities") or [] if isinstance(e, dict)]
    projects = [str((case.get("project") or {}).get("project_id", "")) for case in cases]
    return _make(
        file_id=str(file_id),
        name=name,
        texts=[
            *(str(e.get("entity_submitter_id", "")) for e in entities),
            *(str(s.get("submitter_id", "")) for s in samples),
            *(str(case.get("submitter_id", "")) for case in cases),
        ],
        codes=[_code({k: str(v) for k, v in s.items() if v is not None}) for s in samples],
        project=next(filter(None, projects), ""),
        data_type=str(hit.get("data_type", "")),
        md5=str(hit.get("md5sum", "")),
        listed=listed,
    )
