"""What the short marks beside an option mean, and the names of regimens and tests."""

from collections.abc import Iterable

from immunopath.domain.guidance import Guidance
from immunopath.guidelines.loader import load_knowledge
from immunopath.reporting.document import Pair, Pairs

LEGEND = Pairs(
    (
        Pair(
            "Strength",
            "A1 randomised phase 3 with longer overall survival; A2 randomised phase 3 with longer "
            "progression-, event- or disease-free survival; B single-arm or early trial, by "
            "response; C retrospective, subgroup or expert opinion",
        ),
        Pair("ASCO", "ASCO-S strong, ASCO-C conditional statement of the ASCO guideline"),
        Pair(
            "Status",
            "FDA-R regular, FDA-A accelerated US approval; OFF outside the US label in NSCLC",
        ),
        Pair("Source grade", "V read in a stored public source; M from memory, not read again"),
    )
)
"""One line for each kind of mark (`guidelines.md` 0.2, 0.3)."""


def regimen_name(regimen_id: str) -> str:
    """Return the name of a regimen of the catalogue; an unknown id stays as it is."""
    regimen = load_knowledge().regimens.get(regimen_id)
    return regimen.name if regimen else regimen_id


def with_regimen_names(guidance: Guidance) -> Guidance:
    """Return `guidance` in which what would change names regimens instead of their ids."""
    named = tuple(
        row.model_copy(
            update={
                "opens": tuple(map(regimen_name, row.opens)),
                "closes": tuple(map(regimen_name, row.closes)),
            }
        )
        for row in guidance.what_would_change
    )
    return guidance.model_copy(update={"what_would_change": named})


def tests_text(codes: Iterable[str]) -> str:
    """Return tests as a person says them; a code of another knowledge version stays a code."""
    tests = load_knowledge().tests
    return "; ".join(tests[code].name if code in tests else code for code in codes)
