"""Regions of a slide that are named on the command line."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from immunopath.cli.main import app
from immunopath.domain.errors import RegionError


@pytest.fixture
def slide(shared_images: Path) -> Path:
    return shared_images.parent / "slides/CMU-1-Small-Region.svs"


def test_regions_are_read_and_nothing_else(slide: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.json"
    words = ["analyze", str(slide), "--json", str(out), "--quiet"]
    regions = ["--region", "960,1500,512,512", "--region", "960, 1000, 512, 256"]
    result = CliRunner().invoke(app, [*words, *regions])
    assert result.exit_code == 0, result.output
    images = json.loads(out.read_text())["images"]
    assert [image["region"] for image in images] == [[960, 1500, 512, 512], [960, 1000, 512, 256]]
    assert all(image["picked"] for image in images)


@pytest.mark.parametrize(
    ("regions", "fault"),
    [
        (["nan,0,9,9"], "is not x,y,width,height"),
        (["0,0,0,9"], "holds no pixel"),
        (["2000,0,512,512"], "reaches outside"),
        (["0,0,9,9", "5,5,9,9"], "count twice"),
        ([f"{i},0,1,1" for i in range(30)], "more than 24"),
    ],
)
def test_a_region_that_is_none_is_one_line(slide: Path, regions: list[str], fault: str) -> None:
    words = [word for region in regions for word in ("--region", region)]
    result = CliRunner().invoke(app, ["analyze", str(slide), "--quiet", *words])
    assert isinstance(result.exception, RegionError)
    assert fault in str(result.exception)


def test_only_glass_is_refused_with_exit_code_3(slide: Path) -> None:
    words = ["analyze", str(slide), "--quiet", "--region", "0,0,512,512"]
    assert CliRunner().invoke(app, words).exit_code == 3
