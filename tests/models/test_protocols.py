"""The roles: every real engine and tile store fits its protocol, name for name."""

import inspect
from dataclasses import FrozenInstanceError, fields
from typing import Any

import numpy as np
import pytest
from pixel_store import pixels, store_of

from immunopath.agents.context import EngineHandle
from immunopath.domain.prediction import PhenotypeScores, PredictorResult
from immunopath.imaging.tiles import TileStore
from immunopath.models.lazy import LazyEngine
from immunopath.models.protocols import (
    Embedder,
    EngineInfo,
    NucleiTable,
    PhenotypeScorer,
    Prediction,
    Predictor,
    TileSource,
)
from immunopath.models.registry import Role, build_engine
from immunopath.models.spec import EngineSpec

PROTOCOLS: dict[Role, type[Any]] = {
    "predictor": Predictor,
    "phenotype": PhenotypeScorer,
    "embedder": Embedder,
}
PATCH = "lung_he_til/u24_cae100/image_99.png"


@pytest.fixture(scope="module")
def store(shared_images: Any) -> TileStore:
    return store_of(pixels(shared_images / PATCH))


def engine(role: Role) -> Any:
    return build_engine(role, EngineSpec(name="embedded"), "cpu")


def parameters(function: Any) -> list[tuple[str, object]]:
    return [(p.name, p.default) for p in inspect.signature(function).parameters.values()]


def assert_fits(kind: type[Any], protocol: type[Any]) -> None:
    members = {name: value for name, value in vars(protocol).items() if not name.startswith("_")}
    for name, member in members.items():
        assert hasattr(kind, name), f"{kind.__name__} has no {name}"
        if inspect.isfunction(member):
            assert parameters(getattr(kind, name)) == parameters(member), name


@pytest.mark.parametrize("role", PROTOCOLS)
def test_real_engines_fit_their_role(role: Role) -> None:
    assert_fits(type(engine(role)), PROTOCOLS[role])


def test_real_stores_and_handles_fit_theirs() -> None:
    assert_fits(TileStore, TileSource)
    assert_fits(LazyEngine, EngineHandle)


@pytest.mark.parametrize("role", PROTOCOLS)
def test_what_an_engine_is_can_be_a_key_and_cannot_be_changed(role: Role) -> None:
    """It goes into cache keys and provenance."""
    info: EngineInfo = engine(role).info
    assert info.role == role
    assert info == engine(role).info
    assert len({info, engine(role).info}) == 1
    for field in fields(EngineInfo):
        with pytest.raises(FrozenInstanceError):
            setattr(info, field.name, None)


def test_a_predictor_answers_with_typed_values_and_a_table(store: TileStore) -> None:
    answer = engine("predictor").predict(store)
    assert isinstance(answer, Prediction)
    assert isinstance(answer.result, PredictorResult)
    assert answer.nuclei is not None
    lengths = {len(getattr(answer.nuclei, field.name)) for field in fields(NucleiTable)}
    assert lengths == {len(answer.nuclei)}
    kinds = {f.name: getattr(answer.nuclei, f.name).dtype for f in fields(NucleiTable)}
    assert kinds.pop("image_index") == np.int32
    assert {kinds.pop("is_lymphocyte"), kinds.pop("in_nest")} == {np.dtype(np.bool_)}
    assert set(kinds.values()) == {np.dtype(np.float32)}
    assert ((answer.nuclei.p_lymphocyte >= 0) & (answer.nuclei.p_lymphocyte <= 1)).all()


def test_a_scorer_answers_with_scores_or_an_abstention(store: TileStore) -> None:
    found = engine("phenotype").score(store)
    assert isinstance(found, PhenotypeScores)
    assert found.abstained is (found.value is None)


def test_an_embedder_gives_one_unit_row_per_tile(store: TileStore) -> None:
    made = engine("embedder")
    rows = made.embed(store)
    assert rows.shape == (len(store.tiles), made.info.embedding_size)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("n", [0, 1, 7])
def test_a_table_is_as_long_as_its_columns(n: int) -> None:
    number, yes = np.zeros(n, np.float32), np.zeros(n, np.bool_)
    table = NucleiTable(number, number, np.zeros(n, np.int32), number, number, yes, yes)
    assert len(table) == n


def test_a_prediction_may_come_without_nuclei(store: TileStore) -> None:
    result = engine("predictor").predict(store).result
    assert Prediction(result).nuclei is None
