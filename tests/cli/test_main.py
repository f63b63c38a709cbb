"""The command line: exit codes, one line per error, nothing but the result on stdout."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from immunopath.cli.main import run

CLI = [sys.executable, "-m", "immunopath"]
ROOT = Path(__file__).parents[2]


def call(*args: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CLI, *map(str, args)], capture_output=True, text=True, cwd=cwd, check=False
    )


@pytest.fixture
def lung(shared_images: Path) -> Path:
    return shared_images / "lung_he_til/u24_cae100/image_99.png"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv=['immunopath','--help']\n"
        "from immunopath.cli.main import run\n"
        "try:\n run()\nexcept SystemExit: pass\n"
        "print([m for m in ('numpy','cv2','torch','langgraph','scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_json_on_stdout_is_only_json(lung: Path, tmp_path: Path) -> None:
    done = call("analyze", lung, "--mpp", 0.5, "--json", "-", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert list(report["profile"]) == [
        "cd274_expression", "msi_status", "tme_subtype", "til_fraction", "til_density",
        "immune_phenotype", "cd8_infiltration", "immune_score",
    ]  # fmt: skip
    for field in report["profile"].values():
        assert {"value", "probabilities", "interval", "abstained", "reason", "calibrated",
                "source"} <= set(field)  # fmt: skip
    assert {"n_nuclei", "n_lymphocytes", "tissue_mm2", "lymphocytes_per_mm2"} <= set(
        report["morphometry"]
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ("analyze",),
        ("analyze", "a.png", "--mpp", "abc"),
        ("analyze", "a.png", "--colour", "red"),
        ("analyze", "no\x1b[31m\nsuch.png"),
        ("frobnicate",),
        ("guidelines", "explain"),
        ("atlas", "search", "a.png", "--k", "0"),
    ],
)
def test_a_wrong_word_is_one_line_that_says_where_help_is(words: tuple[str, ...]) -> None:
    done = call(*words)
    _one_line(done)
    assert "\x1b" not in done.stderr
    assert "--help" in done.stderr or "check the path" in done.stderr


@pytest.mark.parametrize("words", [(), ("guidelines",), ("models",), ("atlas",)])
def test_a_bare_group_answers_with_its_help(words: tuple[str, ...]) -> None:
    done = call(*words)
    assert done.returncode == 0
    assert "Usage:" in done.stdout
    assert done.stderr == ""


def test_the_module_goes_by_the_name_of_the_command() -> None:
    """``python -m immunopath`` is no word that a shell could complete."""
    assert "Usage: immunopath drug " in call("drug", "--help").stdout
    script = call("--show-completion", "bash").stdout
    assert script.rstrip().endswith(" immunopath")
    assert "python" not in script


@pytest.mark.parametrize("group", ["", "models", "atlas", "guidelines", "features", "cohort-data"])
def test_no_list_of_commands_breaks_off_at_80_columns(
    group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    listed = call(*group.split(), "--help").stdout.split("Commands:\n")[1]
    assert "..." not in listed


def test_a_word_that_is_nearly_a_command_is_answered_with_it() -> None:
    words = "No such command 'anlyze'; did you mean 'analyze'; see 'immunopath --help'"
    assert call("anlyze").stderr == f"immunopath: {words}\n"


def test_stdout_on_a_full_device_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*CLI, "schema"], stdout=full, stderr=subprocess.PIPE, text=True,
                              check=False)  # fmt: skip
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "could not be written" in done.stderr


@pytest.mark.parametrize(
    ("words", "closed", "code"),
    [
        ("schema", ">&-", 2),
        ("schema --help", ">&-", 2),
        ("guidelines explain none.yaml", "2>&-", 2),
        ("guidelines explain none.yaml", "<&- >&- 2>&-", 2),
        ("guidelines lint", "2>&-", 0),
    ],
)
def test_a_closed_stream_is_no_traceback(words: str, closed: str, code: int) -> None:
    line = f'exec "$0" -m immunopath {words} {closed}'
    done = subprocess.run(["/bin/sh", "-c", line, CLI[0]], capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    if code and "2>" not in closed:
        assert done.stderr == "immunopath: the output could not be written (Bad file descriptor)\n"


def test_an_ascii_terminal_of_20_columns_gets_its_report(lung: Path) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "COLUMNS": "20",
             "PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}  # fmt: skip
    command = [*CLI, "guidelines", "explain", str(ROOT / "examples/clinical_complete.yaml")]
    done = subprocess.run(command, capture_output=True, env=plain, check=False)
    assert done.returncode == 0, done.stderr
    assert b"Research" in done.stdout


def test_a_file_name_that_is_no_text_is_spelt_out(lung: Path, tmp_path: Path) -> None:
    copy = os.fsencode(tmp_path) + b"/g\xff.png"
    Path(os.fsdecode(copy)).write_bytes(lung.read_bytes())
    done = subprocess.run(
        [*CLI, "analyze", copy, "--mpp", "0.5", "--quiet", "--json", "r.json", "--html", "r.html"],
        capture_output=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "r.json").read_text())["images"][0]["name"] == "g\\udcff.png"


def test_no_control_of_a_patient_id_reaches_the_json(lung: Path) -> None:
    hostile = "\u009b31mX\u202e"
    done = call("analyze", lung, "--mpp", 0.5, "--patient-id", hostile, "--json", "-")
    assert not set(done.stdout) & {"\u009b", "\u202e"}
    assert json.loads(done.stdout)["patient_id"] == hostile


def test_fhir_is_written_beside_the_report(lung: Path, tmp_path: Path) -> None:
    done = call("analyze", lung, "--mpp", 0.5, "--fhir", "r.json", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    bundle = json.loads((tmp_path / "r.json").read_text())
    assert bundle["resourceType"] == "Bundle"


def test_a_refused_image_is_exit_code_3_with_its_report(
    shared_images: Path, tmp_path: Path
) -> None:
    done = call("analyze", shared_images / "negatives/skimage_chelsea.png", "--json", "r.json",
                cwd=tmp_path)  # fmt: skip
    assert done.returncode == 3
    assert json.loads((tmp_path / "r.json").read_text())["status"] == "refused"


@pytest.mark.parametrize("mpp", ["0", "-1", "nan", "400"])
def test_a_wrong_mpp_is_one_line_and_exit_code_2(lung: Path, mpp: str) -> None:
    done = call("analyze", lung, f"--mpp={mpp}")
    _one_line(done)
    assert "mpp" in done.stderr


@pytest.mark.parametrize("kind", ["missing", "directory", "empty", "text"])
def test_an_unreadable_file_is_one_line_that_names_it(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bad.png"
    if kind == "directory":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("no image")
    done = call("analyze", path, "--html", tmp_path / "out.html")
    _one_line(done)
    assert "bad.png" in done.stderr
    assert not (tmp_path / "out.html").exists()


@pytest.mark.parametrize("line", ["pdl1_tps: 150", "colour: red", "age: [1", "age: twelve"])
def test_a_wrong_clinical_file_is_one_line(lung: Path, tmp_path: Path, line: str) -> None:
    path = tmp_path / "case.yaml"
    path.write_text(line)
    done = call("analyze", lung, "--mpp", 0.5, "--clinical", path)
    _one_line(done)
    assert "case.yaml" in done.stderr


def test_a_hostile_case_id_reaches_no_terminal_escape_and_no_folder(
    lung: Path, tmp_path: Path
) -> None:
    hostile = "../../x\x1b[31m<b>\n"
    done = call(
        "analyze", lung, "--mpp", 0.5, "--case-id", hostile, "--html", "o.html", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "\x1b[31m" not in done.stdout
    assert "x\x1b" not in (tmp_path / "o.html").read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["o.html"]


def test_an_output_may_not_be_an_input(lung: Path, tmp_path: Path) -> None:
    copy = tmp_path / "a.png"
    copy.write_bytes(lung.read_bytes())
    done = call("analyze", copy, "--mpp", 0.5, "--html", copy)
    _one_line(done)
    assert copy.read_bytes() == lung.read_bytes()


def test_given_vignettes_pass_and_a_wrong_expectation_fails(tmp_path: Path) -> None:
    good = ROOT / "tests/guidelines/vignettes.yaml"
    assert call("guidelines", "check", good).returncode == 0
    bad = tmp_path / "bad.yaml"
    bad.write_text(good.read_text().replace("category: ICI_MONO_OPTIONS", "category: CHEMO_NO_ICI"))
    assert call("guidelines", "check", bad).returncode == 1


def test_inspecting_commands_answer() -> None:
    assert "embedded" in call("models", "list").stdout
    assert call("doctor").returncode == 0
    assert json.loads(call("schema").stdout)["title"] == "CaseReport"
    assert "curated" in call("drug", "pembrolizumab").stdout
    unknown = call("drug", "aspirinol")
    assert unknown.returncode == 1
    assert "not in the knowledge base" in unknown.stdout


def _one_line(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_ctrl_c_within_a_command_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("immunopath.cli.models.verify_all", interrupted)
    monkeypatch.setattr(sys, "argv", ["immunopath", "models", "verify"])
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "immunopath: interrupted\n"
