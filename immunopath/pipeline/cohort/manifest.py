"""The manifest of a cohort: one row a case, every bad row named before any work starts.

Columns: ``case_id``; ``patient_id``; ``images`` (one path or several with ``;``, relative to the
manifest) or ``slide``; ``mpp``; ``clinical`` (a YAML file); and any key of the clinical file as a
column of its own. An empty cell is an absent fact: unknown, never negative.
"""

import csv
import difflib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, TextIO

import yaml
from pydantic import ValidationError

from immunopath.domain.base import first_fault
from immunopath.domain.case import Case
from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.errors import CaseFileError, InputError
from immunopath.domain.files import require_content, require_file
from immunopath.domain.units import checked_mpp
from immunopath.guidelines.casefile import StrictLoader, clinical_of, load_clinical
from immunopath.guidelines.vocabulary import KEYS

IMAGE_COLUMNS: Final = ("images", "image", "slide")
OWN_COLUMNS: Final = ("case_id", "patient_id", *IMAGE_COLUMNS, "mpp", "clinical")
MAX_ROWS: Final = 1_000_000
MAX_CELL: Final = 100_000
MAX_LINE: Final = 1_000_000
"""Characters of a line: a file without any line end is not read into memory."""
_NUMBER: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?")


@dataclass(frozen=True)
class ManifestRow:
    """One row: a case, or what is wrong with it. `number` is 1 for the first case."""

    number: int
    case_id: str
    case: Case | None
    problem: str = ""


def read_manifest(path: Path) -> tuple[ManifestRow, ...]:
    """Return every row of a CSV, TSV, JSON-lines or Parquet manifest, good and bad, in order.

    Raises `CaseFileError` only for what spoils the whole file: its format, an unknown column.
    """
    rows = [_row(n, cells, path.parent) for n, cells in enumerate(_tables(path), 1)]
    if not rows:
        raise CaseFileError(f"{path}: holds no case")
    return tuple(_without_twins(rows))


def rows_of(cases: Iterable[Case]) -> tuple[ManifestRow, ...]:
    """Return cases given in Python as rows; raises `InputError` for an id that appears twice."""
    rows = [ManifestRow(n, case.case_id, case) for n, case in enumerate(cases, 1)]
    bad = next((row for row in _without_twins(rows) if row.problem), None)
    if bad is not None:
        raise InputError(f"case id {bad.case_id!r} appears more than once in the cohort")
    return tuple(rows)


def _without_twins(rows: list[ManifestRow]) -> Iterator[ManifestRow]:
    """Turn every row whose id another row has, or seems to have, into a bad one.

    Which of two is meant is not ours to guess. Ids that look alike (compatibility characters,
    invisible marks) are one id to whoever reads the worklist.
    """
    seen: dict[str, list[int]] = {}
    for row in rows:
        seen.setdefault(_looks(row.case_id), []).append(row.number)
    for row in rows:
        twins = seen[_looks(row.case_id)] if row.case_id else []
        if len(twins) > 1 and not row.problem:
            same = ", ".join(str(n) for n in twins[:20] if n != row.number)
            text = (
                f"case id {row.case_id!r} also stands in row {same[:80]}; give every case its own"
            )
            yield ManifestRow(row.number, row.case_id, None, text)
        else:
            yield row


def _looks(case_id: str) -> str:
    plain = unicodedata.normalize("NFKC", case_id)
    return "".join(c for c in plain if unicodedata.category(c) != "Cf").strip()


def _tables(path: Path) -> Iterator[Mapping[str, Any]]:
    """Return the cells of every row by column, empty ones left out."""
    require_content(path, "a manifest (.csv, .tsv, .jsonl or .parquet)")
    readers = {".csv": _csv, ".tsv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise CaseFileError(f"{path}: a manifest ends in .csv, .tsv, .jsonl or .parquet")
    for number, cells in enumerate(reader(path), 1):
        if number > MAX_ROWS:
            raise CaseFileError(f"{path}: more than {MAX_ROWS} rows; split the cohort")
        yield {k: v for k, v in cells.items() if v is not None and str(v).strip()}


def _csv(path: Path) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(MAX_CELL)
    mark = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(_lines(path, stream), delimiter=mark, restkey="", strict=True)
            _check_columns(path, reader.fieldnames or ())
            yield from reader
    except (csv.Error, UnicodeDecodeError) as error:
        raise CaseFileError(
            f"{path}: is not UTF-8 text with {mark!r} between cells ({error})"
        ) from error
    except OSError as error:
        raise CaseFileError(f"{path}: cannot be read ({error.strerror})") from error


def _jsonl(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for number, line in enumerate(_lines(path, stream), 1):
                if not line.strip():
                    continue
                row = json.loads(line, object_pairs_hook=_each_once)
                if not isinstance(row, dict):
                    raise CaseFileError(f"{path}: line {number} is no object")
                _check_columns(path, row)
                yield row
    except (ValueError, RecursionError) as error:
        raise CaseFileError(f"{path}: is not JSON lines ({str(error)[:160]})") from error
    except OSError as error:
        raise CaseFileError(f"{path}: cannot be read ({error.strerror})") from error


def _lines(path: Path, stream: TextIO) -> Iterator[str]:
    """Yield the lines; raises `CaseFileError` for one that would fill the memory."""
    while line := stream.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE:
            raise CaseFileError(
                f"{path}: a line has more than {MAX_LINE} characters; is it a manifest?"
            )
        yield line


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has a key twice")
    return found


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        raise CaseFileError(f"{path}: Parquet needs the extra 'cohort'") from error
    try:
        file = pq.ParquetFile(path)
        _check_columns(path, file.schema_arrow.names)
        for batch in file.iter_batches():
            yield from batch.to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise CaseFileError(f"{path}: is not a Parquet file ({str(error)[:160]})") from error


def _check_columns(path: Path, names: Iterable[str]) -> None:
    known = [*OWN_COLUMNS, *sorted(KEYS)]
    listed = list(names)
    for name in listed:
        if name not in known:
            text = str(name)[:60]
            near = difflib.get_close_matches(text, known, n=1, cutoff=0.0)
            raise CaseFileError(f"{path}: unknown column {text!r}: did you mean {near[0]!r}?")
    twice = [name for name, n in Counter(listed).items() if n > 1]
    if twice:
        raise CaseFileError(f"{path}: column {twice[0]!r} appears twice")


def _row(number: int, cells: Mapping[str, Any], folder: Path) -> ManifestRow:
    found = cells.get("case_id", "")
    case_id = str(found).strip()
    if not isinstance(found, str) and type(found) is not int:
        return ManifestRow(number, "", None, "case_id: is neither text nor a whole number")
    try:
        return ManifestRow(number, case_id, _case(case_id, cells, folder))
    except ValidationError as error:
        text = first_fault(error, "case")
    except InputError as error:
        text = str(error)
    except (OSError, RuntimeError, ValueError) as error:  # loops of links, NUL in a path
        text = f"images: {getattr(error, 'strerror', None) or error}"
    return ManifestRow(number, case_id, None, text)


def _case(case_id: str, cells: Mapping[str, Any], folder: Path) -> Case:
    if "" in cells:
        raise InputError("has more cells than there are columns")
    if not case_id:
        raise InputError("case_id: is empty")
    patient = cells.get("patient_id")
    return Case(
        case_id=case_id,
        images=_images(cells, folder),
        mpp=_mpp(cells.get("mpp")),
        patient_id=None if patient is None else str(patient).strip(),
        clinical=_clinical(cells, folder),
    )


def _images(cells: Mapping[str, Any], folder: Path) -> tuple[Path, ...]:
    named = [column for column in IMAGE_COLUMNS if column in cells]
    if len(named) != 1:
        what = "names no image" if not named else f"has both {named[0]!r} and {named[1]!r}"
        raise InputError(f"images: {what}; fill one of {', '.join(IMAGE_COLUMNS)}")
    value = cells[named[0]]
    texts = value.split(";") if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InputError("images: is neither a path nor a list of paths")
    paths = tuple(folder / text.strip() for text in texts if text.strip())
    for path in paths:
        require_file(path, "an image")
    return paths


def _mpp(value: object) -> float | None:
    if value is None:
        return None
    try:
        return checked_mpp(float(str(value)))
    except ValueError as error:
        raise InputError(f"mpp: {str(value)[:40]!r} is not a number of µm per pixel") from error


def _clinical(cells: Mapping[str, Any], folder: Path) -> ClinicalContext:
    facts = {key: _fact(key, value) for key, value in cells.items() if key in KEYS}
    named = cells.get("clinical")
    if named is None:
        return clinical_of(Path("clinical columns"), facts) if facts else ClinicalContext()
    if facts:
        raise InputError(f"clinical: a file and the column {sorted(facts)[0]!r}; give one of them")
    return load_clinical(folder / str(named).strip())


def _fact(key: str, value: object) -> object:
    """Return a cell as the clinical file would hold it: numbers, dates, truth values and lists."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        try:
            return date.fromisoformat(text)
        except ValueError as error:
            raise InputError(f"{key}: {text!r} is no date") from error
    if text[:1] in {"[", "{"}:
        try:
            return yaml.load(text, Loader=StrictLoader)  # noqa: S506 - a SafeLoader, stricter
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            raise InputError(f"{key}: {text[:40]!r} is not a list") from error
    return text
