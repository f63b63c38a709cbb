"""``immunopath app`` before it listens: one line for what is wrong, exit code 2."""

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from immunopath.app.bind import PASSWORD_VARIABLE
from immunopath.cli.main import app
from immunopath.domain.errors import InputError

OPEN = ("--host", "0.0.0.0")


def call(*words: str, code: str = "") -> subprocess.CompletedProcess[str]:
    program = f"import sys\n{code}\nfrom immunopath.cli.main import run\nrun()"
    known = {key: value for key, value in os.environ.items() if key != PASSWORD_VARIABLE}
    return subprocess.run(
        [sys.executable, "-c", program, "app", *words],
        capture_output=True, text=True, check=False, timeout=120, env=known,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "env", "fault"),
    [
        (OPEN, {PASSWORD_VARIABLE: "short"}, "at least 12 characters"),
        (("--password-file", "/nowhere"), {}, "/nowhere: no such file"),
        (("--port", "70000"), {}, "--port 70000"),
        (("--cohort", "/nowhere"), {}, "--cohort /nowhere: holds no cohort run"),
        (("--predictor", "uni"), {}, "predictor engine 'uni' does not exist"),
        (("--predictor", "embedded", "--predictor", "mil"), {}, "mil"),
        (("--config", "/nowhere"), {}, "/nowhere: no such file"),
    ],
)
def test_a_fault_is_named_before_anything_listens(
    words: tuple[str, ...], env: dict[str, str], fault: str
) -> None:
    done = CliRunner().invoke(app, ["app", *words], env={PASSWORD_VARIABLE: None} | env)
    assert isinstance(done.exception, InputError), done.output
    assert fault in str(done.exception)
    assert done.stdout == ""


def test_an_open_address_without_a_password_is_one_line_and_exit_code_2() -> None:
    done = call(*OPEN)
    assert done.returncode == 2
    assert done.stderr.startswith("immunopath: --host 0.0.0.0: others could reach the page;")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_without_its_packages_the_extra_is_named() -> None:
    done = call(code="sys.modules['starlette'] = None")
    assert done.returncode == 2
    assert done.stderr == (
        "immunopath: the page needs the extra 'app': pip install 'immunopath[app]'\n"
    )


def test_the_page_is_a_command() -> None:
    done = CliRunner().invoke(app, ["app", "--help"])
    assert done.exit_code == 0
    assert "--password-file" in done.stdout
