"""A cohort that leaks stops what would be trained or measured on it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from immunopath.domain.errors import LeakageError
from immunopath.training.evaluation.request import Request
from immunopath.training.evaluation.run import run
from immunopath.training.mil.cohort import read_cohort
from immunopath.training.samples import SAMPLES, read_samples, write_samples
from immunopath.training.synthetic.cohort import CohortSettings
from immunopath.training.synthetic.folder import write_cohort


@pytest.fixture(scope="module")
def leaking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic cohort in which a training patient and a test patient share a slide."""
    folder = tmp_path_factory.mktemp("leak")
    write_cohort(folder, CohortSettings(patients=12, tiles=1, size_px=64), 0)
    samples = list(read_samples(folder / SAMPLES))
    first = {s.split: s for s in reversed(samples)}
    twin = first["test"].model_copy(update={"slides": first["train"].slides})
    write_samples(
        folder / SAMPLES, [twin if s.patient_id == twin.patient_id else s for s in samples]
    )
    return folder


def evaluate(folder: Path) -> object:
    return run(Request(cohort=folder, split="test", predictor="constant", out=folder / "out"))


@pytest.mark.parametrize("use", [read_cohort, evaluate])
def test_a_slide_in_two_splits_is_refused(leaking: Path, use: Callable[[Path], object]) -> None:
    with pytest.raises(LeakageError, match=r"slide .* is in .*\(test\) and .*\(train\)"):
        use(leaking)
