"""The budget of adaptive sampling on the command line."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from immunopath.cli.main import app


@pytest.mark.parametrize("command", ["analyze", "cohort"])
def test_a_budget_out_of_range_is_one_line(
    command: str, shared_images: Path, tmp_path: Path
) -> None:
    from immunopath.domain.errors import CaseFileError

    patch = shared_images / "lung_he_til/u24_cae100/image_99.png"
    manifest = tmp_path / "m.csv"
    manifest.write_text(f"case_id,images,mpp\na,{patch},0.5\n")
    given = [str(patch)] if command == "analyze" else [str(manifest), "-o", str(tmp_path / "o")]
    result = CliRunner().invoke(app, [command, *given, "--sampling-rounds", "9"])
    assert result.exit_code != 0
    assert isinstance(result.exception, CaseFileError | SystemExit)
    assert not (tmp_path / "o").exists()


def test_a_patch_takes_a_budget_and_ignores_it(shared_images: Path, tmp_path: Path) -> None:
    patch = shared_images / "lung_he_til/u24_cae100/image_99.png"
    out = tmp_path / "a.json"
    arguments = ["analyze", str(patch), "--mpp", "0.5", "--json", str(out), "--quiet"]
    result = CliRunner().invoke(app, [*arguments, "--sampling-rounds", "0"])
    assert result.exit_code == 0
    assert '"sampling"' not in out.read_text()
