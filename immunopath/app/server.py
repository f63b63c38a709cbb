"""The page as a server: put together here, served by uvicorn."""

import asyncio
import logging
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from threading import Lock
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from immunopath.app.bind import Binding
from immunopath.app.case_routes import CaseDesk
from immunopath.app.cohort_folder import CohortFolder
from immunopath.app.cohort_routes import CohortDesk, NoSuchCase
from immunopath.app.engines import EnginePool, Menu
from immunopath.app.guard import Guard
from immunopath.app.pages import html_page, static_file
from immunopath.app.runs import DeskFull, RunDesk
from immunopath.app.slide_routes import SlideDesk
from immunopath.app.slide_shelf import ShelfFull, SlideGone, SlideShelf
from immunopath.app.uploads import Limits, UploadTooLarge
from immunopath.domain.errors import ImmunoPathError

_STATUS: Final = {
    UploadTooLarge: 413,
    DeskFull: 503,
    ShelfFull: 503,
    SlideGone: 410,
    NoSuchCase: 404,
}
MAX_CONNECTIONS: Final = 64
SWEEP_S: Final = 30.0


@dataclass(frozen=True)
class Plan:
    """Everything the page is started with."""

    binding: Binding
    menu: Menu
    cohort: CohortFolder | None
    limits: Limits


def build_app(plan: Plan) -> Starlette:
    """Return the ASGI application. Its upload folder goes when it is shut down."""
    uploads = Path(tempfile.mkdtemp(prefix="immunopath-app-"))
    desk, shelf = RunDesk(EnginePool(), plan.limits), SlideShelf(plan.limits)
    case = CaseDesk(desk, plan.menu, plan.limits, uploads, shelf)
    slides = SlideDesk(shelf, plan.limits, uploads, Lock())
    routes = [*case.routes(), *slides.routes(), *CohortDesk(plan.cohort).routes()]

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        sweeper = asyncio.create_task(_sweep(desk, shelf, plan.limits))
        try:
            yield
        finally:
            sweeper.cancel()
            shelf.close()
            desk.close()
            shutil.rmtree(uploads, ignore_errors=True)

    return Starlette(
        routes=[*routes, Route("/static/{name}", static_file)],
        middleware=[
            Middleware(Guard, binding=plan.binding, max_bytes=plan.limits.max_bytes + (1 << 20))
        ],
        exception_handlers={
            ImmunoPathError: _said,
            HTTPException: _http,
            ClientDisconnect: _left,
            Exception: _unexpected,
        },
        lifespan=lifespan,
    )


async def _sweep(desk: RunDesk, shelf: SlideShelf, limits: Limits) -> None:
    """Let go what is over while nobody asks: a promise to delete holds for an idle page too."""
    while True:
        await asyncio.sleep(min(SWEEP_S, limits.slide_s, limits.keep_s))
        await run_in_threadpool(shelf.sweep)
        await run_in_threadpool(desk.sweep)


def serve(plan: Plan, listener: socket) -> None:
    """Serve on a bound socket until interrupted."""
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # the sender is told
    config = uvicorn.Config(
        build_app(plan),
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _said(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 400)
    return _answer(request, str(error), status)


def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    text = {404: "there is nothing at this address", 405: "this cannot be asked here"}
    detail = error.detail if isinstance(error, HTTPException) else ""
    return _answer(request, text.get(status, detail), status)


def _left(request: Request, error: Exception) -> Response:
    """Answer nobody: the browser went away while it was sending."""
    del request, error
    return Response(status_code=400)


def _unexpected(request: Request, error: Exception) -> Response:
    return _answer(request, f"unexpected {type(error).__name__}; the server's log says more", 500)


def _answer(request: Request, text: str, status: int) -> Response:
    """Answer the page's script with JSON, and a person with a page."""
    if "text/html" in request.headers.get("accept", ""):
        tab = "cohort" if request.url.path.startswith("/cohort") else "case"
        return html_page(request, "error.html.j2", status, tab=tab, message=text)
    return JSONResponse({"error": text}, status)
