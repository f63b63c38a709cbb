"""Settings: one object, one digest, strict TOML."""

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
    with pytest.raises(CaseFileError, match="cannot be read"):
        Settings.from_toml(tmp_path / "none.toml")
    big = tmp_path / "big.toml"
    big.write_text("#" * 200_000)
    with pytest.raises(CaseFileError, match="larger"):
        Settings.from_toml(big)
