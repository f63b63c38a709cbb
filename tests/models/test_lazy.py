"""Engines and atlases are loaded when first asked for, once, and a failure stays a failure."""

import gc
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from weakref import WeakSet

import pytest

from immunopath.domain.errors import EngineError, EngineSpecError, EngineUnavailable
from immunopath.models.lazy import LazyAtlas, LazyEngine
from immunopath.models.protocols import EngineInfo
from immunopath.models.registry import ROLES, Role
from immunopath.models.spec import EngineSpec


def lazy(role: Role, text: str = "embedded") -> LazyEngine:
    return LazyEngine(role, EngineSpec.parse(text), "cpu")


@pytest.mark.parametrize("role", ROLES)
def test_nothing_is_loaded_before_it_is_asked_for(role: Role) -> None:
    engine = lazy(role)
    assert engine.loaded_info() is None
    assert engine.get() is engine.get()


@pytest.mark.parametrize("role", ["predictor", "phenotype", "embedder"])
def test_a_loaded_engine_says_what_it_is(role: Role) -> None:
    engine = lazy(role)
    engine.get()
    info = engine.loaded_info()
    assert isinstance(info, EngineInfo)
    assert info.role == role
    assert info.weights_digest is not None
    assert len(info.weights_digest) == 64


def test_agents_that_ask_at_once_get_one_engine() -> None:
    engine = lazy("embedder")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: engine.get(), range(16)))
    assert len({id(each) for each in found}) == 1


@pytest.mark.parametrize("text", ["none", "medgemma"])
def test_an_absent_engine_is_refused_each_time_with_the_same_error(text: str) -> None:
    engine = lazy("predictor", text)
    caught = []
    for _ in range(3):
        with pytest.raises(EngineUnavailable) as error:
            engine.get()
        caught.append(error.value)
    assert len({(type(each), str(each)) for each in caught}) == 1
    assert engine.loaded_info() is None


class Held:
    """Stands for the pixels of a case."""


@pytest.mark.parametrize("text", ["none", "medgemma"])
def test_a_failure_that_is_remembered_keeps_nothing_of_who_asked(text: str) -> None:
    engine, alive = lazy("predictor", text), WeakSet[Held]()

    def ask() -> None:
        pixels = Held()
        alive.add(pixels)
        with suppress(EngineUnavailable):
            engine.get()

    for _ in range(3):
        ask()
    gc.collect()
    assert len(alive) == 0


def test_a_missing_package_is_remembered_until_the_engine_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The engine does not try again for every case of a cohort, but a new run may."""
    engine = lazy("embedder")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "immunopath.models.embedded.embedder", None)
        with pytest.raises(EngineUnavailable, match="is not installed"):
            engine.get()
    with pytest.raises(EngineError):
        engine.get()
    engine.close()
    assert engine.get() is not None


def test_wrong_options_are_an_error_of_the_caller_not_of_the_engine() -> None:
    with pytest.raises(EngineSpecError, match="quant"):
        lazy("predictor", "embedded,quant=nf4").get()


def test_closing_lets_the_engine_go_and_the_next_one_is_new() -> None:
    engine = lazy("predictor")
    first = engine.get()
    engine.close()
    assert engine.loaded_info() is None
    assert engine.get() is not first
    engine.close()
    engine.close()


def test_the_shipped_atlas_is_opened_once() -> None:
    atlas = LazyAtlas()
    assert atlas.thumbnails({"any"}) == {}
    assert atlas.get() is atlas.get()
    assert len(atlas.get()) > 0


def test_thumbnails_belong_to_entries_of_the_atlas_and_are_jpeg() -> None:
    atlas = LazyAtlas()
    known = {entry.entry_id for entry in atlas.get().entries}
    pictures = atlas.thumbnails(known)
    assert pictures
    assert set(pictures) <= known
    assert all(data.startswith(b"\xff\xd8") for data in pictures.values())


def test_a_missing_atlas_is_looked_for_again(tmp_path: Path) -> None:
    """A folder may appear between two cases: unlike an engine, nothing is remembered."""
    atlas = LazyAtlas(tmp_path / "mine")
    for _ in range(2):
        with pytest.raises(EngineUnavailable, match="no atlas here"):
            atlas.get()
    assert atlas.thumbnails({"any"}) == {}
