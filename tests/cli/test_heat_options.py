"""The heat on the command line: asked for, bounded, and its progress in words."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from immunopath.cli.main import app
from immunopath.cli.pace import EventWords, pace
from immunopath.domain.errors import CaseFileError, HeatTooLarge, InputError

CMU = Path(__file__).parents[1] / "data/slides/CMU-1-Small-Region.svs"
QUICK = ["--predictor", "none", "--embedder", "none", "--quiet", "--heat-workers", "0"]


def test_the_geojson_asks_for_the_heat(tmp_path: Path) -> None:
    heat, report = tmp_path / "h.geojson", tmp_path / "r.json"
    words = ["analyze", str(CMU), "--heat-geojson", str(heat), "--json", str(report), *QUICK]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert len(json.loads(heat.read_text())["features"]) == 11
    found = json.loads(report.read_text())
    assert found["heat"]["slides"][0]["measured"] == 11
    # its own engine counts, whoever predicts
    assert found["heat"]["slides"][0]["source"]["engine"] == "embedded-predictor"
    assert found["morphometry"] is None


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (["--heat", "--heat-tiles", "14"], HeatTooLarge, "15 tiles with tissue"),
        (["--heat", "--heat-tiles", "0"], CaseFileError, "heat_tiles"),
        (["--no-heat", "--heat-geojson", "{out}"], InputError, "--no-heat leaves nothing"),
    ],
)
def test_what_cannot_be_is_one_line(
    options: list[str], error: type[Exception], words: str, tmp_path: Path
) -> None:
    given = [option.format(out=tmp_path / "h.geojson") for option in options]
    result = CliRunner().invoke(app, ["analyze", str(CMU), *given, *QUICK])
    assert isinstance(result.exception, error)
    assert words in str(result.exception)
    assert len(str(result.exception).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_configuration_may_ask_for_it(tmp_path: Path) -> None:
    config, report = tmp_path / "c.toml", tmp_path / "r.json"
    config.write_text("heat = true\n")
    words = ["analyze", str(CMU), "--config", str(config), "--json", str(report), *QUICK]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert '"heat"' in report.read_text()
    assert CliRunner().invoke(app, [*words, "--no-heat"]).exit_code == 0
    assert '"heat"' not in report.read_text()


def test_no_output_may_be_named_twice(tmp_path: Path) -> None:
    same = str(tmp_path / "a")
    words = ["analyze", str(CMU), "--heat-geojson", same, "--tiles", same, *QUICK]
    result = CliRunner().invoke(app, words)
    assert "is named twice" in str(result.exception)


def test_the_line_says_what_it_waits_on() -> None:
    assert pace(100, 5.0, 1.0, 9.0) == "20 tiles/s, waits on computing (reading 10% of the time)"
    assert pace(100, 5.0, 3.0, 1.0) == "20 tiles/s, waits on reading (reading 75% of the time)"
    ticks = iter([0.0, 10.0, 14.0, 20.0, 22.0])
    words = EventWords(lambda: next(ticks))
    assert words.of({"agent": "intake", "event": "finished"}) == "intake finished"
    seen = {"agent": "heat", "event": "progress", "total": 90, "read_s": 1.0, "work_s": 3.0}
    assert words.of({**seen, "slide": "S.svs", "done": 0}) == "heat S.svs: 0/90 tiles"
    first = words.of({**seen, "slide": "S.svs", "done": 40})
    assert first.startswith("heat S.svs: 40/90 tiles, 10 tiles/s, waits on computing")
    words.of({**seen, "slide": "T.svs", "done": 0})
    later = words.of({**seen, "slide": "T.svs", "done": 20})
    assert later.startswith("heat T.svs: 20/90 tiles, 10 tiles/s")
