"""The inspecting commands: what is installed, which engines and drugs there are."""

import tomllib
from importlib.metadata import requires, version
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from immunopath.cli.inspect import _OPTIONAL, doctor_rows, model_rows, show_drug, show_table
from immunopath.models.embedded.drug_knowledge import load_drugs
from immunopath.models.registry import ENTRIES

ROOT = Path(__file__).parents[2]


def squeezed(text: str) -> str:
    return "".join(text.split())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cells=st.lists(st.text(min_size=1, max_size=30), min_size=2, max_size=2))
def test_cells_are_text_and_nothing_else(
    cells: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    show_table(("one", "two"), [cells])
    shown = capsys.readouterr().out
    assert all(line.isprintable() for line in shown.split("\n"))


@pytest.mark.parametrize(
    ("cell", "seen"),
    [("[bold]x[/bold]", "[bold]x[/bold]"), ("\x1b[31mred", r"\x1b[31mred"), ("a\nb", r"a\nb")],
)
def test_markup_and_escapes_are_shown_not_obeyed(
    cell: str, seen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_table(("title",), [(cell,)])
    assert seen in capsys.readouterr().out


def test_a_long_cell_is_folded_and_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    cells = ("a" * 150, "b" * 150)
    show_table(("one", "two"), [cells])
    shown = capsys.readouterr().out
    assert max(map(len, shown.split("\n"))) <= 80
    assert (shown.count("a"), shown.count("b")) == (150, 150)


def test_the_doctor_checks_what_the_package_requires() -> None:
    """Every dependency of the core install is among the checks."""
    rows = {name: (state, remedy) for name, state, remedy in doctor_rows()}
    assert rows["numpy"] == (version("numpy"), "")
    assert rows["Python"][1] == ""
    core = (line for line in requires("immunopath") or () if "extra ==" not in line)
    wanted = {line.split(";")[0].split(">")[0].strip() for line in core}
    assert "faiss-cpu" in wanted
    assert wanted <= set(rows)


def test_the_doctor_looks_for_every_extra_that_a_user_can_want() -> None:
    """`browser` and `dev` are for working on the project; `all` is the sum of the others."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = set(project["optional-dependencies"])
    assert "app" in extras
    assert set(_OPTIONAL.values()) == extras - {"browser", "dev", "all"}


def test_the_doctor_gives_a_remedy_for_everything_that_is_not_there() -> None:
    for name, state, remedy in doctor_rows():
        absent = state in ("missing", "not installed")
        assert bool(remedy) is absent, name
        if state == "not installed":
            assert "immunopath[" in remedy


def test_every_engine_of_the_registry_has_a_row() -> None:
    rows = model_rows()
    assert [(role, name) for role, name, *_ in rows] == [(e.role, e.name) for e in ENTRIES]
    for row, entry in zip(rows, ENTRIES, strict=True):
        assert row[2].endswith("(gated)") is entry.gated
        assert (row[3] == "ready") is (entry.name == "embedded")
        assert row[3]


def test_a_drug_is_shown_with_every_fact_its_source_and_grade(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert show_drug("Osimertinib")
    shown = squeezed(capsys.readouterr().out)
    (profile,) = load_drugs().profiles(["osimertinib"])
    assert "curated" in shown
    facts = [squeezed(f"[{fact.grade}]") for fact in profile.facts]
    assert sum(shown.count(grade) for grade in set(facts)) >= len(facts)
    assert squeezed(profile.facts[0].topic) in shown


def test_a_class_shows_all_its_drugs(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_drug("EGFR_TKI")
    shown = capsys.readouterr().out
    for profile in load_drugs().by_class("EGFR_TKI"):
        assert f"{profile.name} · " in shown


@pytest.mark.parametrize("name", ["aspirinol", "pembrolizumap", "x\x1b[31m", ""])
def test_an_unknown_drug_is_said_to_be_unknown(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not show_drug(name)
    shown = capsys.readouterr().out
    assert "not in the knowledge base" in shown
    assert "\x1b" not in shown
    assert ("nearest: pembrolizumab" in shown) is (name == "pembrolizumap")
