"""The shipped constants are what the script makes, and hold on left-out patches."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from immunopath.domain.errors import EngineError
from immunopath.models.embedded import phenotype_constants as pc

SCRIPTS = Path(__file__).parents[3] / "scripts"
FILE = Path(pc.__file__).parent / pc.CONSTANTS


@pytest.fixture(scope="module")
def script() -> ModuleType:
    sys.path.insert(0, str(SCRIPTS))
    try:
        return importlib.import_module("fit_phenotype")
    finally:
        sys.path.remove(str(SCRIPTS))


def test_the_fit_gives_the_shipped_file_and_beats_the_baselines(
    script: ModuleType, shared_images: Path
) -> None:
    blocks, digest = script.read(shared_images / "nucls_til")
    made, kept = script.fit(blocks, digest), pc.shipped().constants
    assert made.fit_data_sha256 == kept.fit_data_sha256
    for name in ("share", "nest", "root_nuclei"):
        weights = getattr(kept, name).weights
        assert getattr(made, name).weights == pytest.approx(weights, abs=0.02)
    figures = script.evaluate(blocks, digest)
    clean, jittered = figures["originals"], figures["jittered"]
    assert clean["share_spearman"] > 0.75
    assert clean["share_mae"] < 0.16 < clean["constant_mae"]
    assert jittered["share_spearman"] > jittered["mean_haematoxylin_spearman"] + 0.1


@pytest.mark.parametrize(
    "change",
    [
        {"feature_names": ["h"]},
        {"mean": [0.0]},
        {"scale": [0.0] * 13},
        {"clip": -1},
        {"share": {"intercept": 0, "weights": {"nuclei": 1}}},
        {"surprise": 1},
    ],
)
def test_a_constants_file_that_does_not_fit_the_code_is_refused(change: dict[str, object]) -> None:
    content = json.loads(FILE.read_text(encoding="utf-8")) | change
    with pytest.raises(EngineError, match="fit_phenotype"):
        pc.from_json(json.dumps(content))


def test_the_digest_is_that_of_the_file() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert pc.from_json(text).digest != pc.from_json(text + " ").digest
    assert pc.shipped().digest == pc.from_json(text).digest
