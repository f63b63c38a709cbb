"""The pages say what the code does."""

import re
import runpy
from pathlib import Path

from immunopath.agents.state import CaseState
from immunopath.domain.report import CaseReport

DOCS = Path(__file__).parents[1] / "docs"
IN_TICKS = re.compile(r"`([a-z_]+)`")


def keys_of(title: str, column: int) -> list[str]:
    """Return what stands in ticks in a column of the table under a heading of outputs.md."""
    section = (DOCS / "outputs.md").read_text("utf-8").split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][2:]
    return [name for row in rows for name in IN_TICKS.findall(row.split("|")[column])]


def test_the_outputs_page_lists_every_key_of_a_report_once() -> None:
    assert sorted(keys_of("Keys of a report", 1)) == sorted(CaseReport.model_fields)


def test_the_outputs_page_lists_every_key_of_the_state() -> None:
    assert keys_of("Keys of the graph's state", 2) == [
        key for key in CaseState.__annotations__ if key != "case"
    ]


def test_the_page_of_the_clinical_file_is_what_its_script_writes() -> None:
    script = DOCS.parent / "scripts" / "export_clinical_keys.py"
    assert (DOCS / "clinical-file.md").read_text("utf-8") == runpy.run_path(str(script))["page"]()
