"""Slides that wait for a person to pick regions: one a session, few in all, each for a while."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic

from immunopath.app.uploads import Limits, UploadFolder
from immunopath.domain.errors import ImmunoPathError, InputError
from immunopath.imaging.slides.pick import Offer


class ShelfFull(ImmunoPathError):
    """As many slides wait as may wait."""


class SlideGone(InputError):
    """The slide was deleted: its time was over, or its run has begun."""


@dataclass(frozen=True)
class HeldSlide:
    """A slide and what it offers. thumbnail: JPEG; mpp: as stated; until: when it goes, seconds."""

    session: str
    folder: UploadFolder
    offer: Offer
    thumbnail: bytes
    mpp: float | None
    until: float
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    reading: Lock = field(default_factory=Lock)
    """Held while its file is read, so that it is not deleted under a reader."""


class SlideShelf:
    """Slides of all sessions. An id is of no use without the session that made it."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._held: dict[str, HeldSlide] = {}
        self._places = 0
        self._lock = Lock()

    @contextmanager
    def place(self, session: str) -> Iterator[None]:
        """Hold a place while a slide arrives; the session's earlier slide goes.

        Raises `ShelfFull`.
        """
        self.sweep()
        with self._lock:
            mine = [held for held in self._held.values() if held.session == session]
            others = len(self._held) - len(mine)
            if self._places + others >= self._limits.max_slides:
                raise ShelfFull(
                    "too many slides wait for a choice of regions already; try again in a few "
                    "minutes, or analyse without choosing"
                )
            self._places += 1
        try:
            self._drop(mine)
            yield
        finally:
            with self._lock:
                self._places -= 1

    def put(
        self, session: str, folder: UploadFolder, offer: Offer, thumbnail: bytes, mpp: float | None
    ) -> HeldSlide:
        """Keep a slide; its folder is the shelf's until it is taken."""
        until = self._clock() + self._limits.slide_s
        held = HeldSlide(session, folder, offer, thumbnail, mpp, until)
        with self._lock:
            mine = [other for other in self._held.values() if other.session == session]
            self._held[held.id] = held
        self._drop(mine)  # of a session that sent two at once
        return held

    def find(self, session: str, slide_id: str) -> HeldSlide:
        """Return the session's slide; raises `SlideGone`."""
        self.sweep()
        with self._lock:
            held = self._held.get(slide_id)
        if held is None or not secrets.compare_digest(held.session, session):
            raise SlideGone(
                "the slide is not kept (any more); show its tiles again, or analyse it as it is"
            )
        return held

    def take(self, held: HeldSlide) -> None:
        """Hand the folder over: who takes it deletes it. Raises `SlideGone` if another did."""
        with self._lock:
            if self._held.pop(held.id, None) is None:
                raise SlideGone("the slide was deleted a moment ago; show its tiles again")

    def drop(self, held: HeldSlide) -> None:
        """Delete a slide."""
        self._drop([held])

    def sweep(self) -> None:
        """Delete the slides whose time is over."""
        with self._lock:
            now = self._clock()
            old = [held for held in self._held.values() if now >= held.until]
        self._drop(old)

    def close(self) -> None:
        """Delete all."""
        with self._lock:
            held = list(self._held.values())
        self._drop(held)

    def _drop(self, slides: list[HeldSlide]) -> None:
        for held in slides:
            with self._lock:
                mine = self._held.pop(held.id, None) is not None
            if mine:  # else it was taken: its folder is a run's
                with held.reading:
                    held.folder.discard()
