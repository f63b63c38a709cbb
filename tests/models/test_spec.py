"""Engine strings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from immunopath.domain.errors import EngineSpecError, EngineUnavailable
from immunopath.models.lazy import LazyEngine
from immunopath.models.registry import PROFILES, ROLES, Role, build_engine, check_spec, find_entry
from immunopath.models.spec import EngineSpec

NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,10}", fullmatch=True)
LETTERS = st.characters(exclude_characters=",", exclude_categories=["Cs", "Cc", "Z"])
VALUES = st.text(LETTERS, min_size=1)
OPTIONS = st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True), VALUES)


@given(NAMES, st.none() | VALUES, OPTIONS)
def test_what_is_printed_parses_back(
    name: str, source: str | None, options: dict[str, str]
) -> None:
    spec = EngineSpec(name=name, source=source, options=options)
    assert EngineSpec.parse(str(spec)) == spec


def test_the_example_of_the_docs() -> None:
    text = "medgemma:/models/medgemma,adapter=/models/v31,quant=nf4,device=cuda:0,batch=16"
    spec = EngineSpec.parse(text)
    assert spec.name == "medgemma"
    assert spec.source == "/models/medgemma"
    assert spec.options["device"] == "cuda:0"
    assert str(spec) == text


@pytest.mark.parametrize(
    "text", ["", "Embedded", "a:", "a,b", "a,b=", "a,=c", "a,k=1,k=2", ":x", "a b"]
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(EngineSpecError):
        EngineSpec.parse(text)


def test_extras_that_an_engine_does_not_take_are_refused() -> None:
    with pytest.raises(EngineSpecError, match="unknown option 'quant'"):
        EngineSpec.parse("embedded,quant=nf4").refuse_extras()
    with pytest.raises(EngineSpecError, match="no id or folder"):
        EngineSpec.parse("embedded:/x").refuse_extras()


@pytest.mark.parametrize("role", ROLES)
def test_every_default_engine_exists_and_unknown_names_do_not(role: Role) -> None:
    for profile in PROFILES.values():
        assert find_entry(role, EngineSpec(name=profile[role])).role == role
    with pytest.raises(EngineSpecError, match="does not exist"):
        check_spec(role, EngineSpec(name="oracle"))
    with pytest.raises(EngineUnavailable, match="switched off"):
        build_engine(role, EngineSpec(name="none"), "cpu")


def test_an_engine_is_loaded_once_and_a_failure_is_remembered() -> None:
    lazy = LazyEngine("predictor", EngineSpec(name="embedded"), "cpu")
    assert lazy.loaded_info() is None
    assert lazy.get() is lazy.get()
    assert lazy.loaded_info() is not None
    lazy.close()
    assert lazy.loaded_info() is None
    gone = LazyEngine("predictor", EngineSpec(name="medgemma"), "cpu")
    errors = []
    for _ in range(2):
        with pytest.raises(EngineUnavailable) as caught:
            gone.get()
        errors.append(caught.value)
    assert (type(errors[0]), str(errors[0])) == (type(errors[1]), str(errors[1]))
    assert errors[0] is not errors[1]  # one object would keep the frames of every case it ended


def test_an_engine_that_can_be_closed_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []

    class Closable:
        def close(self) -> None:
            closed.append(True)

    monkeypatch.setattr("immunopath.models.lazy.build_engine", lambda *args: Closable())
    lazy = LazyEngine("predictor", EngineSpec(name="embedded"), "cpu")
    lazy.close()
    assert closed == []
    lazy.get()
    lazy.close()
    lazy.close()
    assert closed == [True]


def test_a_package_that_a_builder_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(spec: EngineSpec, device: str) -> object:
        raise ModuleNotFoundError("no", name="torch")

    monkeypatch.setattr("immunopath.models.embedded.predictor.build", build)
    with pytest.raises(EngineUnavailable, match="'torch' is not installed"):
        build_engine("predictor", EngineSpec(name="embedded"), "cpu")
