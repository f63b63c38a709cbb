"""The page of the command line is complete, and shells complete what it lists."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from immunopath.cli.main import app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/command-line.md").read_text("utf-8")
COMMANDS = {
    f"{name} {sub}" if sub else name
    for name, command in get_command(app).commands.items()  # type: ignore[attr-defined]
    for sub in (getattr(command, "commands", None) or {"": None})
}
ENVIRONMENT = re.compile(r'environ\.(?:get|setdefault)\(\s*"([A-Z_]+)"|"(IMMUNOPATH_[A-Z_]+)"')


def rows(title: str) -> list[str]:
    """Return what stands in ticks in the first column of a table."""
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    lines = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name for line in lines for name in re.findall(r"`([^`]+)`", line)]


def test_every_command_has_one_row_and_there_is_no_other() -> None:
    assert len(COMMANDS) > 25
    assert sorted(rows("Commands")) == sorted(COMMANDS)


def test_every_variable_that_the_code_reads_is_listed() -> None:
    files = (ROOT / "immunopath").rglob("*.py")
    found = [pair for path in files for pair in ENVIRONMENT.findall(path.read_text("utf-8"))]
    read = {name or own for name, own in found}
    assert len(read) > 5
    assert read <= set(rows("Environment variables"))


def test_pages_that_are_linked_exist() -> None:
    for name in set(re.findall(r"\]\(([a-z-]+\.md)\)", PAGE)):
        assert (ROOT / "docs" / name).is_file(), name


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """Return an environment whose path holds `immunopath` as an installation has it."""
    script = tmp_path / "bin/immunopath"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\nfrom immunopath.cli.main import run\nrun()\n")
    script.chmod(0o755)
    (tmp_path / "home").mkdir()
    path = f"{script.parent}{os.pathsep}{os.environ['PATH']}"
    home = str(tmp_path / "home")
    return {**os.environ, "PATH": path, "HOME": home, "PYTHONPATH": str(ROOT)}


def bash(script: str, environment: dict[str, str]) -> list[str]:
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    command = ["bash", "--norc", "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("coh", ["cohort", "cohort-data"]), ("features im", ["import"]), ("analyze --fh", ["--fhir"])],
)
def test_the_script_of_the_shell_completes_commands_and_options(
    shell: dict[str, str], typed: str, offered: list[str]
) -> None:
    words = f"immunopath {typed}"
    script = f"""
    eval "$(_IMMUNOPATH_COMPLETE=source_bash immunopath)"
    COMP_WORDS=({words}); COMP_CWORD={len(words.split()) - 1}
    _immunopath_completion immunopath
    echo "${{COMPREPLY[@]}}"
    """
    assert bash(script, shell) == offered


def test_completion_can_be_shown_and_installed(shell: dict[str, str]) -> None:
    shown = bash("immunopath --show-completion; true", shell)
    assert "_IMMUNOPATH_COMPLETE=complete_bash" in shown
    bash("immunopath --install-completion; true", shell)
    installed = Path(shell["HOME"]) / ".bash_completions/immunopath.sh"
    assert "complete_bash" in installed.read_text()
