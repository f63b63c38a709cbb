"""What the browser sends of a case: received, checked, made a job. Nothing is judged twice here."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from immunopath.app.clinical_form import clinical_from_form
from immunopath.app.engines import Menu
from immunopath.app.examples import EXAMPLES, Example
from immunopath.app.runs import Job
from immunopath.app.slide_shelf import SlideShelf
from immunopath.app.uploads import Limits, UploadError, UploadFolder, check_count
from immunopath.domain.base import first_fault
from immunopath.domain.case import MAX_CASE_ID, Case, named_after
from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.errors import CaseFileError, InputError, OutputError, ResolutionError
from immunopath.domain.region import Region, refuse_outside, regions_of
from immunopath.domain.units import checked_mpp
from immunopath.pipeline.settings import Settings

MAX_FIELDS: Final = 64
MAX_FIELD_BYTES: Final = 300 * 1024


async def received(request: Request, limits: Limits) -> FormData:
    """Return the whole form; its images lie in unnamed temporary files until it is closed."""
    try:
        async with asyncio.timeout(limits.upload_s):
            return await request.form(
                max_files=limits.max_files + 1,
                max_fields=MAX_FIELDS,
                max_part_size=MAX_FIELD_BYTES,
            )
    except TimeoutError as error:
        raise UploadError("the images took too long to arrive; try again") from error
    except OSError as error:
        raise OutputError(f"the images cannot be kept for the run ({error.strerror})") from error


@dataclass(frozen=True)
class Given:
    """A form as it was received. example: that of `EXAMPLES` which stands in for no upload."""

    values: Mapping[str, str]
    uploads: tuple[UploadFile, ...]
    example: Example | None

    @classmethod
    def of(cls, form: FormData) -> "Given":
        """Sort the parts of a form."""
        values = {key: text for key, text in form.multi_items() if isinstance(text, str)}
        found = [item for item in form.getlist("images") if isinstance(item, UploadFile)]
        uploads = tuple(item for item in found if item.filename)
        example = None if uploads else EXAMPLES.get(values.get("example", ""))
        return cls(values, uploads, example)

    @property
    def names(self) -> list[str]:
        """Names of the images, the example's when there is no upload."""
        return [str(item.filename) for item in self.uploads] or (
            [self.example.name] if self.example else []
        )

    def text(self, key: str) -> str:
        """Return a field without blanks around it, empty when it was not sent."""
        return self.values.get(key, "").strip()

    def fill(self, folder: UploadFolder) -> None:
        """Copy the images into a folder."""
        for item in self.uploads:
            folder.add(str(item.filename), item.file)
        if self.example is not None:
            folder.add(self.example.file, BytesIO(self.example.content()))


@dataclass(frozen=True)
class _Facts:
    """All of a case but its images."""

    settings: Settings
    as_of: date
    clinical: ClinicalContext
    mpp: float | None
    regions: tuple[Region, ...]

    @classmethod
    def of(cls, given: Given, menu: Menu) -> "_Facts":
        return cls(
            settings=menu.settings(given.values),
            as_of=_day(given.text("as_of")),
            clinical=clinical_from_form(given.values, given.values.get("yaml", "")),
            mpp=mpp_of(given.text("mpp")),
            regions=regions_of(given.text("regions")),
        )

    def job(self, given: Given, folder: UploadFolder) -> Job:
        """Return the job on the images of a folder."""
        return Job(self._case(given, folder.files), self.settings, self.as_of, folder)

    def _case(self, given: Given, files: Sequence[Path]) -> Case:
        case_id = given.text("case_id") or named_after(files[0])
        if len(case_id) > MAX_CASE_ID:
            raise InputError(f"case id: longer than {MAX_CASE_ID} characters")
        try:
            return Case(
                case_id=case_id,
                patient_id=given.text("patient_id")[:MAX_CASE_ID] or None,
                images=tuple(files),
                mpp=self.mpp,
                clinical=self.clinical,
                regions=self.regions,
            )
        except ValidationError as error:
            raise CaseFileError(first_fault(error, "case")) from error


def job_of(given: Given, menu: Menu, limits: Limits, parent: Path) -> Job:
    """Return the job on images that came with the form, now in a folder below `parent`."""
    check_count(given.names, limits)
    facts = _Facts.of(given, menu)
    folder = UploadFolder.below(parent)
    with ExitStack() as undoing:
        undoing.callback(folder.discard)
        given.fill(folder)
        job = facts.job(given, folder)
        undoing.pop_all()  # the images are the run's now
    return job


def job_on_slide(given: Given, menu: Menu, shelf: SlideShelf, session: str) -> Job:
    """Return the job on the slide that the session has on the shelf; it leaves the shelf last.

    Raises `SlideGone` for a slide that is not there (any more).
    """
    held = shelf.find(session, given.text("slide"))
    facts = _Facts.of(given, menu)
    refuse_outside(facts.regions, held.offer.size, held.folder.files[0].name)
    job = facts.job(given, held.folder)
    shelf.take(held)
    return job


def mpp_of(text: str) -> float | None:
    """Return a stated scale, None for an empty text; raises `ResolutionError`."""
    if not text:
        return None
    try:
        return checked_mpp(float(text.replace(",", ".")))
    except ValueError:
        raise ResolutionError(
            f"mpp {text[:40]!r}: is no number; give µm per pixel, e.g. 0.5"
        ) from None


def _day(text: str) -> date:
    if not text:
        return date.today()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"date {text[:40]!r}: is no date YYYY-MM-DD") from None
