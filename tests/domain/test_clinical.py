import pytest
from pydantic import ValidationError

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.measured import Measured, State
from immunopath.domain.molecular import ALTERATIONS, Gene, GeneResult, Pdl1Result


def test_an_empty_context_knows_nothing() -> None:
    context = ClinicalContext()
    assert context.histology == "unknown"
    assert context.ecog is None
    assert context.prior_therapies is None
    assert context.genes == ()
    assert context.transplant == "unknown"


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(ValidationError):
        ClinicalContext.model_validate({"tps": 3})


@pytest.mark.parametrize("key", ["pred", "pred_cd274"])
def test_predictions_are_refused_by_name(key: str) -> None:
    with pytest.raises(ValidationError, match="no clinical facts"):
        ClinicalContext.model_validate({key: "high"})


@pytest.mark.parametrize(
    ("field", "value"),
    [("ecog", 5), ("age_years", -1), ("age_years", 140), ("line", 0), ("tumour_size_cm", 0),
     ("weight_kg", 5), ("neuropathy_grade", 9)],
)  # fmt: skip
def test_ranges(field: str, value: float) -> None:
    with pytest.raises(ValidationError):
        ClinicalContext.model_validate({field: value})


def test_it_is_frozen() -> None:
    with pytest.raises(ValidationError):
        ClinicalContext().ecog = 1  # type: ignore[misc]


@pytest.mark.parametrize("gene", list(Gene))
def test_each_gene_has_its_alterations(gene: Gene) -> None:
    for value in ("negative", *ALTERATIONS[gene]):
        result = GeneResult(gene=gene, result=Measured[str](state=State.measured, value=value))
        assert result.result.value == value
    with pytest.raises(ValidationError, match="is not one of"):
        GeneResult(gene=gene, result=Measured[str](state=State.measured, value="nonsense"))


def test_an_impossible_tps_is_kept_as_stated_for_the_rules_to_judge() -> None:
    result = Pdl1Result(tps=Measured[float | str](state=State.measured, value=150.0))
    assert result.tps.value == 150.0


def test_json_round_trip() -> None:
    context = ClinicalContext(age_years=61, histology="squamous", prior_therapies=())
    assert ClinicalContext.model_validate_json(context.model_dump_json()) == context
