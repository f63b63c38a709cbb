"""``immunopath guidelines``: exit codes, columns, files written whole, nothing hostile shown."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from immunopath.cli.guidelines import ASPECTS
from immunopath.cli.main import app
from immunopath.guidelines import lint as lint_module
from immunopath.guidelines.lint import CHECKS, LintProblem

ROOT = Path(__file__).parents[2]
CASE = ROOT / "examples/clinical_complete.yaml"
VIGNETTES = ROOT / "tests/guidelines/vignettes.yaml"
GOOD = "{histology: adenocarcinoma, drivers: all_neg, pdl1_tps: 80}"


def shell(*args: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the real entry point, where an error becomes one line and exit code 2."""
    command = [sys.executable, "-m", "immunopath", "guidelines", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def inside(*args: object) -> Result:
    return CliRunner().invoke(app, ["guidelines", *map(str, args)])


def write(folder: Path, expect: str, inputs: str = GOOD) -> Path:
    path = folder / "v.yaml"
    path.write_text(f"- id: X1\n  title: t\n  inputs: {inputs}\n  expect: {expect}\n")
    return path


def test_explain_prints_the_path_and_writes_json_beside_it(tmp_path: Path) -> None:
    out = tmp_path / "new" / "e.json"
    done = inside("explain", CASE, "--as-of", "2026-11-01", "--json", out)
    assert done.exit_code == 0, done.output
    assert "RULE PATH" in done.output
    assert "as of 2026-11-01" in done.output
    assert [p.name for p in out.parent.iterdir()] == ["e.json"]
    content = json.loads(out.read_text())
    assert content["guidance"]["as_of"] == "2026-11-01"
    assert {"case", "guidance", "reached", "nearly_fired", "open_facts"} == set(content)


def test_explain_json_on_stdout_is_only_json() -> None:
    done = inside("explain", CASE, "--as-of", "2026-11-01", "--json", "-")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["guidance"]["category"] == "ICI_MONO_OPTIONS"
    assert done.stdout == inside("explain", CASE, "--as-of", "2026-11-01", "--json", "-").stdout


def test_explain_takes_one_vignette_by_its_id() -> None:
    done = inside("explain", VIGNETTES, "--vignette", "V06", "--as-of", "2026-11-01")
    assert done.exit_code == 0
    assert "Case V06" in done.output
    assert "DRIVER DIRECTED" in done.output


def test_explain_imports_no_engine() -> None:
    code = (
        "import contextlib, io, sys\n"
        f"sys.argv = ['immunopath', 'guidelines', 'explain', {str(CASE)!r}]\n"
        "from immunopath.cli.main import run\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    run()\n"
        "print([m for m in ('numpy', 'cv2', 'torch', 'langgraph', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "extra", "word"),
    [
        (None, (), "no such file"),
        ("histologi: x", (), "histologi"),
        ("age: twelve", (), "age"),
        ("pdl1_tps: 150", (), "pdl1_tps"),
        ("histology: [", (), "YAML"),
        ("histology: squamous", ("--vignette", "V01"), "--vignette"),
        ("histology: squamous", ("--as-of", "tomorrow"), "tomorrow"),
        (f"- {{id: A, inputs: {GOOD}, expect: {{}}}}", ("--vignette", "B"), "'B'"),
    ],
)
def test_explain_answers_a_wrong_file_with_one_line(
    tmp_path: Path, text: str | None, extra: tuple[str, ...], word: str
) -> None:
    path = tmp_path / "case.yaml"
    if text is not None:
        path.write_text(text)
    done = shell("explain", path, *extra)
    _one_line(done)
    assert word in done.stderr
    assert "case.yaml" in done.stderr or "as-of" in done.stderr


def test_a_hostile_file_name_drives_no_terminal(tmp_path: Path) -> None:
    path = tmp_path / "x\x1b[31m\u202ey.yaml"
    path.write_bytes(CASE.read_bytes())
    done = shell("explain", path)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
    assert "\u202e" not in shell("explain", path, "--json", "-").stdout


def test_explain_refuses_a_folder_as_its_output(tmp_path: Path) -> None:
    done = shell("explain", CASE, "--json", tmp_path)
    _one_line(done)
    assert "regular file" in done.stderr


def test_check_reports_every_aspect_in_a_column_of_its_own() -> None:
    done = inside("check", VIGNETTES, "--as-of", "2026-11-01")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    titles = " ".join(lines[0].split())
    assert titles == "id category rule regimens tests flags must not engine says"
    assert max(map(len, lines)) <= 80
    for aspect in ASPECTS:
        (total,) = [ln for ln in lines if ln.startswith(f"{aspect.replace('_', ' ')}: ")]
        passed, expected = total.split(": ")[1].removesuffix(" pass").split(" of ")
        assert passed == expected
    assert lines[-1].endswith("vignettes pass")


@pytest.mark.parametrize(
    ("expect", "aspect"),
    [
        ("{category: TEST_FIRST}", "category"),
        ("{rule: NSQ-L}", "rule"),
        ("{regimens_all: [RX-OSI]}", "regimens"),
        ("{regimens_any: [RX-OSI]}", "regimens"),
        ("{regimens_none: true}", "regimens"),
        ("{required_tests: [MEDIASTINAL_STAGING]}", "tests"),
        ("{flags: [TKI_AFTER_ICI]}", "flags"),
        ("{must_not: [ICI_MONO]}", "must_not"),
    ],
)
def test_a_wrong_expectation_fails_in_its_own_column(
    tmp_path: Path, expect: str, aspect: str
) -> None:
    done = inside("check", write(tmp_path, expect), "--as-of", "2026-11-01")
    assert done.exit_code == 1
    cells = dict(zip(ASPECTS, done.output.splitlines()[1].split()[1:], strict=False))
    assert cells == {name: "FAIL" if name == aspect else "-" for name in ASPECTS}
    assert f"{aspect.replace('_', ' ')}: 0 of 1 pass" in done.output
    assert "0 of 1 vignette passes" in done.output
    assert any(line.startswith(f"X1 {aspect}") for line in done.output.splitlines())


@pytest.mark.parametrize(
    ("expect", "inputs", "key"),
    [
        ("{category: TEST_FIRST}", "{histologi: x}", "histologi"),
        ("{catgory: TEST_FIRST}", GOOD, "catgory"),
        ("{flags: [NO_SUCH_FLAG]}", GOOD, "NO_SUCH_FLAG"),
        ("{category: TEST_FIRST}", "{pred: {mood: high}}", "pred"),
    ],
)
def test_an_unknown_key_is_an_error_that_names_file_and_key(
    tmp_path: Path, expect: str, inputs: str, key: str
) -> None:
    done = shell("check", write(tmp_path, expect, inputs))
    _one_line(done)
    assert "v.yaml" in done.stderr
    assert key in done.stderr


def test_the_review_sheet_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "sheet.csv"
    done = inside("review-sheet", "-o", out)
    assert done.exit_code == 0
    assert [p.name for p in out.parent.iterdir()] == ["sheet.csv"]
    with out.open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) > 200
    assert inside("review-sheet", "-o", "-").stdout == out.read_text("utf-8")
    refused = shell("review-sheet", "-o", tmp_path)
    _one_line(refused)
    assert [p.name for p in tmp_path.iterdir()] == ["deep"]


def test_lint_says_what_every_check_holds() -> None:
    done = inside("lint", "--grid-step", 500)
    found = lint_module.lint(grid_step=500)
    assert done.exit_code == (1 if found else 0), done.output
    assert [name for name in CHECKS if name not in done.output] == []
    assert f"{len(found)} problems in {len(CHECKS)} checks" in done.output


def test_lint_lists_a_problem_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = LintProblem(
        file="rules_scope.yaml", record="SC-1", check="unique-ids", message="is there twice"
    )
    monkeypatch.setattr(lint_module, "lint", lambda **kwargs: (problem,))
    monkeypatch.setattr(lint_module, "skipped", lambda: {"structures": "RDKit is not installed"})
    done = inside("lint")
    assert done.exit_code == 1
    for word in ("1 found", "SC-1", "is there twice", "not run: RDKit", "1 problems in"):
        assert word in " ".join(done.output.split())
    row = next(line for line in done.output.splitlines() if line.startswith("grid"))
    assert "not run" in row


def _one_line(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_explain_does_not_write_over_the_case_it_reads(tmp_path: Path) -> None:
    case = tmp_path / "case.yaml"
    case.write_text(CASE.read_text())
    done = shell("explain", "case.yaml", "--json", tmp_path / "case.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "is named twice" in done.stderr
    assert case.read_text() == CASE.read_text()
