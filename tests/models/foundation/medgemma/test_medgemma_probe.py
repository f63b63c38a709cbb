"""The probe on real engines: an adapter that sees the image, and one that answers a constant."""

import json
import shutil
from datetime import date
from pathlib import Path

import pytest
from plain_tiles import PlainTiles
from tiny_lora import field
from tiny_medgemma import Folders

from immunopath.domain.case import Case
from immunopath.models.foundation.checks import Check
from immunopath.models.foundation.doctor import check_engine
from immunopath.models.foundation.medgemma.medgemma_build import build
from immunopath.models.foundation.medgemma.medgemma_probe import probe_predictor
from immunopath.models.foundation.medgemma.probe_files import FILE
from immunopath.models.spec import EngineSpec
from immunopath.pipeline.run import ImmunoPath

CORE = "he_other/instanseg_tma_HE_0.5mpp.tif"
LEVELS = (55, 65, 75, 85, 95, 105, 165, 175, 185, 195, 205, 215)


@pytest.fixture
def sources() -> list[PlainTiles]:
    return [PlainTiles([field(level, level)]) for level in LEVELS]


@pytest.fixture
def folders(medgemma: Folders, tmp_path: Path) -> Folders:
    """Copies: a probe result is written beside the adapter."""
    copies = {
        name: Path(shutil.copytree(getattr(medgemma, name), tmp_path / name))
        for name in ("seeing", "constant")
    }
    return Folders(medgemma.base, copies["seeing"], copies["constant"])


def finding_codes(predictor: str, image: Path) -> dict[str, tuple[str, ...]]:
    case = Case(case_id="a", images=(image,), mpp=0.5)
    with ImmunoPath(predictor=predictor) as path:
        report = path.analyze(case, as_of=date(2026, 11, 24))
    return {finding.code: finding.fields for finding in report.findings}


def test_a_model_that_looks_depends_on_the_image(
    folders: Folders, sources: list[PlainTiles]
) -> None:
    result, path = probe_predictor(EngineSpec.parse(folders.engine()), sources, None)
    assert path == folders.seeing / FILE
    assert result.verdict == "depends"
    assert result.n_units == len(LEVELS)
    row = result.fields[0]
    assert row.key == "cd274_expression"
    assert row.blank.low > 0.2
    assert row.between.low > 0.2
    assert not row.constant


def test_a_constant_model_is_reported_as_such_in_every_report(
    folders: Folders, sources: list[PlainTiles], shared_images: Path
) -> None:
    engine = folders.engine("constant")
    before = finding_codes(f"{engine},patches=2", shared_images / CORE)
    assert "NOT_PROBED" in before
    result, _ = probe_predictor(EngineSpec.parse(engine), sources, None)
    ignored = result.keys("ignores")
    assert "cd274_expression" in ignored
    assert all(row.blank.high < 0.05 for row in result.fields if row.key in ignored)
    after = finding_codes(f"{engine},patches=2", shared_images / CORE)
    assert "NOT_PROBED" not in after
    assert set(ignored) <= set(after["IMAGE_IGNORED"])


def test_a_probe_of_other_weights_is_no_probe(
    folders: Folders, sources: list[PlainTiles], tmp_path: Path
) -> None:
    mine = tmp_path / "mine.json"
    probe_predictor(EngineSpec.parse(folders.engine("constant")), sources[:2], mine)
    assert json.loads(mine.read_text())["n_units"] == 2
    made = build(EngineSpec.parse(folders.engine("seeing", probe=mine)))
    result = made.predict(PlainTiles([field(60, 0)])).result
    made.close()
    [caution] = [c for c in result.cautions if c.code == "NOT_PROBED"]
    assert "other weights" in caution.message


def test_the_doctor_compares_the_probe_as_the_engine_does(
    folders: Folders, sources: list[PlainTiles], tmp_path: Path
) -> None:
    mine = tmp_path / "mine.json"
    result, _ = probe_predictor(EngineSpec.parse(folders.engine()), sources[:2], mine)
    assert (result.mpp, result.format, result.dtype) == (0.5, "indented", "float32")

    def row(**options: object) -> Check:
        spec = EngineSpec.parse(folders.engine(**options))
        return next(r for r in check_engine("predictor", spec, "cpu") if "probe" in r.name)

    assert row().detail.startswith("never probed")
    assert row(probe=mine).state == "ok"
    for options, says in (
        ({"dtype": "bfloat16"}, "dtype float32 instead of bfloat16"),
        ({"quant": "nf4"}, "quant none instead of nf4"),
        ({"mpp": 1}, "mpp 0.5 instead of 1.0"),
        ({"merge": "true"}, "adapter=beside instead of adapter=merged"),
        ({"head": "candidates"}, "head=full instead of head=candidates"),
    ):
        found = row(probe=mine, **options)
        assert found.state == "note"
        assert says in found.detail
    absent = row(probe=tmp_path / "none.json")
    assert absent.state == "missing"
    made = build(EngineSpec.parse(folders.engine(probe=mine, head="candidates")))
    cautions = made.predict(PlainTiles([field(60, 0)])).result.cautions
    made.close()
    assert "head=candidates" in next(c.message for c in cautions if c.code == "NOT_PROBED")
