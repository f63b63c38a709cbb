"""The page on cohorts and the benchmark of labels do what they say."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from immunopath.cli.main import app
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.training.cohort.manifest import COLUMNS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/cohort-data.md").read_text("utf-8")


def test_the_python_of_the_page_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, "cohort-data.md", "exec"), names)
    assert tuple(names["fields"]) == tuple(FIELD_VALUES)


def test_every_option_and_column_of_the_page_is_there() -> None:
    said = set(re.findall(r"--[a-z][a-z-]+", PAGE))
    shown = "".join(
        CliRunner().invoke(app, ["cohort-data", name, "--help"], env={"COLUMNS": "200"}).output
        for name in ("manifest", "build", "check", "agreement")
    )
    assert said <= set(re.findall(r"--[a-z][a-z-]+", shown))
    assert all(f"`{name}`" in PAGE for name in (*COLUMNS, *FIELD_VALUES))


def test_the_benchmark_prints_its_figures() -> None:
    command = [sys.executable, "benchmarks/labels.py", "tests/data/rna/open_labels_cut.tsv"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT)}
    )
    found = json.loads(done.stdout)
    assert found["round_trip"] == {"patients": 179, "variants": 2, "different": 0}
    sites = found["site_split"]
    assert sites["split_off_share"] < sites["random_split_off_share"]
    assert 0 < found["all_against_train"]["til_fraction"]["mean"] < 0.1
