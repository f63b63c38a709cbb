import inspect
from collections.abc import Callable
from typing import get_type_hints

import pytest
from guideline_support import AS_OF

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.guidance import Guidance
from immunopath.domain.prediction import FieldPrediction
from immunopath.domain.provenance import Provenance
from immunopath.guidelines.engine import evaluate
from immunopath.guidelines.overlay import PredictedFacts, overlay, predicted_facts

Run = Callable[..., Guidance]
PASSED = frozenset({"cd274_expression", "msi_status", "tme_subtype", "immune_phenotype"})


def prediction() -> FieldPrediction[str]:
    return FieldPrediction[str](
        quantity="q", n_tiles=1, qc_pass=True, value="high", abstained=False,
        source=Provenance(engine="e", revision="1"),
    )  # fmt: skip


def test_evaluate_cannot_be_given_a_prediction() -> None:
    """Principle 1, at run time: no parameter, no field, no coercion takes one."""
    assert set(inspect.signature(evaluate).parameters) == {"context", "as_of", "knowledge"}
    assert get_type_hints(evaluate)["context"] is ClinicalContext
    with pytest.raises(AttributeError):
        evaluate(prediction(), as_of=AS_OF)  # type: ignore[arg-type]
    for name, field in ClinicalContext.model_fields.items():
        assert "Prediction" not in str(field.annotation), name
        assert "Predicted" not in str(field.annotation), name


@pytest.mark.parametrize("tps", ["not_done", 0, 20, 80])
def test_category_options_and_tree_are_untouched(run: Run, tps: int | str) -> None:
    plain = run(pdl1_tps=tps)
    for predicted in (
        PredictedFacts(cd274="high", msi="MSI-H", phenotype="inflamed", informative=PASSED),
        PredictedFacts(cd274="low", msi="MSS", tme="D", phenotype="desert", informative=PASSED),
        PredictedFacts(),
    ):
        shown = overlay(plain, predicted)
        for name in ("category", "options", "conditional", "measured", "what_would_change"):
            assert getattr(shown, name) == getattr(plain, name), name
        assert shown.triage.level == plain.triage.level


def test_an_informative_cd274_moves_pdl1_first_in_its_level(run: Run) -> None:
    plain = run(drivers="all_unknown", pdl1_tps="not_done")
    shown = overlay(plain, PredictedFacts(cd274="high", informative=PASSED))
    level = [t.code for t in shown.tests if t.level == "T1"]
    assert level[0] == "PDL1_IHC"
    assert {t.code for t in shown.tests} == {t.code for t in plain.tests}
    assert "PRED_PDL1_EARLIER" in shown.flag_codes()


def test_the_basis_names_a_prediction_only_where_one_can_break_a_tie(run: Run) -> None:
    predicted = PredictedFacts(cd274="high", informative=frozenset({"cd274_expression"}))
    wanted = overlay(run(drivers="all_unknown", pdl1_tps="not_done"), predicted)
    assert wanted.triage.basis == "clinical_facts_then_informative_prediction"
    known = overlay(run(drivers="all_unknown", pdl1_tps=20), predicted)
    assert known.triage.level is not None
    assert known.triage.basis == "clinical_facts_only"


def test_an_uninformative_prediction_only_reaches_the_appendix(run: Run) -> None:
    plain = run(drivers="all_unknown", pdl1_tps="not_done")
    shown = overlay(
        plain,
        PredictedFacts(cd274="high", msi="MSI-H", reasons={"msi_status": "no validation card"}),
    )
    assert shown.tests == plain.tests
    assert shown.flags == plain.flags
    assert any("not informative: no validation card" in line for line in shown.appendix)
    assert shown.triage.basis == "clinical_facts_only"


def test_a_negative_prediction_cancels_nothing(run: Run) -> None:
    plain = run(pdl1_tps="not_done")
    shown = overlay(plain, PredictedFacts(cd274="low", msi="MSS", informative=PASSED))
    assert {t.code for t in plain.tests} <= {t.code for t in shown.tests}


def test_predicted_msi_adds_a_confirmation_unless_msi_is_known(run: Run) -> None:
    predicted = PredictedFacts(msi="MSI-H", informative=PASSED)
    assert "MMR_IHC" in {t.code for t in overlay(run(pdl1_tps=20), predicted).tests}
    known = overlay(run(pdl1_tps=20, msi="MSS"), predicted)
    assert "MMR_IHC" not in {t.code for t in known.tests}


def test_rejected_input_takes_no_overlay_tests(run: Run) -> None:
    plain = run(pdl1_tps=150)
    shown = overlay(plain, PredictedFacts(msi="MSI-H", informative=PASSED))
    assert shown.tests == ()
    assert shown.flags == plain.flags


def test_the_bayes_table_has_the_published_values(run: Run) -> None:
    rows = overlay(run(pdl1_tps=20), PredictedFacts()).bayes
    assert [round(row.ppv, 2) for row in rows] == [0.10, 0.36, 0.01, 0.50, 0.35]
    assert [round(row.npv, 2) for row in rows] == [1.00, 1.00, 0.99, 0.84, 0.75]


def test_predicted_facts_carry_the_verdicts_of_the_gate(profile_of_abstentions: object) -> None:
    gates = {"msi_status": (False, "abstained"), "til_fraction": (True, "ok")}
    facts = predicted_facts(profile_of_abstentions, gates)  # type: ignore[arg-type]
    assert facts.cd274 is None
    assert facts.informative == {"til_fraction"}
    assert facts.reasons == {"msi_status": "abstained"}


@pytest.fixture
def profile_of_abstentions() -> object:
    from immunopath.domain.prediction import FIELD_VALUES, BiomarkerProfile

    nothing = {
        "quantity": "q", "n_tiles": 0, "qc_pass": True, "value": None, "abstained": True,
        "reason": "cannot be seen", "source": {"engine": "e", "revision": "1"},
    }  # fmt: skip
    return BiomarkerProfile.model_validate(dict.fromkeys(FIELD_VALUES, nothing))
