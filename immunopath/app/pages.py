"""HTML pages of the app, and the session that a browser is known by."""

import re
import secrets
from importlib.resources import files
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from immunopath.domain.errors import InputError
from immunopath.domain.report import RESEARCH_USE
from immunopath.reporting.page import served, style_sheet

COOKIE: Final = "immunopath_session"
_SESSION: Final = re.compile(r"[A-Za-z0-9_-]{43}")
HERE: Final = "immunopath.app"
STATIC: Final = {"app.css": "text/css", "app.js": "text/javascript", "pick.js": "text/javascript"}
"""The style sheet, then the scripts."""


def session_of(request: Request) -> str | None:
    """Return the session of the browser that asks, None for one that has not seen the page."""
    found = request.cookies.get(COOKIE, "")
    return found if _SESSION.fullmatch(found) else None


def required_session(request: Request) -> str:
    """Return the session; raises `InputError` for a browser that has not seen the page."""
    session = session_of(request)
    if session is None:
        raise InputError("the page is out of date; load it again")
    return session


def html_page(request: Request, template: str, status: int = 200, **values: Any) -> Response:  # noqa: ANN401
    """Return a page of `templates/`; a browser without a session gets one."""
    links = [f"/static/{name}" for name in STATIC]
    page = served(
        template,
        package=HERE,
        sheet=links[0],
        scripts=tuple(links[1:]),
        banner=RESEARCH_USE,
        **values,
    )
    answer = HTMLResponse(page, status)
    if session_of(request) is None:
        answer.set_cookie(COOKIE, secrets.token_urlsafe(32), httponly=True, samesite="strict")
    return answer


def static_file(request: Request) -> Response:
    """Return a file of the page itself."""
    name = str(request.path_params["name"])
    if name not in STATIC:
        return Response(status_code=404)
    text = files(HERE).joinpath("static", name).read_text("utf-8")
    if name == "app.css":
        text = style_sheet() + text  # the page looks like what it leads to
    return Response(text, media_type=STATIC[name])
