from pathlib import Path

import pytest
from guideline_support import AS_OF, HERE

from immunopath.domain.errors import CaseFileError
from immunopath.guidelines.check import check_file, load_vignettes, run_inputs, violates
from immunopath.guidelines.loader import Knowledge

GOOD = "{histology: adenocarcinoma, drivers: all_neg, pdl1_tps: 80}"


@pytest.mark.parametrize("name", ["vignettes.yaml", "vignettes_own.yaml"])
def test_every_vignette_passes(name: str) -> None:
    results = check_file(HERE / name, as_of=AS_OF)
    failed = {
        r.id: [(a.name, a.detail) for a in r.aspects if not a.passed]
        for r in results
        if not r.passed
    }
    assert failed == {}


def test_half_of_our_own_vignettes_are_tricky() -> None:
    own = load_vignettes(HERE / "vignettes_own.yaml")
    assert len(own) >= 60
    assert sum(v.tricky for v in own) >= len(own) / 2


def write(folder: Path, expect: str, inputs: str = GOOD) -> Path:
    path = folder / "v.yaml"
    path.write_text(f"- id: X1\n  title: t\n  inputs: {inputs}\n  expect: {expect}\n")
    return path


@pytest.mark.parametrize(
    ("expect", "aspect"),
    [
        ("{category: TEST_FIRST}", "category"),
        ("{rule: NSQ-L}", "rule"),
        ("{regimens_all: [RX-PEMBRO, RX-OSI]}", "regimens_all"),
        ("{regimens_any: [RX-OSI]}", "regimens_any"),
        ("{regimens_none: true}", "regimens_none"),
        ("{required_tests: [REBIOPSY]}", "tests"),
        ("{flags: [TKI_AFTER_ICI]}", "flags"),
        ("{must_not: [RX-PEMBRO]}", "must_not"),
        ("{must_not: [ANY_ICI]}", "must_not"),
        ("{must_not: [ICI_MONO]}", "must_not"),
        ("{must_not: [ANY_DRUG]}", "must_not"),
        ("{must_not: [ANY_CHEMO]}", "must_not"),
        ("{must_not: [PEMETREXED]}", "must_not"),
        ("{must_not: [BEVACIZUMAB]}", "must_not"),
        ("{must_not: [DURVALUMAB]}", "must_not"),
        ("{must_not: [ICI_RANKED_FIRST]}", "must_not"),
        ("{}", "category"),
    ],
)
def test_a_wrong_expectation_fails_on_its_own_aspect(
    tmp_path: Path, expect: str, aspect: str
) -> None:
    (result,) = check_file(write(tmp_path, expect), as_of=AS_OF)
    assert result.passed is False
    assert [a.name for a in result.aspects if not a.passed] == [aspect]


@pytest.mark.parametrize(
    ("expect", "inputs", "word"),
    [
        ("{category: MAYBE}", GOOD, "category"),
        ("{rule: NSQ-Z}", GOOD, "NSQ-Z"),
        ("{must_not: [ANYTHING]}", GOOD, "ANYTHING"),
        ("{flags: [NO_FLAG]}", GOOD, "NO_FLAG"),
        ("{required_tests: [NO_TEST]}", GOOD, "NO_TEST"),
        ("{regimens_any: [RX-NO]}", GOOD, "RX-NO"),
        ("{unexpected: 1}", GOOD, "unexpected"),
        ("{category: TEST_FIRST}", "{histologi: x}", "histologi"),
        ("{category: TEST_FIRST}", "{pred: {mood: high}}", "pred"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, expect: str, inputs: str, word: str
) -> None:
    with pytest.raises(CaseFileError, match=word) as caught:
        check_file(write(tmp_path, expect, inputs), as_of=AS_OF)
    assert "v.yaml" in str(caught.value)


def test_empty_and_repeated(tmp_path: Path) -> None:
    path = tmp_path / "v.yaml"
    path.write_text("[]")
    with pytest.raises(CaseFileError, match="expected a list"):
        check_file(path, as_of=AS_OF)
    one = f"- {{id: A, inputs: {GOOD}, expect: {{rule: NSQ-H}}}}\n"
    path.write_text(one + one)
    with pytest.raises(CaseFileError, match="appears twice"):
        check_file(path, as_of=AS_OF)


def test_claims_without_a_measurement_are_seen(kb: Knowledge) -> None:
    measured = run_inputs(
        {"histology": "squamous", "drivers": "all_neg", "pdl1_tps": 20}, as_of=AS_OF
    )
    assert violates(kb, "PRED_AS_MEASURED", {}, measured)
    assert violates(kb, "NEGATIVE_FROM_UNKNOWN", {"drivers": "all_unknown"}, measured)
    assert not violates(kb, "NEGATIVE_FROM_UNKNOWN", {"drivers": "all_neg"}, measured)
    assert not violates(kb, "EGFR_TKI", {}, measured)
