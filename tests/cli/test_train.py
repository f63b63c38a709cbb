"""``immunopath train``."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from immunopath.models.torchvision_guard import guard_torchvision

if importlib.util.find_spec("torch") is not None:
    guard_torchvision()  # before the first import of transformers

from lora_cohort import build_cohort, tiny_config
from tiny_medgemma import build_base

from immunopath.cli.main import app
from immunopath.domain.errors import CaseFileError, OutputError


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration file beside a tiny base and a cohort."""
    root = tmp_path_factory.mktemp("train")
    base = build_base(root / "base")
    cohort = build_cohort(root / "cohort")
    made = tiny_config(base, cohort, root / "run", optim={"epochs": 2}, run={"every": 3})
    values: dict[str, Any] = made.model_dump(mode="json")
    values |= {"base": "./base", "cohort": "cohort", "out": "run"}
    (root / "train.yaml").write_text(yaml.safe_dump(values))
    return root / "train.yaml"


def test_one_command_trains_and_says_how_to_use_it(config: Path) -> None:
    found = CliRunner().invoke(app, ["train", str(config)])
    assert found.exit_code == 0, found.output
    folder = config.parent / "run" / "checkpoint"
    assert f"{folder}: of step" in found.stdout
    assert f"--predictor medgemma:{config.parent / 'base'},adapter={folder}" in found.stdout
    assert "6 patients to train on, 2 to validate on" in found.stderr
    assert "step 6/6, epoch 2.00, loss" in found.stderr
    assert (folder / "immunopath.json").is_file()

    again = CliRunner().invoke(app, ["train", str(config)])
    assert isinstance(again.exception, OutputError)
    resumed = CliRunner().invoke(app, ["train", str(config), "--resume"])
    assert resumed.exit_code == 0, resumed.output


def test_a_check_trains_nothing(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "other"
    found = CliRunner().invoke(app, ["train", str(config), "--check", "--out", str(out)])
    assert found.stdout == "6 patients to train on, 2 to validate on, 0 left out\n"
    assert not out.exists()


def test_an_unknown_key_is_said_in_one_line(config: Path) -> None:
    bad = config.with_name("bad.yaml")
    bad.write_text(config.read_text() + "epoch: 3\n")
    found = CliRunner().invoke(app, ["train", str(bad)])
    assert isinstance(found.exception, CaseFileError)
    assert str(found.exception) == f"{bad}: epoch: unknown key; check its spelling"
