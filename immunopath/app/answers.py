"""Reports as answers to the browser, in every format that it can download."""

from typing import Final

from starlette.responses import JSONResponse, Response

from immunopath.app.guard import REPORT_POLICY
from immunopath.domain.errors import ImmunoPathError
from immunopath.domain.files import safe_name
from immunopath.reporting.rendered import RenderedReport

FORMATS: Final = {
    "html": ("text/html; charset=utf-8", ".html"),
    "json": ("application/json", ".json"),
    "md": ("text/markdown; charset=utf-8", ".md"),
    "fhir": ("application/fhir+json", ".fhir.json"),
}


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


def gone(what: str = "there is no such report (any more); run the case again") -> Response:
    """Return that an address leads nowhere (any more)."""
    return JSONResponse({"error": what}, 404)


def why_no_fhir() -> str:
    """Return why no FHIR bundle can be made here, or an empty text."""
    from immunopath.reporting.fhir import require_fhir

    try:
        require_fhir()
    except ImmunoPathError as error:
        return str(error)
    return ""
