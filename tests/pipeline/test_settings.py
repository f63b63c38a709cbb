"""Settings: one object, one digest, strict TOML."""

import os
from pathlib import Path

import pytest

from immunopath.domain.errors import CaseFileError, EngineSpecError
from immunopath.pipeline.settings import Settings


def test_the_digest_covers_every_parameter_and_resolves_defaults() -> None:
    base = Settings()
    assert base.digest() == Settings(predictor="embedded").digest()
    for other in (
        Settings(predictor="none"),
        Settings(neighbours=3),
        Settings(engine_timeout_s=1),
        Settings(sampling_rounds=1),
        Settings(sampling_regions=3),
        Settings(profile="foundation"),
        Settings(atlas=Path("x")),
        Settings(device="cuda:0"),
    ):
        assert other.digest() != base.digest()


def test_toml_is_read_and_the_command_line_wins(tmp_path: Path) -> None:
    path = tmp_path / "i.toml"
    path.write_text('predictor = "none"\nneighbours = 3\n')
    assert Settings.from_toml(path).predictor == "none"
    assert Settings.from_toml(path, predictor="embedded", drugs=None).predictor == "embedded"


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("colour = 1", CaseFileError, "colour"),
        ("neighbours = 0", CaseFileError, "neighbours"),
        ("sampling_rounds = 6", CaseFileError, "sampling_rounds"),
        ("sampling_regions = -1", CaseFileError, "sampling_regions"),
        ("x", CaseFileError, "is not TOML"),
        ('predictor = "oracle"', EngineSpecError, "oracle"),
        ("predictor = 3", EngineSpecError, "predictor"),
    ],
)
def test_a_wrong_file_is_one_named_error(
    tmp_path: Path, text: str, error: type[Exception], match: str
) -> None:
    path = tmp_path / "i.toml"
    path.write_text(text)
    with pytest.raises(error, match=match):
        Settings.from_toml(path)


def test_a_missing_or_huge_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaseFileError, match="no such file"):
        Settings.from_toml(tmp_path / "none.toml")
    big = tmp_path / "big.toml"
    big.write_text("#" * 200_000)
    with pytest.raises(CaseFileError, match="larger"):
        Settings.from_toml(big)


@pytest.mark.parametrize("text", ["profile=" + "9" * 5000, "a=" + "[" * 9000])
def test_a_file_that_overwhelms_the_reader_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(CaseFileError, match=r"c\.toml: is not TOML") as caught:
        Settings.from_toml(path)
    assert len(str(caught.value)) < 500


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CaseFileError, match="no regular file"):
        Settings.from_toml(tmp_path / "pipe")
