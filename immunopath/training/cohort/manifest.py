"""The cohort manifest: one line a patient, written from GDC lists or by hand for an own cohort.

Columns: patient_id (required), cancer_type, site, slides (several divided by ``;``), expression,
aliquot, md5 (of the expression file), split. Paths are relative to the manifest or to a folder
that is named where they are read.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import Field, ValidationError

from immunopath.domain.base import Frozen, fault_of
from immunopath.domain.case import named_after
from immunopath.domain.errors import CohortError, DuplicatePatient
from immunopath.domain.words import counted
from immunopath.training.cohort.barcodes import barcode_in, patient_key
from immunopath.training.samples import Split
from immunopath.training.tables import MISSING, number_of, read_table, write_csv

COLUMNS: Final = (
    "patient_id",
    "cancer_type",
    "site",
    "slides",
    "expression",
    "aliquot",
    "md5",
    "split",
)
_BETWEEN: Final = ";"


class ManifestRow(Frozen):
    """One patient; "" or () where nothing is known.

    site: tissue-source site, read from a TCGA barcode where the column is empty; slides,
    expression: files; aliquot: barcode of what was sequenced.
    """

    patient_id: str = Field(min_length=1)
    cancer_type: str = ""
    site: str = ""
    slides: tuple[str, ...] = ()
    expression: str = ""
    aliquot: str = ""
    md5: str = ""
    split: Split | None = None

    @property
    def slide_ids(self) -> tuple[str, ...]:
        """The slides' file names without folder and suffix, as tiles name them."""
        return tuple(named_after(Path(slide)) for slide in self.slides)


def read_manifest(path: Path) -> tuple[ManifestRow, ...]:
    """Return the patients of a manifest (CSV or TSV).

    Raises `DuplicatePatient` for a patient on two lines (also under two barcodes) and for a slide
    or an expression file that two patients share, `CohortError` for anything else that is wrong,
    each naming the line.
    """
    rows = read_table(path, f"a cohort manifest ({', '.join(COLUMNS)})")
    names = rows[0][1]
    unknown = sorted(names.keys() - set(COLUMNS))
    if "patient_id" not in names or unknown:
        raise CohortError(
            f"{path}: columns are {', '.join(COLUMNS)}; "
            + (f"{', '.join(unknown)} is none of them" if unknown else "patient_id is missing")
        )
    found: list[ManifestRow] = []
    for number, row in rows:
        try:
            found.append(_row(row))
        except ValidationError as error:
            raise CohortError(f"{path}: line {number}: {fault_of(error)}") from error
    _require_distinct(path, [number for number, _ in rows], found)
    return tuple(found)


def _row(row: dict[str, str]) -> ManifestRow:
    known = {name: cell for name, cell in row.items() if cell.lower() not in MISSING}
    slides = tuple(s.strip() for s in known.pop("slides", "").split(_BETWEEN) if s.strip())
    barcode = barcode_in(known.get("patient_id", ""))
    site = {} if barcode is None else {"site": barcode.tss}
    return ManifestRow.model_validate({**site, **known, "slides": slides})


def _require_distinct(path: Path, lines: Sequence[int], rows: Sequence[ManifestRow]) -> None:
    seen: dict[tuple[str, str], int] = {}
    for number, row in zip(lines, rows, strict=True):
        names = [("patient", patient_key(row.patient_id))]
        names += [("slide", slide) for slide in row.slides]
        names += [(what, name) for what, name in _sequenced(row) if name]
        for key in names:
            if key in seen:
                raise DuplicatePatient(
                    f"{path}: line {number}: {key[0]} {key[1]} stands on line {seen[key]} too"
                )
            seen[key] = number


def _sequenced(row: ManifestRow) -> tuple[tuple[str, str], ...]:
    return (("expression file", row.expression), ("aliquot", row.aliquot))


def with_split(rows: Sequence[ManifestRow], of: Mapping[str, Split]) -> tuple[ManifestRow, ...]:
    """Return the rows in the splits that `of` gives; raises `CohortError` for a patient it lacks.

    Patients of `of` that are no rows are ignored: a split may be that of a larger cohort.
    """
    missing = [row.patient_id for row in rows if row.patient_id not in of]
    if missing:
        raise CohortError(
            f"{counted(len(missing), 'patient is', 'patients are')} in no split file "
            f"({', '.join(missing[:5])}); add them or "
            "take them out of the manifest"
        )
    return tuple(row.model_copy(update={"split": of[row.patient_id]}) for row in rows)


def write_manifest(path: Path, rows: Iterable[ManifestRow]) -> None:
    """Write a manifest as CSV."""
    write_csv(
        path, COLUMNS, (row.model_dump() | {"slides": _BETWEEN.join(row.slides)} for row in rows)
    )


def read_areas(path: Path) -> dict[str, float]:
    """Return tissue areas by slide from a table with columns ``slide`` and ``tissue_area``.

    slide: file name, file id or barcode; the area is in any one unit. Raises `CohortError` or
    `DuplicatePatient` naming the line.
    """
    areas: dict[str, float] = {}
    for number, row in read_table(path, "a table with columns slide and tissue_area"):
        where = f"{path}: line {number}"
        slide, area = row.get("slide", ""), number_of(row, ("tissue_area",), where)
        if not slide or area is None or area < 0:
            raise CohortError(f"{where}: needs a slide and a tissue_area of 0 or more")
        if slide in areas:
            raise DuplicatePatient(f"{where}: slide {slide} stands there twice")
        areas[slide] = area
    return areas
