"""The notebooks run from top to bottom as they stand, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples/notebooks"
SAID: dict[str, tuple[str, ...]] = {
    "one_case": ("til_fraction: 0.", "msi_status: silent", "ICI_MONO_OPTIONS", "written to"),
    "a_cohort": ("cat: refused", "gone: failed", "kept 4", "1. A (T0)", "facts only"),
    "training": (
        "Synthetic field drawn by ImmunoPath: no tissue",
        "SYNTHETIC COHORT: rendered images with set labels, not tissue",
        "calibrated: ['til_fraction'",
        "'blank': '0.00'",
    ),
}


def test_every_notebook_is_run_and_is_in_percent_format() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == set(SAID)
    for path in FOLDER.glob("*.py"):
        cells = path.read_text("utf-8").split("# %%")
        assert cells[0] == ""
        assert cells[1].startswith(' [markdown]\n"""\n# ')
        for number, cell in enumerate(cells[1:]):
            compile(cell.partition("\n")[2], f"{path.name}, cell {number}", "exec")


def test_the_training_notebook_says_first_that_its_images_are_drawn() -> None:
    head = (FOLDER / "training.py").read_text("utf-8").split("# %%")[1]
    assert "SYNTHETIC: drawn by a program, no tissue" in head


@pytest.mark.parametrize("name", list(SAID))
def test_a_notebook_runs(name: str, tmp_path: Path) -> None:
    if name == "training":
        for package in ("torch", "sklearn", "pyarrow"):
            pytest.importorskip(package)
    own = {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, f"{name}.py"],
        cwd=FOLDER,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for text in SAID[name]:
        assert text in done.stdout
    assert not list(FOLDER.glob("out*"))
    (written,) = tmp_path.glob("immunopath-*")
    assert any(written.iterdir())
