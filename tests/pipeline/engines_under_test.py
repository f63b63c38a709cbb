"""Engines that misbehave on purpose, with the same protocol as the real ones."""

from threading import Event, Lock

from immunopath.domain.errors import EngineUnavailable
from immunopath.models.protocols import EngineInfo
from immunopath.models.registry import build_engine
from immunopath.models.spec import EngineSpec


def embedder_info() -> EngineInfo:
    """The shipped embedder's, so that the atlas takes the misbehaving engine for its own."""
    info: EngineInfo = build_engine("embedder", EngineSpec(name="embedded"), "cpu").info
    return info


class Handle:
    """A handle whose engine is given, absent or broken."""

    def __init__(self, engine: object = None, error: Exception | None = None) -> None:
        self.engine, self.error = engine, error

    def get(self) -> object:
        if self.error is not None:
            raise self.error
        return self.engine

    def loaded_info(self) -> EngineInfo | None:
        return None


def absent(role: str) -> Handle:
    return Handle(error=EngineUnavailable(f"{role} is absent"))


class Failing:
    """Every call raises something that no engine documents."""

    def __init__(self) -> None:
        self.info = embedder_info()

    def predict(self, source: object) -> object:
        raise ZeroDivisionError("broken\nengine")

    score = embed = profiles = predict


class Stuck:
    """Every call waits until it is released."""

    def __init__(self) -> None:
        self.released, self.info = Event(), embedder_info()

    def predict(self, source: object) -> object:
        self.released.wait(60)
        raise EngineUnavailable("released")

    score = embed = profiles = predict


class Counter:
    """Counts events by agent, from any thread."""

    def __init__(self) -> None:
        self._lock, self.started = Lock(), list[str]()

    def __call__(self, event: dict[str, object]) -> None:
        if event["event"] == "started":
            with self._lock:
                self.started.append(str(event["agent"]))
