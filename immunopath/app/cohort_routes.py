"""The cohort tab: the worklist and, behind each line, the case's report."""

from dataclasses import dataclass
from math import ceil

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from immunopath.app.answers import FORMATS, report_response, report_text, why_no_fhir
from immunopath.app.cohort_folder import PER_PAGE, CohortFolder
from immunopath.app.pages import html_page
from immunopath.domain.cohort import CaseRecord
from immunopath.domain.errors import InputError
from immunopath.reporting.cohort_tables import why_absent


class NoSuchCase(InputError):
    """The address names no case of the cohort."""


@dataclass(frozen=True)
class CohortDesk:
    """Answers the requests of the cohort tab; folder None = the page was started without one."""

    folder: CohortFolder | None

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/cohort", self.worklist),
            Route("/cohort/{stem}", self.case),
            Route("/cohort/{stem}/report.{format}", self.report),
        ]

    def worklist(self, request: Request) -> Response:
        """Return a page of the worklist, with ``?find=`` only the cases whose id holds a text."""
        if self.folder is None:
            return html_page(request, "cohort.html.j2", tab="cohort", cohort=None)
        cohort = self.folder.read()
        wanted = request.query_params.get("find", "").strip()
        lines = [line for line in cohort.lines if wanted.lower() in line["case_id"].lower()]
        pages = max(1, ceil(len(lines) / PER_PAGE))
        page = min(max(1, _number(request.query_params.get("page", "1"))), pages)
        return html_page(
            request,
            "cohort.html.j2",
            tab="cohort",
            cohort=cohort,
            find=wanted,
            found=len(lines),
            page=page,
            pages=pages,
            lines=lines[(page - 1) * PER_PAGE : page * PER_PAGE],
            basis=next((ln["exploratory_basis"] for ln in lines if ln["exploratory_basis"]), ""),
        )

    def case(self, request: Request) -> Response:
        """Return the page of one case."""
        folder, record = self._record(request)
        cohort = folder.read()
        line = next((ln for ln in cohort.lines if ln["case_id"] == record.case_id), None)
        return html_page(
            request,
            "cohort_case.html.j2",
            tab="cohort",
            record=record,
            stem=request.path_params["stem"],
            line=line,
            why_absent=why_absent(record),
            n=len(cohort.lines),
            problem=_problem(folder, record),
            why_no_fhir=why_no_fhir(),
        )

    def report(self, request: Request) -> Response:
        """Return the stored report, as a file with ``?download=1``."""
        folder, record = self._record(request)
        name = str(request.path_params["format"])
        if name not in FORMATS:
            raise NoSuchCase(f"{name}: is no kind of report")
        text = folder.stored(record, FORMATS[name][1])
        if text is None:
            text = report_text(folder.report(record), name)
        download = "download" in request.query_params
        return report_response(text, record.case_id, name, download=download)

    def _record(self, request: Request) -> tuple[CohortFolder, CaseRecord]:
        """Return the record that an address names: looked up, never made a path of."""
        stem = str(request.path_params["stem"])
        record = None if self.folder is None else self.folder.read().records.get(stem)
        if self.folder is None or record is None:
            raise NoSuchCase("there is no such case in this cohort")
        return self.folder, record


def _problem(folder: CohortFolder, record: CaseRecord) -> str:
    """Return why the case's report cannot be shown, or an empty text."""
    if not record.files:
        return ""
    try:
        folder.stored(record, ".html" if record.file(".html") else ".json")
    except InputError as error:
        return str(error)
    return ""


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 9 else 1
