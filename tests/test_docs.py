"""The pages say what the code does."""

import re
import runpy
from pathlib import Path

from immunopath.agents.state import CaseState
from immunopath.domain.report import CaseReport
from immunopath.imaging.decode import MAX_PIXELS
from immunopath.training.calibration.fit import FitOptions
from immunopath.training.mil.train import LEAST_PATIENTS
from immunopath.training.synthetic.cohort import CohortSettings

DOCS = Path(__file__).parents[1] / "docs"
IN_TICKS = re.compile(r"`([a-z_]+)`")


SPLITS = re.compile(
    r"wants (\d+) validation patients \(from (\d+).*?`calibrate` (\d+) \(from (\d+)"
)


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


def test_the_page_of_synthetic_cohorts_says_how_many_patients_the_steps_need() -> None:
    found = SPLITS.search((DOCS / "synthetic.md").read_text("utf-8"))
    assert found is not None
    head, few, calibrate, many = map(int, found.groups())
    share = CohortSettings().val
    assert (head, calibrate) == (LEAST_PATIENTS, FitOptions().min_cases)
    for least, patients in ((head, few), (calibrate, many)):
        assert round(share * patients) >= least > round(share * (patients - 1))


def test_the_page_of_slides_says_which_are_read_whole() -> None:
    text = (DOCS / "sampling.md").read_text("utf-8")
    assert f"at most {MAX_PIXELS / 1e6:g} million pixels) is read whole" in text
