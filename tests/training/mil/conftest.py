"""One small trained head for the tests of this folder."""

from pathlib import Path

import pytest
from texture_cohort import make_cohort

from immunopath.training.mil.settings import MilSettings
from immunopath.training.mil.train import make_plan, train_mil


@pytest.fixture(scope="session")
def settings() -> MilSettings:
    return MilSettings(members=2, epochs=40, hidden=32)


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cohort(tmp_path_factory.mktemp("textures") / "cohort")


@pytest.fixture(scope="session")
def head(cohort: Path, settings: MilSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("heads") / "head"
    train_mil(make_plan(cohort, "embedded", settings), out)
    return out
