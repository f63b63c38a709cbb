"""The registry: which engines exist, what they cost, and how each says that it cannot run."""

import subprocess
import sys
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from immunopath.domain.errors import EngineSpecError, EngineUnavailable
from immunopath.models import registry
from immunopath.models.registry import (
    ENTRIES,
    PROFILES,
    ROLES,
    SWITCHED_OFF,
    Entry,
    Role,
    build_engine,
    check_spec,
    find_entry,
)
from immunopath.models.spec import EngineSpec

EMBEDDED = [entry for entry in ENTRIES if entry.name == "embedded"]


def name_of(entry: Entry) -> str:
    return f"{entry.role}-{entry.name}"


def spec(name: str, **options: str) -> EngineSpec:
    return EngineSpec(name=name, options=options)


def test_no_name_stands_for_two_engines_of_a_role() -> None:
    keys = [(entry.role, entry.name) for entry in ENTRIES]
    assert len(set(keys)) == len(keys)
    assert {role for role, _ in keys} == set(ROLES) == set(get_args(Role))
    assert SWITCHED_OFF not in {name for _, name in keys}


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_every_profile_names_an_engine_for_every_role(profile: str) -> None:
    assert set(PROFILES[profile]) == set(ROLES)
    for role, name in PROFILES[profile].items():
        assert find_entry(role, spec(name)).name == name


def test_the_default_profile_needs_neither_token_nor_package() -> None:
    for role, name in PROFILES["embedded"].items():
        entry = find_entry(role, spec(name))
        assert not entry.gated


@pytest.mark.parametrize("entry", EMBEDDED, ids=name_of)
def test_what_needs_no_weights_is_built(entry: Entry) -> None:
    engine = build_engine(entry.role, spec(entry.name), "cpu")
    methods = {"predictor": "predict", "phenotype": "score", "embedder": "embed",
               "drugs": "profiles"}  # fmt: skip
    assert callable(getattr(engine, methods[entry.role]))


@pytest.mark.parametrize("role", ROLES)
@given(name=st.from_regex(r"[a-z][a-z0-9_-]{0,12}", fullmatch=True))
def test_a_name_is_known_or_refused_with_the_choice(role: Role, name: str) -> None:
    names = {entry.name for entry in ENTRIES if entry.role == role}
    if name in names | {SWITCHED_OFF}:
        check_spec(role, spec(name))
    else:
        with pytest.raises(EngineSpecError) as caught:
            check_spec(role, spec(name))
        assert all(known in str(caught.value) for known in (*names, name, role))


@pytest.mark.parametrize("role", ROLES)
def test_an_engine_of_another_role_does_not_fit(role: Role) -> None:
    others = {entry.name for entry in ENTRIES if entry.role != role}
    own = {entry.name for entry in ENTRIES if entry.role == role}
    for name in others - own:
        with pytest.raises(EngineSpecError, match="does not exist"):
            build_engine(role, spec(name), "cpu")


@pytest.mark.parametrize("role", ROLES)
def test_a_role_can_be_switched_off_but_not_with_options(role: Role) -> None:
    check_spec(role, spec(SWITCHED_OFF))
    with pytest.raises(EngineUnavailable, match=f"{role} engine was switched off"):
        build_engine(role, spec(SWITCHED_OFF), "cpu")
    with pytest.raises(EngineSpecError, match="unknown option"):
        check_spec(role, spec(SWITCHED_OFF, loud="yes"))


@pytest.mark.parametrize("entry", EMBEDDED, ids=name_of)
def test_an_option_that_an_engine_does_not_take_is_refused(entry: Entry) -> None:
    with pytest.raises(EngineSpecError, match="unknown option 'quant'"):
        build_engine(entry.role, spec(entry.name, quant="nf4"), "cpu")
    with pytest.raises(EngineSpecError, match="no id or folder"):
        build_engine(entry.role, EngineSpec(name=entry.name, source="/x"), "cpu")


@pytest.mark.parametrize("entry", ENTRIES, ids=name_of)
def test_a_package_that_is_missing_is_named(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    module = entry.builder.partition(":")[0]
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EngineUnavailable, match="is not installed") as caught:
        build_engine(entry.role, spec(entry.name), "cpu")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def imports_when_called(spec: EngineSpec, device: str) -> object:
    """Build as foundation engines do: the heavy package is imported inside the builder."""
    import a_package_that_nobody_has  # type: ignore[import-not-found]

    return a_package_that_nobody_has


def test_a_package_that_a_builder_misses_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    heavy = Entry(
        "embedder", "heavy", "test_builders:imports_when_called", "MIT", False, "for this test"
    )
    monkeypatch.setitem(sys.modules, "test_builders", sys.modules[__name__])
    monkeypatch.setattr(registry, "ENTRIES", (heavy,))
    with pytest.raises(EngineUnavailable, match="heavy: the package 'a_package_that_nobody_has'"):
        build_engine("embedder", spec("heavy"), "cpu")


def test_listing_engines_imports_none_of_them() -> None:
    code = (
        "import sys\nfrom immunopath.models.registry import ENTRIES\n"
        "print([m for m in ('numpy', 'cv2', 'faiss', 'torch', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("text", ["embedded,quant=4", "embedded:folder", "none,x=1"])
def test_options_that_no_engine_takes_are_refused_before_anything_is_built(
    role: Role, text: str
) -> None:
    with pytest.raises(EngineSpecError, match=r"unknown option|takes no id"):
        check_spec(role, EngineSpec.parse(text))
