"""The batcher: many callers, one forward pass; memory, errors and cancellation."""

import gc
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest

from immunopath.domain.errors import EngineError, EngineUnavailable
from immunopath.models.foundation.batcher import Batcher, out_of_memory


class Recorder:
    """Doubles numbers; remembers batch sizes; can be held and can run out of memory."""

    def __init__(self, fits: int = 1000, bad: object = None) -> None:
        self.sizes: list[int] = []
        self.threads: set[int] = set()
        self.open = threading.Event()
        self.open.set()
        self.started = threading.Event()
        self.fits, self.bad = fits, bad

    def __call__(self, batch: Sequence[int]) -> list[int]:
        self.started.set()
        self.open.wait(30)
        self.threads.add(threading.get_ident())
        if len(batch) > self.fits:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.sizes.append(len(batch))
        if self.bad in batch:
            raise ValueError(f"bad request {self.bad}")
        return [2 * n for n in batch]


def eventually(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + 30
    while not true():
        assert time.monotonic() < limit, "never came true"
        time.sleep(0.002)


def test_requests_of_many_callers_share_a_batch() -> None:
    run = Recorder()
    batcher = Batcher(run, max_size=8, max_wait_s=30)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: batcher.map([n]), range(8)))
    assert answers == [[2 * n] for n in range(8)]
    assert run.sizes == [8]
    batcher.close()


def test_a_batch_does_not_wait_longer_than_it_may() -> None:
    run = Recorder()
    batcher = Batcher(run, max_size=1000, max_wait_s=0.01)
    started = time.monotonic()
    assert batcher.map([1, 2, 3]) == [2, 4, 6]
    assert time.monotonic() - started < 10
    batcher.close()


def test_no_batch_is_larger_than_allowed_and_order_is_kept() -> None:
    run = Recorder()
    batcher = Batcher(run, max_size=4, max_wait_s=0.05)
    assert batcher.map(list(range(11))) == [2 * n for n in range(11)]
    assert max(run.sizes) <= 4
    assert len(run.threads) == 1
    batcher.close()


def test_out_of_memory_halves_the_batch_and_goes_on() -> None:
    run = Recorder(fits=2)
    freed: list[bool] = []
    batcher = Batcher(run, max_size=8, max_wait_s=30, freed=lambda: freed.append(True))
    assert batcher.map(list(range(8))) == [2 * n for n in range(8)]
    assert run.sizes == [2, 2, 2, 2]
    assert freed
    assert batcher.size == 2  # later batches stay that small
    batcher.close()


class Activations:
    """Stands for what a forward pass holds."""


@pytest.mark.parametrize("short", [True, False])
def test_nothing_of_a_failed_batch_is_held_at_the_next_try(short: bool) -> None:
    refs: list[weakref.ref[Activations]] = []
    alive: list[int] = []

    def forward(held: Activations) -> None:
        try:
            raise RuntimeError("CUDA out of memory" if short else "shape mismatch")
        except RuntimeError as error:
            raise RuntimeError(str(error)) from error

    def run(batch: Sequence[int]) -> list[int]:
        alive.append(sum(ref() is not None for ref in refs))
        held = Activations()
        refs.append(weakref.ref(held))
        if len(batch) > 1:
            forward(held)
        return [2 * n for n in batch]

    def freed() -> None:
        alive.append(sum(ref() is not None for ref in refs))

    gc.disable()  # what only a collection would find is held too long
    try:
        batcher = Batcher(run, max_size=4, max_wait_s=30, freed=freed)
        assert batcher.map([1, 2, 3, 4]) == [2, 4, 6, 8]
    finally:
        gc.enable()
    assert len(alive) > 4
    assert set(alive) == {0}
    batcher.close()


def test_freeing_that_fails_costs_no_answer() -> None:
    def freed() -> None:
        raise RuntimeError("the driver is gone")

    batcher = Batcher(Recorder(fits=1), max_size=2, max_wait_s=30, freed=freed)
    futures = [batcher.submit(n) for n in (1, 2)]
    assert [future.result(30) for future in futures] == [2, 4]
    batcher.close()


def test_what_ends_a_thread_reaches_every_caller_and_the_engine_lives() -> None:
    def run(batch: Sequence[int]) -> list[int]:
        if 0 in batch:
            raise SystemExit("out of here")
        return [2 * n for n in batch]

    batcher = Batcher(run, max_size=2, max_wait_s=30)
    futures = [batcher.submit(n) for n in (0, 1)]
    for future in futures:
        assert isinstance(future.exception(30), SystemExit)
    assert [batcher.submit(n) for n in (2, 3)][1].result(30) == 6
    batcher.close()


def test_a_worker_that_died_is_replaced() -> None:
    batcher = Batcher(Recorder(), max_size=1)
    assert batcher.submit(1).result(30) == 2
    batcher.close()
    batcher._closed = False  # its worker has ended
    assert batcher.submit(2).result(30) == 4
    batcher.close()


def test_one_request_that_does_not_fit_is_a_named_error_and_the_engine_lives() -> None:
    run = Recorder(fits=0)
    batcher = Batcher(run, max_size=4, max_wait_s=0.01)
    with pytest.raises(EngineUnavailable, match="not enough memory for one request"):
        batcher.map([1, 2])
    run.fits = 10
    assert batcher.map([3]) == [6]
    batcher.close()


def test_a_bad_request_spoils_no_other() -> None:
    run = Recorder(bad=3)
    batcher = Batcher(run, max_size=4, max_wait_s=30)
    futures = [batcher.submit(n) for n in (1, 2, 3, 4)]
    assert [f.result(30) for i, f in enumerate(futures) if i != 2] == [2, 4, 8]
    with pytest.raises(ValueError, match="bad request 3"):
        futures[2].result(30)
    batcher.close()


def test_a_full_queue_holds_callers_back() -> None:
    run = Recorder()
    run.open.clear()
    batcher = Batcher(run, max_size=1, max_wait_s=0, max_queue=2)
    first = batcher.submit(0)
    eventually(run.started.is_set)
    queued = [batcher.submit(n) for n in (1, 2)]
    late = threading.Thread(target=lambda: queued.append(batcher.submit(3)), daemon=True)
    late.start()
    time.sleep(0.05)
    assert late.is_alive()  # held back: the queue is full
    run.open.set()
    late.join(30)
    assert not late.is_alive()
    assert [f.result(30) for f in (first, *queued)] == [0, 2, 4, 6]
    batcher.close()


def test_a_cancelled_request_is_never_run() -> None:
    run = Recorder()
    run.open.clear()
    batcher = Batcher(run, max_size=1, max_wait_s=0)
    running = batcher.submit(1)
    eventually(run.started.is_set)
    waiting = batcher.submit(2)
    assert waiting.cancel()
    run.open.set()
    assert running.result(30) == 2
    assert batcher.map([5]) == [10]
    assert run.sizes == [1, 1]
    batcher.close()


def test_closing_leaves_nobody_waiting() -> None:
    run = Recorder()
    run.open.clear()
    batcher = Batcher(run, max_size=1, max_wait_s=0)
    running = batcher.submit(1)
    eventually(run.started.is_set)
    waiting = batcher.submit(2)
    caught: list[BaseException] = []

    def ask() -> None:
        try:
            batcher.map([3, 4])
        except EngineUnavailable as error:
            caught.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    threading.Timer(0.05, run.open.set).start()
    eventually(lambda: len(batcher._queue) == 3)
    batcher.close()
    assert running.result(30) == 2  # what ran is finished
    with pytest.raises(CancelledError):
        waiting.result(30)
    asking.join(30)
    assert len(caught) == 1
    with pytest.raises(EngineUnavailable, match="closed"):
        batcher.submit(9)
    assert not any(t.name == "batcher" and t.is_alive() for t in threading.enumerate())


def test_an_error_leaves_nothing_of_the_call_in_the_queue() -> None:
    ran: list[int] = []
    go_on = threading.Event()

    def run(batch: Sequence[int]) -> list[int]:
        ran.extend(batch)
        if 0 in batch:
            raise ValueError("bad request 0")
        go_on.wait(30)  # so that the caller meets its error while the rest still waits
        return list(batch)

    batcher = Batcher(run, max_size=1, max_wait_s=0)
    with pytest.raises(ValueError, match="bad request"):
        batcher.map(list(range(100)))
    go_on.set()
    eventually(lambda: not batcher._queue)
    batcher.close()
    assert ran in ([0], [0, 1])


def test_answers_must_match_the_requests() -> None:
    def short(batch: Sequence[int]) -> list[int]:
        return []

    batcher: Batcher[int, int] = Batcher(short, max_size=2)
    with pytest.raises(EngineError, match="0 answers for 1 requests"):
        batcher.map([1])
    batcher.close()


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA out of memory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 8 bytes"), True),
        (RuntimeError("shape mismatch"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_counts_as_out_of_memory(error: Exception, is_memory: bool) -> None:
    assert out_of_memory(error) is is_memory


def test_torch_says_it_in_its_own_class() -> None:
    torch = pytest.importorskip("torch")
    assert out_of_memory(torch.OutOfMemoryError("no"))


@pytest.mark.parametrize("wrong", [{"max_size": 0}, {"max_queue": 0}, {"max_wait_s": -1}])
def test_senseless_limits_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="max_size"):
        Batcher(Recorder(), **({"max_size": 1} | wrong))  # type: ignore[arg-type]
