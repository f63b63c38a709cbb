"""What is tiled: slide files as they are named, or manifests.

A manifest has a row per slide (columns below) or is that of a cohort, with a row per patient.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from immunopath.domain.case import named_after
from immunopath.domain.errors import CaseFileError, ResolutionError
from immunopath.domain.files import read_bounded, require_file
from immunopath.domain.units import checked_mpp
from immunopath.training.cohort.barcodes import barcode_in
from immunopath.training.cohort.manifest import read_manifest

MANIFESTS = {".csv": ",", ".tsv": "\t"}
COLUMNS = ("slide", "slide_id", "patient_id", "mpp")


@dataclass(frozen=True)
class SlideInput:
    """One slide to tile; mpp: stated µm per pixel of level 0, None = read it from the file."""

    slide_id: str
    patient_id: str
    path: Path
    mpp: float | None = None


def collect(
    given: Sequence[Path], mpp: float | None = None, folder: Path | None = None
) -> tuple[SlideInput, ...]:
    """Return the slides of files and manifests in the given order.

    `mpp` is stated for every slide whose row states none; `folder` holds the slides that manifests
    name (None: the manifest's own). Every bad row of a manifest is listed. Raises `CaseFileError`
    for a bad manifest, for an id that appears twice, and for nothing given.
    """
    slides: list[SlideInput] = []
    for path in given:
        if path.suffix.lower() in MANIFESTS and not path.is_dir():
            slides += _rows(path, mpp, path.parent if folder is None else folder)
        else:
            slide_id = named_after(path)
            slides.append(SlideInput(slide_id, patient_of(slide_id), path, mpp))
    seen: dict[str, Path] = {}
    for slide in slides:
        if slide.slide_id in seen:
            raise CaseFileError(
                f"slide id {slide.slide_id!r} stands for {seen[slide.slide_id]} and "
                f"{slide.path}; give each an id of its own in a manifest (column slide_id)"
            )
        seen[slide.slide_id] = slide.path
    if not slides:
        raise CaseFileError("no slide was given; name slide files or a manifest (CSV or TSV)")
    return tuple(slides)


def patient_of(slide_id: str) -> str:
    """Return the TCGA participant of a slide's name, else the slide id itself."""
    found = barcode_in(slide_id)
    return found.patient_id if found else slide_id


def _rows(path: Path, mpp: float | None, folder: Path) -> list[SlideInput]:
    require_file(path, "a manifest of slides (CSV or TSV)")
    try:
        text = read_bounded(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CaseFileError(f"{path}: is no UTF-8 text; export it as CSV") from error
    reader = csv.DictReader(text.splitlines(), delimiter=MANIFESTS[path.suffix.lower()])
    names = reader.fieldnames or []
    if "slides" in names:
        return [
            SlideInput(named_after(Path(name)), row.patient_id, folder / name, mpp)
            for row in read_manifest(path)
            for name in row.slides
        ]
    if "slide" not in names:
        raise CaseFileError(
            f"{path}: has no column 'slide'; it takes {', '.join(COLUMNS)}, or is a cohort's"
        )
    slides, faults = [], []
    try:
        for row in reader:
            try:
                slides.append(_row(row, folder, mpp))
            except (ValueError, ResolutionError) as error:
                faults.append(f"line {reader.line_num}: {error}")
    except csv.Error as error:
        faults.append(f"line {reader.line_num}: {error}")
    if faults:
        more = f"; and {len(faults) - 20} more" if len(faults) > 20 else ""
        raise CaseFileError(f"{path}: {'; '.join(faults[:20])}{more}")
    return slides


def _row(row: dict[str | None, str | None], folder: Path, mpp: float | None) -> SlideInput:
    """Read one row; a relative slide lies in `folder`."""
    if None in row:
        raise ValueError("has more cells than the header")
    name = (row.get("slide") or "").strip()
    if not name or "\0" in name:
        raise ValueError("the cell 'slide' names no file")
    stated = (row.get("mpp") or "").strip()
    try:
        own = checked_mpp(float(stated)) if stated else mpp
    except ValueError:
        raise ValueError(f"mpp {stated!r} is no number") from None
    path = folder / name
    slide_id = (row.get("slide_id") or "").strip() or named_after(path)
    return SlideInput(
        slide_id, (row.get("patient_id") or "").strip() or patient_of(slide_id), path, own
    )
