"""The tree of errors: as drawn, and every one of them is a printable line."""

import inspect
import pickle
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import immunopath
from immunopath.domain import errors
from immunopath.domain.errors import ImmunoPathError

CLASSES = {
    name: kind
    for name, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, BaseException)
}
BRANCH = re.compile(
    r"^    (?P<stem>[│ ]*)(?:├──|└──) (?P<name>\w+)\s+(?P<said>\S.*)$", re.MULTILINE
)


def drawn() -> dict[str, str]:
    """Return the parent of every class in the drawing of the module's docstring."""
    parents, path = {}, ["ImmunoPathError"]
    for hit in BRANCH.finditer(errors.__doc__ or ""):
        depth = len(hit["stem"]) // 4 + 1
        path[depth:] = [hit["name"]]
        parents[hit["name"]] = path[depth - 1]
    return parents


def test_the_drawing_is_the_tree() -> None:
    classes = {name: kind.__base__.__name__ for name, kind in CLASSES.items() if kind.__base__}
    assert classes.pop("ImmunoPathError") == "Exception"
    assert drawn() == classes


def test_the_root_is_public() -> None:
    assert immunopath.ImmunoPathError is ImmunoPathError


@pytest.mark.parametrize("name", sorted(CLASSES))
@given(text=st.text(max_size=60))
def test_every_error_is_one_printable_line(name: str, text: str) -> None:
    shown = str(CLASSES[name](text))
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1


@given(st.text(st.characters(exclude_categories=["C", "Z"]), max_size=40))
def test_what_can_be_printed_is_kept_as_it_is(text: str) -> None:
    assert str(ImmunoPathError(text)) == text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a\nb", r"a\nb"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("tab\there", r"tab\there"),
        ("\x00", r"\x00"),
        ("\ud800", r"\ud800"),
    ],
)
def test_control_characters_are_spelled_out_not_dropped(raw: str, shown: str) -> None:
    assert str(ImmunoPathError(raw)) == shown


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_handler_of_the_root_catches_every_error_and_its_cause(name: str) -> None:
    cause = KeyError("below")
    with pytest.raises(ImmunoPathError, match="above") as caught:
        raise CLASSES[name]("above") from cause
    assert caught.value.__cause__ is cause
    assert caught.value.args == ("above",)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_an_error_survives_the_way_between_processes(name: str) -> None:
    back = pickle.loads(pickle.dumps(CLASSES[name]("a\nb")))
    assert type(back) is CLASSES[name]
    assert str(back) == r"a\nb"


def test_input_and_engine_errors_can_be_told_apart() -> None:
    assert not issubclass(errors.EngineSpecError, errors.EngineError)
    assert issubclass(errors.EngineSpecError, errors.InputError)
    assert not issubclass(errors.KnowledgeError, errors.InputError)


def test_the_first_line_is_what_a_library_said_or_who_said_it() -> None:
    assert errors.first_line(ValueError("\n  one\ntwo")) == "one"
    assert errors.first_line(ValueError("one two"), 3) == "one"
    assert errors.first_line(MemoryError()) == "MemoryError"


def test_many_names_are_cut_and_the_cut_is_shown() -> None:
    assert errors.first_few(["a", "b"]) == "a, b"
    assert errors.first_few(list("abcdef")) == "a, b, c, d, e, …"
    assert errors.first_few(["a", "b"], 1) == "a, …"
    assert errors.first_few([]) == ""


def test_broad_excepts_are_rationed() -> None:
    """The node boundary and its words, one case of many, the batcher's thread, AnnData's zoo."""
    package = Path(immunopath.__file__).parent
    found = [
        path.relative_to(package).as_posix()
        for path in sorted(package.rglob("*.py"))
        for line in path.read_text("utf-8").splitlines()
        if re.match(r"\s*except( (Base)?Exception\b.*)?:", line)
    ]
    assert found == [
        "agents/boundary.py",
        "agents/boundary.py",
        "models/foundation/batcher.py",
        "models/foundation/batcher.py",
        "pipeline/faults.py",
        "training/imports/h5ad.py",
    ]
