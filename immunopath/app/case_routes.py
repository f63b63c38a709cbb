"""The page of one case: the form, its run, its report."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from immunopath.app.answers import FORMATS, gone, report_response, report_text, why_no_fhir
from immunopath.app.case_form import Given, job_of, job_on_slide, received
from immunopath.app.clinical_form import FIELDS
from immunopath.app.engines import AS_STARTED, PROFILE_NAMES, Menu
from immunopath.app.examples import EXAMPLES, INVENTED
from immunopath.app.pages import html_page, required_session, session_of
from immunopath.app.runs import Job, Run, RunDesk
from immunopath.app.slide_shelf import SlideShelf
from immunopath.app.uploads import Limits, size_words
from immunopath.domain.region import MAX_REGIONS
from immunopath.models.registry import ROLES
from immunopath.reporting.rendered import RenderedReport


@dataclass(frozen=True)
class CaseDesk:
    """Answers the requests of the case page."""

    desk: RunDesk
    menu: Menu
    limits: Limits
    uploads: Path
    shelf: SlideShelf

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
            max_regions=MAX_REGIONS,
            today=date.today().isoformat(),
            profiles=PROFILE_NAMES,
            as_started=AS_STARTED,
            started=self.menu.started.profile,
            engines=[(role, self.menu.default_of(role), self.menu.offered(role)) for role in ROLES],
            why_no_fhir=why_no_fhir(),
        )

    async def start(self, request: Request) -> Response:
        """Take a case in and queue its run."""
        session = required_session(request)
        with self.desk.place():
            form = await received(request, self.limits)
            try:
                job = await run_in_threadpool(self._job, form, session)
            finally:
                await form.close()
            run = self.desk.submit(session, job)
        return JSONResponse({"run": run.id}, status_code=202)

    def _job(self, form: FormData, session: str) -> Job:
        given = Given.of(form)
        if given.text("slide"):
            return job_on_slide(given, self.menu, self.shelf, session)
        return job_of(given, self.menu, self.limits, self.uploads)

    def progress(self, request: Request) -> Response:
        """Return how far a run is."""
        run = self._run(request)
        if run is None:
            return gone()
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
            return gone()
        text = report_text(run.report, name)
        download = "download" in request.query_params
        return report_response(text, run.case_id, name, download=download)

    def example(self, request: Request) -> Response:
        """Return the picture of an example."""
        found = EXAMPLES.get(str(request.path_params["name"]))
        return gone() if found is None else Response(found.shown(), media_type="image/png")

    def _run(self, request: Request) -> Run | None:
        session = session_of(request)
        return None if session is None else self.desk.find(session, request.path_params["run"])


def _shown(report: RenderedReport) -> dict[str, Any]:
    return {
        "case_id": report.case_id,
        "status": report.status.value,
        "reason": report.status_reason,
        "formats": list(FORMATS),
    }
