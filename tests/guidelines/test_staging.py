import pytest

from immunopath.domain.clinical import ClinicalContext
from immunopath.guidelines.loader import Knowledge
from immunopath.guidelines.staging import possible_groups, stage_problem


def context(edition: str, group: str | None, **tnm: str) -> ClinicalContext:
    return ClinicalContext.model_validate({"staging_system": edition, "stage_group": group, **tnm})


@pytest.mark.parametrize(
    ("edition", "tnm", "group"),
    [
        ("AJCC8", "T1a N0 M0", "IA1"), ("AJCC8", "T1mi N0 M0", "IA1"),
        ("AJCC8", "T2b N0 M0", "IIA"), ("AJCC8", "T1c N1 M0", "IIB"),
        ("AJCC8", "T3 N2 M0", "IIIB"), ("AJCC8", "T4 N3 M0", "IIIC"),
        ("AJCC8", "T1a N0 M1c", "IVB"), ("AJCC8", "Tis N0 M0", "0"),
        ("AJCC9", "T1c N1 M0", "IIA"), ("AJCC9", "T1a N2a M0", "IIB"),
        ("AJCC9", "T1a N2b M0", "IIIA"), ("AJCC9", "T3 N2a M0", "IIIA"),
        ("AJCC9", "T3 N2b M0", "IIIB"), ("AJCC9", "T2a N0 M1c2", "IVB"),
    ],
)  # fmt: skip
def test_groups(kb: Knowledge, edition: str, tnm: str, group: str) -> None:
    t, n, m = tnm.split()
    stated = context(edition, group, t=t, n=n, m=m)
    assert possible_groups(stated, kb.staging) == {group}
    assert stage_problem(stated, kb.staging) is False
    wrong = context(edition, "IIIC" if group != "IIIC" else "IB", t=t, n=n, m=m)
    assert stage_problem(wrong, kb.staging) is True


@pytest.mark.parametrize(
    ("key", "value"), [("n", "N2a"), ("n", "N2b"), ("m", "M1c1"), ("m", "M1c2")]
)
@pytest.mark.parametrize("edition", ["AJCC7", "AJCC8"])
def test_categories_of_ajcc9_under_an_older_edition(
    kb: Knowledge, edition: str, key: str, value: str
) -> None:
    assert stage_problem(context(edition, None, **{key: value}), kb.staging) is True
    assert stage_problem(context("AJCC9", None, **{key: value}), kb.staging) is False


def test_missing_elements_stay_open(kb: Knowledge) -> None:
    assert stage_problem(context("AJCC8", "IVB", t="T1a"), kb.staging) is False
    assert stage_problem(context("AJCC8", "IIIA", m="M1b"), kb.staging) is True
    assert stage_problem(context("AJCC8", "IVA", m="M0"), kb.staging) is True
    assert stage_problem(context("AJCC8", "recurrent_unresectable", m="M0"), kb.staging) is False


def test_ajcc9_moves_t1n1_to_iia(kb: Knowledge) -> None:
    assert stage_problem(context("AJCC9", "IIB", t="T1a", n="N1", m="M0"), kb.staging) is True
    assert stage_problem(context("AJCC8", "IIA", t="T1a", n="N1", m="M0"), kb.staging) is True
