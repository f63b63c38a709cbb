"""The type checker refuses a prediction wherever a regimen could come of it."""

import pytest
from mypy import api

HEAD = """
from datetime import date
from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.measured import Measured
from immunopath.domain.prediction import BiomarkerProfile, FieldPrediction
from immunopath.guidelines.engine import evaluate

def use(
    context: ClinicalContext,
    tps: Measured[float],
    field: FieldPrediction[float],
    profile: BiomarkerProfile,
) -> None:
"""
REFUSED = (
    "    evaluate(profile, as_of=date(2026, 1, 1))",
    "    evaluate(context, profile, as_of=date(2026, 1, 1))",
    "    evaluate(context, as_of=date(2026, 1, 1), prediction=profile)",
    "    slot: Measured[float] = field",
)
TAKEN = "    evaluate(context, as_of=date(2026, 1, 1))\n    slot: Measured[float] = tps"


SOURCE = HEAD + "\n".join([TAKEN, *REFUSED])


@pytest.fixture(scope="module")
def refused_lines(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The lines that mypy refuses, all checked at once: a run costs seconds."""
    folder = tmp_path_factory.mktemp("types")
    (folder / "mypy.ini").write_text("[mypy]\nstrict = True\nplugins = pydantic.mypy\n")
    (folder / "user.py").write_text(SOURCE)
    config = ["--config-file", str(folder / "mypy.ini"), "--no-error-summary"]
    out, err, _ = api.run([*config, "--follow-imports=silent", str(folder / "user.py")])
    assert not err
    numbers = [int(row.split(":")[1]) for row in out.splitlines() if ": error:" in row]
    return {SOURCE.splitlines()[number - 1] for number in numbers}


def test_a_prediction_is_refused_and_measured_facts_are_taken(refused_lines: set[str]) -> None:
    assert refused_lines == set(REFUSED)
