"""``immunopath compare`` on two cohorts, as a person reads it."""

import pytest

from immunopath.cli.compare import _change, _show
from immunopath.training.evaluation.cohort_runs import CaseChange, RunComparison


@pytest.mark.parametrize(
    ("a", "b", "text"),
    [
        ("0.2617074181516784", "0.00022588660492433327", "0.262 -> 0.000226"),
        ("0.26170001", "0.26170002", "0.26170001 -> 0.26170002"),
        ("moderate", "abstained", "moderate -> abstained"),
    ],
)
def test_a_change_is_as_short_as_it_can_be_told(a: str, b: str, text: str) -> None:
    assert _change(a, b) == text


def test_a_case_that_was_not_compared_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    changed = CaseChange(case_id="P-1", changes={"til_fraction": ("0.25", "0.5")})
    _show(
        RunComparison(
            n=1, only_a=("P-4",), only_b=("P-4", "P-9"), fields=(), recommendations={},
            cases=(changed,),
        )
    )  # fmt: skip
    said = capsys.readouterr().out
    assert "P-1: TIL fraction: 0.25 -> 0.5" in said
    assert "without a report in one: P-4, P-9" in " ".join(said.split())
