"""One slide and one expression file a patient, by a stated rule; everything else is listed.

Rule. Only the primary solid tumour (sample type 01) counts; normals, metastases, recurrences and
samples of unknown type are dropped. Of several slides the diagnostic one (DX) comes before frozen
sections (TS, then MS, then BS), then the one with the larger known tissue area, then the first
barcode in order of vial, portion and slide number. Of several expression files the first barcode
in order of vial, portion, analyte and plate counts. File size plays no part. What barcodes do not
tell apart is decided by file id, so that the choice never depends on the order of a list.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

from immunopath.domain.base import Frozen
from immunopath.domain.errors import CohortError
from immunopath.domain.words import counted
from immunopath.training.cohort.barcodes import Barcode
from immunopath.training.cohort.gdc import FileRecord
from immunopath.training.cohort.manifest import ManifestRow

Reason = Literal[
    "no barcode",
    "several patients",
    "other file",
    "other project",
    "sample type unknown",
    "normal tissue",
    "metastasis",
    "not the primary tumour",
    "frozen section",
    "diagnostic slide preferred",
    "higher section preferred",
    "less tissue",
    "later barcode",
    "same barcode, later file id",
    "patient without slide",
    "patient without expression",
]
Need = Literal["both", "expression", "slides"]
_KINDS: Final = {"DX": 0, "TS": 1, "MS": 2, "BS": 3}
_UNKNOWN_KIND: Final = 4
CANCER_TYPES: Final = {"TCGA-LUAD": "LUAD", "TCGA-LUSC": "LUSC"}


class Dropped(Frozen):
    """A file that is not used and why; kept: the file that was preferred, if one was."""

    file_id: str
    file_name: str
    patient_id: str
    reason: Reason
    detail: str = ""
    kept: str = ""


class Rules(Frozen):
    """The choices of a manifest.

    projects: which to keep, all when empty; need: what a patient must have; assume_primary: the
    caller's word that files of unknown sample type are of the primary tumour; diagnostic_only:
    drop frozen sections; all_slides: keep every slide of the best kind, not only the best one.
    """

    projects: tuple[str, ...] = ()
    need: Need = "both"
    assume_primary: bool = False
    diagnostic_only: bool = False
    all_slides: bool = False


class Resolved(Frozen):
    """The patients of a cohort, and every file that is not used."""

    rows: tuple[ManifestRow, ...]
    dropped: tuple[Dropped, ...]
    files: int

    @property
    def counts(self) -> dict[str, int]:
        """Dropped files by reason, most frequent first."""
        return dict(Counter(d.reason for d in self.dropped).most_common())


def resolve(
    records: Iterable[FileRecord], rules: Rules, areas: Mapping[str, float] | None = None
) -> Resolved:
    """Choose one expression file and the slide or slides of each patient.

    areas: tissue area by slide file name, file id or slide barcode, in any one unit. Raises
    `CohortError` when no patient is left, saying why, or when no area belongs to a slide.
    """
    records = tuple(records)
    if areas and not any(_area(r, areas) is not None for r in records if r.kind == "slide"):
        raise CohortError(
            f"none of the {len(areas)} tissue areas belongs to a listed slide; name slides by file "
            "name, file id or barcode"
        )
    dropped: list[Dropped] = []
    slides: dict[str, list[FileRecord]] = defaultdict(list)
    counts: dict[str, list[FileRecord]] = defaultdict(list)
    for record in records:
        reason = _unusable(record, rules)
        if reason is not None:
            dropped.append(_drop(record, *reason))
        else:
            (slides if record.kind == "slide" else counts)[record.patients[0]].append(record)
    rows: list[ManifestRow] = []
    for patient in sorted(slides.keys() | counts.keys()):
        pictures, lost = _choose_slides(slides[patient], rules, areas or {})
        sequenced, later = _choose_expression(counts[patient])
        dropped += [*lost, *later]
        missing = _missing(pictures, sequenced, rules.need)
        if missing is not None:
            dropped += [_drop(r, missing) for r in (*pictures, *sequenced)]
        else:
            rows.append(_row(patient, pictures, sequenced))
    found = Resolved(rows=tuple(rows), dropped=tuple(dropped), files=len(records))
    if not rows:
        why = ", ".join(f"{reason} {n}" for reason, n in found.counts.items())
        raise CohortError(f"no patient is left of {counted(len(records), 'file')} ({why})")
    return found


def _unusable(record: FileRecord, rules: Rules) -> tuple[Reason, str] | None:
    """Return why a file cannot be used for any patient; None when it can."""
    foreign = bool(rules.projects) and record.project not in rules.projects
    checks: tuple[tuple[bool, Reason, str], ...] = (
        (record.kind == "other", "other file", record.listed),
        (len(record.patients) > 1, "several patients", ", ".join(record.patients)),
        (not record.patients, "no barcode", record.listed),
        (foreign, "other project", record.project or "no project is known"),
    )
    for failed, reason, detail in checks:
        if failed:
            return reason, detail
    barcode = record.barcode
    if barcode is None or not (barcode.sample or rules.assume_primary):
        return "sample type unknown", str(barcode or record.patients[0])
    if barcode.sample and not barcode.is_primary:
        return _not_primary(barcode), f"{barcode}: {barcode.sample_type}"
    if rules.diagnostic_only and record.kind == "slide" and barcode.kind != "DX":
        return "frozen section", str(barcode)
    return None


def _not_primary(barcode: Barcode) -> Reason:
    if barcode.is_normal:
        return "normal tissue"
    return "metastasis" if barcode.is_metastasis else "not the primary tumour"


def _choose_slides(
    found: Sequence[FileRecord], rules: Rules, areas: Mapping[str, float]
) -> tuple[list[FileRecord], list[Dropped]]:
    ranked = sorted(found, key=lambda r: (_kind_rank(r), -(_area(r, areas) or 0.0), *_order(r)))
    if not ranked:
        return [], []
    best = ranked[0]
    keep = [r for r in ranked if rules.all_slides and _kind_rank(r) == _kind_rank(best)] or [best]
    lost = [r for r in ranked if r not in keep]
    return keep, [_drop(r, *_why_not(r, best, areas), kept=best.file_name) for r in lost]


def _why_not(
    record: FileRecord, best: FileRecord, areas: Mapping[str, float]
) -> tuple[Reason, str]:
    if _kind_rank(record) != _kind_rank(best):
        diagnostic = _kind_rank(best) == _KINDS["DX"]
        return "diagnostic slide preferred" if diagnostic else "higher section preferred", ""
    mine, its = _area(record, areas), _area(best, areas)
    if its is not None and (mine is None or mine < its):
        return "less tissue", f"{'unknown' if mine is None else f'{mine:g}'} against {its:g}"
    return _later(record, best), ""


def _choose_expression(found: Sequence[FileRecord]) -> tuple[list[FileRecord], list[Dropped]]:
    ranked = sorted(found, key=_order)
    best = ranked[:1]
    return best, [
        _drop(r, _later(r, best[0]), str(r.barcode), kept=best[0].file_name) for r in ranked[1:]
    ]


def _later(record: FileRecord, best: FileRecord) -> Reason:
    same = str(record.barcode) == str(best.barcode)
    return "same barcode, later file id" if same else "later barcode"


def _order(record: FileRecord) -> tuple[str, str, str]:
    """Barcodes of one patient and sample type compare by vial, portion, analyte, plate."""
    return str(record.barcode), record.file_id, record.file_name


def _kind_rank(record: FileRecord) -> int:
    kind = record.barcode.kind if record.barcode is not None else None
    return _UNKNOWN_KIND if kind is None else _KINDS[kind]


def _area(record: FileRecord, areas: Mapping[str, float]) -> float | None:
    names = (record.file_name, record.file_id, str(record.barcode))
    return next((areas[name] for name in names if name in areas), None)


def _missing(
    slides: Sequence[FileRecord], counts: Sequence[FileRecord], need: Need
) -> Reason | None:
    if not slides and need in {"both", "slides"}:
        return "patient without slide"
    if not counts and need in {"both", "expression"}:
        return "patient without expression"
    return None


def _drop(record: FileRecord, reason: Reason, detail: str = "", kept: str = "") -> Dropped:
    return Dropped(
        file_id=record.file_id,
        file_name=record.file_name,
        patient_id=record.patients[0] if len(record.patients) == 1 else "",
        reason=reason,
        detail=detail,
        kept=kept,
    )


def _row(patient: str, slides: Sequence[FileRecord], counts: Sequence[FileRecord]) -> ManifestRow:
    files = (*slides, *counts)
    barcode = files[0].barcode
    project = next((r.project for r in files if r.project), "")
    return ManifestRow(
        patient_id=patient,
        cancer_type=CANCER_TYPES.get(project, project.removeprefix("TCGA-")),
        site=barcode.tss if barcode is not None else "",
        slides=tuple(r.path for r in slides),
        expression=counts[0].path if counts else "",
        aliquot=str(counts[0].barcode) if counts else "",
        md5=counts[0].md5 if counts else "",
    )
