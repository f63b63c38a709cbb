"""A checkpoint through ``immunopath evaluate`` and back: controls, free text, validation."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from tile_cohort import write_cohort
from tiny_medgemma import Folders

from immunopath.models.foundation.medgemma.medgemma_build import build
from immunopath.models.spec import EngineSpec
from immunopath.models.validation import FILE
from immunopath.training.evaluation.request import Request, Result
from immunopath.training.evaluation.resample import Plan
from immunopath.training.evaluation.run import run
from immunopath.training.tile_source import PatientTiles, read_cohort_folder

N = 20


@dataclass(frozen=True)
class Evaluated:
    folder: Path
    engine: str
    digest: str
    result: Result


@pytest.fixture(scope="module")
def evaluated(medgemma: Folders, tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    root = tmp_path_factory.mktemp("evaluated")
    write_cohort(root / "cohort", n=N)
    adapter = shutil.copytree(medgemma.seeing, root / "adapter")
    engine = f"medgemma:{medgemma.base},adapter={adapter}"
    built = build(EngineSpec.parse(engine))
    digest = built.digest
    built.close()
    asked = Request(
        root / "cohort",
        root / "out",
        predictor=engine,
        controls=("blank", "shuffled"),
        free_texts=3,
        plan=Plan(draws=100),
    )
    return Evaluated(root, engine, digest, run(asked))


def test_it_sees_the_image_and_blank_ones_take_that_away(evaluated: Evaluated) -> None:
    found = evaluated.result.evaluation
    assert (found.value("til_fraction", "spearman") or 0) > 0.9
    assert found.value("til_fraction", "spearman", "blank") == 0.0
    assert found.value("immune_phenotype", "balanced_accuracy") == 1.0
    assert found.value("immune_phenotype", "balanced_accuracy", "blank") == 0.5
    assert found.alarm.fields["immune_phenotype"].image == "colours only"  # grey levels, no nuclei
    assert found.main.conditioning == "greedy"


def test_free_texts_are_counted_beside_the_decoder(evaluated: Evaluated) -> None:
    free = evaluated.result.evaluation.compliance
    assert free is not None
    assert (free.n, free.valid, free.decoded) == (3, 1.0, 1.0)
    assert free.agrees["immune_phenotype"] == 1.0


def test_the_validation_lies_beside_the_adapter_and_comes_with_every_answer(
    evaluated: Evaluated,
) -> None:
    assert evaluated.result.validation == evaluated.folder / "adapter" / FILE
    engine = build(EngineSpec.parse(evaluated.engine))
    _, tiles = read_cohort_folder(evaluated.folder / "cohort")
    answer = engine.predict(PatientTiles(evaluated.folder / "cohort", tiles["P000"]))
    engine.close()
    assert engine.digest == evaluated.digest  # a validation is no part of the weights
    card = answer.result.profile.til_fraction.validation
    assert card is not None
    assert (card.n, card.external) == (N, False)
    assert "synthetic" in card.cohort


def test_a_validation_of_other_weights_is_not_used(
    evaluated: Evaluated, medgemma: Folders, tmp_path: Path
) -> None:
    adapter = shutil.copytree(medgemma.constant, tmp_path / "constant")
    shutil.copy(evaluated.folder / "adapter" / FILE, adapter / FILE)
    engine = build(EngineSpec.parse(f"medgemma:{medgemma.base},adapter={adapter}"))
    _, tiles = read_cohort_folder(evaluated.folder / "cohort")
    result = engine.predict(PatientTiles(evaluated.folder / "cohort", tiles["P000"])).result
    engine.close()
    assert result.profile.til_fraction.validation is None
    assert "VALIDATION_NOT_USED" in [caution.code for caution in result.cautions]
