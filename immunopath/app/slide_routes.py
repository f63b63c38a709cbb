"""A slide to pick regions of: it arrives, shows what it holds, and waits for the run."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Final

import cv2
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from immunopath.app.answers import gone
from immunopath.app.case_form import Given, mpp_of, received
from immunopath.app.pages import required_session, session_of
from immunopath.app.slide_shelf import HeldSlide, ShelfFull, SlideGone, SlideShelf
from immunopath.app.uploads import Limits, UploadError, UploadFolder
from immunopath.domain.errors import ImmunoPathError, UnexpectedFault
from immunopath.imaging.arrays import RGB
from immunopath.imaging.slides.pick import look_closer, offer_of
from immunopath.pipeline.faults import faults_told
from immunopath.reporting.text import scale_origin

LOG: Final = logging.getLogger("immunopath.app")
PATIENCE_S: Final = 5.0
CLOSE_PX: Final = 512
"""Longer side of a place that is looked at closer."""
_JPEG: Final = (cv2.IMWRITE_JPEG_QUALITY, 85)


@dataclass(frozen=True)
class SlideDesk:
    """Answers the requests about slides on the shelf. opening: one slide is opened at a time."""

    shelf: SlideShelf
    limits: Limits
    uploads: Path
    opening: Lock

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/slides", self.arrive, methods=["POST"]),
            Route("/slides/{slide}", self.forget, methods=["DELETE"]),
            Route("/slides/{slide}/thumbnail.jpg", self.thumbnail),
            Route("/slides/{slide}/{place:int}.jpg", self.closer),
        ]

    async def arrive(self, request: Request) -> Response:
        """Take a slide in and return what can be picked of it."""
        session = required_session(request)
        with self.shelf.place(session):
            form = await received(request, self.limits)
            try:
                held = await run_in_threadpool(self._held, form, session)
            finally:
                await form.close()
        return JSONResponse(_shown(held, self.limits))

    def thumbnail(self, request: Request) -> Response:
        """Return the slide as a picture."""
        held = self._find(request)
        return gone(_NONE) if held is None else _jpeg(held.thumbnail)

    def closer(self, request: Request) -> Response:
        """Return one of the places that are offered, as a picture."""
        held, number = self._find(request), int(request.path_params["place"])
        if held is None or number >= len(held.offer.places):
            return gone(_NONE)
        box = held.offer.places[number].box
        with self._turn(), held.reading, _telling(held.folder):
            path = held.folder.files[0]
            if not path.exists():  # deleted since it was found
                return gone(_NONE)
            return _jpeg(_encoded(look_closer(path, box, CLOSE_PX, held.mpp)))

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for the slide that is being opened, but not for long: threads are few."""
        if not self.opening.acquire(timeout=PATIENCE_S):
            raise ShelfFull("another slide is being opened; look at the square again in a moment")
        try:
            yield
        finally:
            self.opening.release()

    def forget(self, request: Request) -> Response:
        """Delete a slide."""
        held = self._find(request)
        if held is not None:
            self.shelf.drop(held)
        return Response(status_code=204)

    def _find(self, request: Request) -> HeldSlide | None:
        session = session_of(request)
        try:
            return self.shelf.find(session or "", request.path_params["slide"])
        except SlideGone:
            return None

    def _held(self, form: FormData, session: str) -> HeldSlide:
        given = Given.of(form)
        if len(given.names) != 1:
            raise UploadError("choose one slide to pick regions of")
        mpp = mpp_of(given.text("mpp"))
        folder = UploadFolder.below(self.uploads)
        with ExitStack() as undoing:
            undoing.callback(folder.discard)
            given.fill(folder)
            with self.opening, _telling(folder):
                offer = offer_of(folder.files[0], mpp)
            held = self.shelf.put(session, folder, offer, _encoded(offer.thumbnail), mpp)
            undoing.pop_all()  # the slide is the shelf's now
        return held


_NONE: Final = "the slide is not kept (any more); show its tiles again"


@contextmanager
def _telling(folder: UploadFolder) -> Iterator[None]:
    """Raise `UploadError` for whatever is wrong with a slide, without the folder's path."""
    try:
        with faults_told():
            yield
    except ImmunoPathError as error:
        if isinstance(error, UnexpectedFault):
            LOG.exception("a slide could not be opened")
        raise UploadError(folder.told(str(error))) from error


def _shown(held: HeldSlide, limits: Limits) -> dict[str, Any]:
    """Return what the page's script draws; boxes in level-0 pixels."""
    offer = held.offer
    return {
        "slide": held.id,
        "name": held.folder.files[0].name,
        "size": offer.size,
        "bounds": offer.bounds,
        "mpp": offer.resolution.mpp,
        "scale": f"{offer.resolution.mpp:.4g} µm/px, {scale_origin(offer.resolution.source)}",
        "side_um": offer.side_um,
        "tissue": round(offer.tissue, 4),
        "places": [[*place.box, round(place.tissue, 2)] for place in offer.places],
        "of": offer.of,
        "seconds": limits.slide_s,
    }


def _encoded(rgb: RGB) -> bytes:
    done, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), _JPEG)
    if not done:
        raise UploadError("the slide cannot be shown as a picture")
    return data.tobytes()


def _jpeg(data: bytes) -> Response:
    return Response(data, media_type="image/jpeg")
