"""Gene and PD-L1 results: the vocabulary of each gene, and numbers kept as stated."""

import pytest
from domain_strategies import instances
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from immunopath.domain.measured import Measured, State
from immunopath.domain.molecular import ALTERATIONS, NEGATIVE, Gene, GeneResult, Pdl1Result

OPEN_STATES = [state for state in State if state is not State.measured]


def measured(value: str) -> Measured[str]:
    return Measured[str](state=State.measured, value=value)


def test_every_gene_has_a_vocabulary_without_repeats() -> None:
    assert set(ALTERATIONS) == set(Gene)
    for gene, allowed in ALTERATIONS.items():
        assert allowed, gene
        assert len(set(allowed)) == len(allowed)
        assert NEGATIVE not in allowed


@pytest.mark.parametrize("gene", list(Gene))
@given(st.text(max_size=12))
def test_nothing_outside_the_vocabulary_is_taken(gene: Gene, value: str) -> None:
    allowed = {NEGATIVE, *ALTERATIONS[gene]}
    if value in allowed:
        assert GeneResult(gene=gene, result=measured(value)).result.value == value
    else:
        with pytest.raises(ValidationError, match="is not one of"):
            GeneResult(gene=gene, result=measured(value))


@pytest.mark.parametrize(
    ("gene", "value"),
    [(Gene.EGFR, "V600E"), (Gene.BRAF, "L858R"), (Gene.ALK, "ex14"), (Gene.KRAS, "fusion"),
     (Gene.MET, "Negative"), (Gene.EGFR, "l858r"), (Gene.TP53, "positive")],
)  # fmt: skip
def test_the_words_of_another_gene_are_refused_with_the_right_ones(gene: Gene, value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        GeneResult(gene=gene, result=measured(value))
    for word in (NEGATIVE, *ALTERATIONS[gene]):
        assert word in str(caught.value)


@pytest.mark.parametrize("gene", list(Gene))
@pytest.mark.parametrize("state", OPEN_STATES)
def test_a_gene_without_a_result_is_never_negative(gene: Gene, state: State) -> None:
    result = GeneResult(gene=gene, result=Measured[str](state=state))
    assert result.result.value is None
    assert not result.result.known


@pytest.mark.parametrize("gene", ["EGFR2", "egfr", "HER2", ""])
def test_an_unknown_gene_is_refused(gene: str) -> None:
    with pytest.raises(ValidationError, match="gene"):
        GeneResult.model_validate({"gene": gene, "result": {"state": "pending"}})


def test_whether_tumour_dna_was_seen_is_unknown_unless_said() -> None:
    assert GeneResult(gene=Gene.ALK, result=measured("fusion")).shedding_detected is None


@settings(max_examples=40, deadline=None)
@given(instances(GeneResult))
def test_results_survive_json_with_their_type(result: GeneResult) -> None:
    back = GeneResult.model_validate_json(result.model_dump_json())
    assert back == result
    assert type(back.gene) is Gene


@pytest.mark.parametrize("stated", ["<1", ">=50", "1-49", "10", 30.0, 0.5, 150.0, -3.0])
def test_a_tps_is_kept_as_the_laboratory_wrote_it(stated: float | str) -> None:
    result = Pdl1Result(tps=Measured[float | str](state=State.measured, value=stated))
    back = Pdl1Result.model_validate_json(result.model_dump_json())
    assert back.tps.value == stated
    assert type(back.tps.value) is type(stated)


@pytest.mark.parametrize(
    ("key", "value"), [("score_type", "tps"), ("assay", "22c3"), ("unit", "fraction")]
)
def test_scores_and_assays_have_names(key: str, value: str) -> None:
    with pytest.raises(ValidationError, match=key):
        Pdl1Result.model_validate({"tps": {"state": "pending"}, key: value})
