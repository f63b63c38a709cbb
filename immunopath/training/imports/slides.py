"""Which patient a slide belongs to, by the names that a table of samples gives."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from immunopath.domain.errors import CaseFileError, DuplicatePatient, first_few
from immunopath.domain.words import counted
from immunopath.training.imports.vectors import SlideVectors
from immunopath.training.samples import Sample

SUFFIXES: Final = (
    ".ome.tiff", ".ome.tif", ".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".bif", ".czi",
    ".vms", ".vmu", ".svslide", ".isyntax", ".dcm", ".png", ".jpg", ".jpeg",
)  # fmt: skip
_BARCODE: Final = "TCGA-"


def slide_name(text: str) -> str:
    """Return the name of a slide without folders and without the suffix of its format."""
    name = PurePosixPath(text.replace("\\", "/")).name
    low = name.lower()
    suffix = next((end for end in SUFFIXES if low.endswith(end) and low != end), "")
    return name[: len(name) - len(suffix)]


def slide_names(path: Path, samples: Sequence[Sample]) -> dict[str, str]:
    """Return the patient of every slide name, and of every patient id that is no slide's name.

    Raises `CaseFileError` for a name that two patients give.
    """
    owner: dict[str, str] = {}
    for sample in samples:
        for slide in sample.slides:
            first = owner.setdefault(slide_name(slide), sample.patient_id)
            if first != sample.patient_id:
                raise CaseFileError(
                    f"{path}: slide {slide!r} is of {first!r} and of {sample.patient_id!r}; "
                    "a slide has one patient"
                )
    for sample in samples:
        owner.setdefault(sample.patient_id, sample.patient_id)
    return owner


def patient_of(names: Mapping[str, str], slide: str) -> str | None:
    """Return the patient of a slide, None for an unknown one.

    A TCGA slide is also known by its barcode alone, without the UUID behind the dot.
    """
    name = slide_name(slide)
    if name in names:
        return names[name]
    return names.get(name.split(".")[0]) if name.startswith(_BARCODE) else None


def place_slides(
    path: Path, samples: Sequence[Sample], slides: Sequence[SlideVectors]
) -> list[tuple[str, SlideVectors]]:
    """Return every slide with its patient, in the order of the samples and then of the slides.

    path: of the table of samples. Raises `CaseFileError` for slides that no patient has,
    `DuplicatePatient` for a slide that comes twice.
    """
    names = slide_names(path, samples)
    owner = {found.slide: patient_of(names, found.slide) for found in slides}
    unknown = [slide for slide, patient in owner.items() if patient is None]
    if unknown:
        named = first_few([repr(slide) for slide in unknown])
        raise CaseFileError(
            f"{path}: no patient has {len(unknown)} of {counted(len(owner), 'slide')} ({named}); "
            "name them under 'slides' of their patient, or leave their files out"
        )
    _refuse_twins(slides)
    order = {sample.patient_id: place for place, sample in enumerate(samples)}
    placed = [(str(owner[found.slide]), found) for found in slides]
    return sorted(placed, key=lambda pair: (order[pair[0]], pair[1].slide))


def _refuse_twins(slides: Sequence[SlideVectors]) -> None:
    """One slide in two files would count twice; equal vectors under two names would leak."""
    names: dict[str, Path] = {}
    contents: dict[str, SlideVectors] = {}
    for found in slides:
        if found.slide in names:
            raise DuplicatePatient(
                f"slide {found.slide!r} comes twice, from {names[found.slide]} and {found.path}; "
                "leave one out"
            )
        names[found.slide] = found.path
        if not len(found):
            continue
        digest = hashlib.sha256(found.rows.tobytes()).hexdigest()
        twin = contents.setdefault(digest, found)
        if twin is not found:
            raise DuplicatePatient(
                f"slides {twin.slide!r} and {found.slide!r} hold the same vectors: one slide under "
                "two names; leave one out"
            )
