"""A cohort that leaks stops what would be trained or measured on it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from immunopath.domain.errors import LeakageError
from immunopath.imaging.tile_manifest import read_tiles, write_tiles
from immunopath.training.evaluation.request import Request
from immunopath.training.evaluation.run import run
from immunopath.training.mil.cohort import read_cohort
from immunopath.training.samples import SAMPLES, TILES, read_samples, write_samples
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


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic cohort in which a test patient's tile is that of a training patient."""
    folder = tmp_path_factory.mktemp("copy")
    write_cohort(folder, CohortSettings(patients=12, tiles=1, size_px=64), 0)
    first = {s.split: s.patient_id for s in reversed(read_samples(folder / SAMPLES))}
    rows = read_tiles(folder / TILES)
    source = next(row for row in rows if row.patient_id == first["train"])
    same = {"file": source.file, "sha256": source.sha256}
    write_tiles(
        folder / TILES,
        [r.model_copy(update=same) if r.patient_id == first["test"] else r for r in rows],
    )
    return folder


@pytest.mark.parametrize("use", [read_cohort, evaluate])
def test_a_tile_in_two_splits_is_refused(copied: Path, use: Callable[[Path], object]) -> None:
    with pytest.raises(
        LeakageError, match=r"tile .* is in .* \((test|train)\) and .* \((test|train)\)"
    ):
        use(copied)


@pytest.mark.parametrize("use", [read_cohort, evaluate])
def test_a_slide_in_two_splits_is_refused(leaking: Path, use: Callable[[Path], object]) -> None:
    with pytest.raises(LeakageError, match=r"slide .* is in .*\(test\) and .*\(train\)"):
        use(leaking)
