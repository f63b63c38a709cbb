"""Requests of many cases in one forward pass: one queue and one worker per engine.

Cases run in threads of their own and wait for their answers; the worker takes what has gathered,
at most `max_size` requests, at the latest `max_wait_s` after the first. A full queue holds callers
back. A batch that does not fit into memory is halved, and later batches stay that small.
"""

import threading
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Generic, TypeVar

from immunopath.domain.errors import EngineError, EngineUnavailable, first_line

Q = TypeVar("Q")
A = TypeVar("A")


@dataclass(frozen=True)
class _Job(Generic[Q, A]):
    request: Q
    future: "Future[A]"


class Batcher(Generic[Q, A]):
    """Gathers single requests into calls of `run`, which answers a batch in order.

    `run` is called from one thread only. `freed` is called after a batch ran out of memory, to
    give cached memory back, when nothing of that batch is held any more. The worker starts with
    the first request, and anew if it died; it is a daemon and keeps no process alive.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Q]], Sequence[A]],
        *,
        max_size: int,
        max_wait_s: float = 0.02,
        max_queue: int = 256,
        freed: Callable[[], None] | None = None,
    ) -> None:
        if max_size < 1 or max_queue < 1 or max_wait_s < 0:
            raise ValueError("a batcher needs max_size >= 1, max_queue >= 1 and max_wait_s >= 0")
        self._run, self._freed = run, freed
        self._size, self._wait, self._max_queue = max_size, max_wait_s, max_queue
        self._queue: deque[_Job[Q, A]] = deque()
        self._state = threading.Condition()
        self._worker: threading.Thread | None = None
        self._closed = False

    @property
    def size(self) -> int:
        """Largest batch; halved whenever one ran out of memory."""
        return self._size

    def submit(self, request: Q) -> "Future[A]":
        """Queue one request, waiting while the queue is full. Raises `EngineUnavailable`."""
        job: _Job[Q, A] = _Job(request, Future())
        with self._state:
            while len(self._queue) >= self._max_queue and not self._closed:
                self._state.wait()
            if self._closed:
                raise EngineUnavailable("the engine was closed")
            self._queue.append(job)
            if self._worker is None or not self._worker.is_alive():
                self._worker = threading.Thread(target=self._work, daemon=True, name="batcher")
                self._worker.start()
            self._state.notify_all()
        return job.future

    def map(self, requests: Sequence[Q]) -> list[A]:
        """Return the answers in order; on any error or interrupt nothing of it stays queued.

        Raises what `run` raised for a request, and `EngineUnavailable` when the engine is closed.
        """
        futures: list[Future[A]] = []
        try:
            futures.extend(self.submit(request) for request in requests)
            return [future.result() for future in futures]
        except CancelledError as error:
            raise EngineUnavailable("the engine was closed") from error
        finally:
            for future in futures:
                future.cancel()

    def close(self) -> None:
        """Cancel what waits and end the worker; the batch that runs is finished first."""
        with self._state:
            self._closed = True
            waiting = list(self._queue)
            self._queue.clear()
            self._state.notify_all()
            worker = self._worker
        for job in waiting:
            job.future.cancel()
        if worker is not None and worker is not threading.current_thread():
            worker.join(timeout=60)

    def _work(self) -> None:
        while True:
            batch = self._gather()
            if not batch:
                return
            live = [job for job in batch if job.future.set_running_or_notify_cancel()]
            try:
                if live:
                    self._answer(live)
            except BaseException as error:  # noqa: BLE001 - not swallowed: the callers get it
                for job in live:
                    if not job.future.done():
                        job.future.set_exception(error)

    def _gather(self) -> list[_Job[Q, A]]:
        """Wait for requests and take a batch; an empty one means that the batcher was closed."""
        with self._state:
            while not self._queue and not self._closed:
                self._state.wait()
            limit = monotonic() + self._wait
            while len(self._queue) < self._size and not self._closed:
                left = limit - monotonic()
                if left <= 0:
                    break
                self._state.wait(left)
            batch = [self._queue.popleft() for _ in range(min(self._size, len(self._queue)))]
            self._state.notify_all()
            return batch

    def _answer(self, jobs: Sequence[_Job[Q, A]]) -> None:
        """Answer every job or give it its error; one bad request spoils no other."""
        waiting = deque([jobs])
        while waiting:
            part = waiting.popleft()
            error = self._attempt(part)
            if error is None:
                continue
            short = out_of_memory(error)
            if short or len(part) > 1:
                # Its frames hold the batch's cache and activations, which the next try needs.
                _let_go(error)
            if short and self._freed is not None:
                # Its failure is not the callers': they get what the next try gives.
                with suppress(Exception):
                    self._freed()
            if len(part) == 1:
                part[0].future.set_exception(_told(error) if short else error)
                continue
            half = (len(part) + 1) // 2 if short else 1
            if short:
                self._size = min(self._size, half)
            pieces = [part[start : start + half] for start in range(0, len(part), half)]
            waiting.extendleft(reversed(pieces))

    def _attempt(self, jobs: Sequence[_Job[Q, A]]) -> Exception | None:
        """Answer all jobs, or none of them and return why."""
        try:
            answers = self._run([job.request for job in jobs])
            if len(answers) != len(jobs):
                raise EngineError(f"{len(answers)} answers for {len(jobs)} requests")
        except Exception as error:  # noqa: BLE001 - not swallowed: the caller who waits gets it
            return error
        for job, answer in zip(jobs, answers, strict=True):
            job.future.set_result(answer)
        return None


def _let_go(error: BaseException) -> None:
    """Free what the frames behind an error, and behind those that led to it, hold."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        traceback.clear_frames(one.__traceback__)
        one.with_traceback(None)
        waiting += [one.__cause__, one.__context__]


def _told(error: Exception) -> EngineUnavailable:
    """Return what a caller is told whose request does not fit into memory alone."""
    told = EngineUnavailable(
        f"not enough memory for one request ({first_line(error, 160)}); use quant=nf4, "
        "another device or fewer images per prompt"
    )
    told.__cause__ = error
    return told


def out_of_memory(error: BaseException) -> bool:
    """Return whether an exception means that memory ran out, on a GPU or on the CPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text
    )
