"""The page of one case: the form, its run, its report."""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from immunopath.app.clinical_form import FIELDS, clinical_from_form
from immunopath.app.engines import AS_STARTED, PROFILE_NAMES, Menu
from immunopath.app.examples import EXAMPLES, INVENTED, Example
from immunopath.app.guard import REPORT_POLICY
from immunopath.app.pages import html_page, session_of
from immunopath.app.runs import Job, Run, RunDesk
from immunopath.app.uploads import Limits, UploadError, UploadFolder, check_count, size_words
from immunopath.domain.base import first_fault
from immunopath.domain.case import MAX_CASE_ID, Case, named_after
from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.errors import (
    CaseFileError,
    ImmunoPathError,
    InputError,
    OutputError,
    ResolutionError,
)
from immunopath.domain.files import safe_name
from immunopath.domain.units import checked_mpp
from immunopath.models.registry import ROLES
from immunopath.reporting.rendered import RenderedReport

MAX_FIELDS: Final = 64
MAX_FIELD_BYTES: Final = 300 * 1024
FORMATS: Final = {
    "html": ("text/html; charset=utf-8", ".html"),
    "json": ("application/json", ".json"),
    "md": ("text/markdown; charset=utf-8", ".md"),
    "fhir": ("application/fhir+json", ".fhir.json"),
}


@dataclass(frozen=True)
class CaseDesk:
    """Answers the requests of the case page."""

    desk: RunDesk
    menu: Menu
    limits: Limits
    uploads: Path

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/", self.form),
            Route("/runs", self.start, methods=["POST"]),
            Route("/runs/{run}", self.progress),
            Route("/runs/{run}", self.forget, methods=["DELETE"]),
            Route("/runs/{run}/report.{format}", self.report),
            Route("/examples/{name}", self.example),
        ]

    def form(self, request: Request) -> Response:
        """Return the page."""
        return html_page(
            request,
            "case.html.j2",
            tab="case",
            fields=FIELDS,
            examples=EXAMPLES,
            invented=dict(INVENTED),
            limits=self.limits,
            limit_words=size_words(self.limits.max_bytes),
            today=date.today().isoformat(),
            profiles=PROFILE_NAMES,
            as_started=AS_STARTED,
            started=self.menu.started.profile,
            engines=[(role, self.menu.default_of(role), self.menu.offered(role)) for role in ROLES],
            why_no_fhir=why_no_fhir(),
        )

    async def start(self, request: Request) -> Response:
        """Take a case in and queue its run."""
        session = session_of(request)
        if session is None:
            raise InputError("the page is out of date; load it again")
        with self.desk.place():
            form = await self._received(request)
            try:
                job = await run_in_threadpool(self._job, form)
            finally:
                await form.close()
            run = self.desk.submit(session, job)
        return JSONResponse({"run": run.id}, status_code=202)

    async def _received(self, request: Request) -> FormData:
        """Return the whole form; its images lie in unnamed temporary files until it is closed."""
        try:
            async with asyncio.timeout(self.limits.upload_s):
                return await request.form(
                    max_files=self.limits.max_files + 1,
                    max_fields=MAX_FIELDS,
                    max_part_size=MAX_FIELD_BYTES,
                )
        except TimeoutError as error:
            raise UploadError("the images took too long to arrive; try again") from error
        except OSError as error:
            raise OutputError(
                f"the images cannot be kept for the run ({error.strerror})"
            ) from error

    def _job(self, form: FormData) -> Job:
        values = {key: text for key, text in form.multi_items() if isinstance(text, str)}
        given = [item for item in form.getlist("images") if isinstance(item, UploadFile)]
        given = [item for item in given if item.filename]
        example = EXAMPLES.get(values.get("example", ""))
        names = [str(item.filename) for item in given]
        check_count(names or ([example.name] if example else []), self.limits)
        settings = self.menu.settings(values)
        as_of = _day(values.get("as_of", ""))
        clinical = clinical_from_form(values, values.get("yaml", ""))
        mpp = _mpp(values.get("mpp", ""))
        folder = UploadFolder.below(self.uploads)
        with ExitStack() as undoing:
            undoing.callback(folder.discard)
            _fill(folder, given, example)
            case = _case(values, folder, mpp, clinical)
            undoing.pop_all()  # the images are the run's now
        return Job(case, settings, as_of, folder)

    def progress(self, request: Request) -> Response:
        """Return how far a run is."""
        run = self._run(request)
        if run is None:
            return _gone()
        return JSONResponse(
            {
                "state": run.state,
                "ahead": self.desk.ahead(run),
                "events": list(run.events),
                "error": run.error,
                "report": None if run.report is None else _shown(run.report),
            }
        )

    def forget(self, request: Request) -> Response:
        """Delete a finished report."""
        run = self._run(request)
        if run is not None:
            self.desk.forget(run)
        return Response(status_code=204)

    def report(self, request: Request) -> Response:
        """Return a report in one of `FORMATS`, as a file with ``?download=1``."""
        run, name = self._run(request), str(request.path_params["format"])
        if run is None or run.report is None or name not in FORMATS:
            return _gone()
        text = report_text(run.report, name)
        download = "download" in request.query_params
        return report_response(text, run.case_id, name, download=download)

    def example(self, request: Request) -> Response:
        """Return an example image."""
        found = EXAMPLES.get(str(request.path_params["name"]))
        return _gone() if found is None else Response(found.content(), media_type="image/png")

    def _run(self, request: Request) -> Run | None:
        session = session_of(request)
        return None if session is None else self.desk.find(session, request.path_params["run"])


def report_text(report: RenderedReport, name: str) -> str:
    """Return a report as one of `FORMATS`."""
    makers = {
        "html": report.to_html,
        "json": report.to_json,
        "md": report.to_markdown,
        "fhir": report.to_fhir,
    }
    return makers[name]()


def report_response(text: str, case_id: str, name: str, *, download: bool) -> Response:
    """Return the text of a report as an answer, as a file with `download`."""
    media, suffix = FORMATS[name]
    headers = {"content-security-policy": REPORT_POLICY}
    if download:
        headers["content-disposition"] = f'attachment; filename="{safe_name(case_id)}{suffix}"'
    return Response(text.encode("utf-8", "backslashreplace"), media_type=media, headers=headers)


def _shown(report: RenderedReport) -> dict[str, Any]:
    return {
        "case_id": report.case_id,
        "status": report.status.value,
        "reason": report.status_reason,
        "formats": list(FORMATS),
    }


def _gone() -> Response:
    return JSONResponse({"error": "there is no such report (any more); run the case again"}, 404)


def why_no_fhir() -> str:
    """Return why no FHIR bundle can be made here, or an empty text."""
    from immunopath.reporting.fhir import require_fhir

    try:
        require_fhir()
    except ImmunoPathError as error:
        return str(error)
    return ""


def _fill(folder: UploadFolder, given: list[UploadFile], example: Example | None) -> None:
    for item in given:
        folder.add(str(item.filename), item.file)
    if not given and example is not None:
        folder.add(example.file, BytesIO(example.content()))


def _case(
    values: Mapping[str, str], folder: UploadFolder, mpp: float | None, clinical: ClinicalContext
) -> Case:
    case_id = values.get("case_id", "").strip() or named_after(folder.files[0])
    if len(case_id) > MAX_CASE_ID:
        raise InputError(f"case id: longer than {MAX_CASE_ID} characters")
    try:
        return Case(
            case_id=case_id,
            patient_id=values.get("patient_id", "").strip()[:MAX_CASE_ID] or None,
            images=tuple(folder.files),
            mpp=mpp,
            clinical=clinical,
        )
    except ValidationError as error:
        raise CaseFileError(first_fault(error, "case")) from error


def _mpp(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        return checked_mpp(float(text.strip().replace(",", ".")))
    except ValueError:
        raise ResolutionError(
            f"mpp {text.strip()[:40]!r}: is no number; give µm per pixel, e.g. 0.5"
        ) from None


def _day(text: str) -> date:
    if not text.strip():
        return date.today()
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise InputError(f"date {text.strip()[:40]!r}: is no date YYYY-MM-DD") from None
