"""`immunopath cohort` on the terminal: which cases failed, and why."""

from pathlib import Path

from typer.testing import CliRunner

from immunopath.cli.exits import EXIT_SOME_FAILED
from immunopath.cli.main import app


def test_failed_cases_are_named_with_their_reason(tmp_path: Path) -> None:
    names = [f"cut{i:02}" for i in range(21)]
    for name in names:
        (tmp_path / f"{name}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    manifest = tmp_path / "cases.csv"
    manifest.write_text(
        "case_id,images,mpp\n"
        + "".join(f"{name},{name}.png,0.5\n" for name in names)
        + "gone,gone.png,0.5\n"
    )
    out = tmp_path / "out"
    found = CliRunner().invoke(app, ["cohort", str(manifest), "-o", str(out), "--no-html"])
    assert found.exit_code == EXIT_SOME_FAILED
    lines = [line for line in found.stderr.splitlines() if line.startswith("failed: ")]
    assert len(lines) == 20
    assert lines[0].startswith("failed: cut00: ")
    assert "cut00.png" in lines[0]
    assert found.stderr.count("gone.png") == 1
    assert "… and 1 more failed case" in found.stderr
