import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rna_cohort import make_cohort
from scipy.stats import zscore

from immunopath.domain.errors import GeneMissing, LabelError
from immunopath.training.labels.genes import GeneSets, load_gene_sets
from immunopath.training.labels.signatures import SignatureModel, fit_signatures, moments_of

SETS = load_gene_sets()
COHORT = make_cohort(20)
TRAIN = COHORT.patients[:14]


def test_the_gene_sets_are_those_of_the_published_run() -> None:
    assert {name: len(genes) for name, genes in SETS.sets.items()} == {
        "cd8": 8,
        "ifng": 18,
        "til": 10,
        "pdl1_related": 7,
        "exhaustion": 7,
    }
    assert len({gene for genes in SETS.sets.values() for gene in genes}) == 34
    assert len(SETS.reference["gep18"]) == 18
    assert SETS.version
    assert "c15d32a" in SETS.source


def test_a_score_is_the_mean_of_gene_z_scores() -> None:
    """Against scipy on the training patients: the published formula, ddof 0."""
    model = fit_signatures(COHORT.log2, TRAIN, SETS)
    for name in ("til", "cd8", "ifng"):
        table = np.array([[COHORT.log2[p][g] for g in SETS.sets[name]] for p in TRAIN])
        expected = zscore(table, axis=0, ddof=0).mean(axis=1)
        found = [model.score(COHORT.log2[p])[name] for p in TRAIN]
        assert found == pytest.approx(expected)


def test_moments_come_from_the_training_patients_alone() -> None:
    changed = {p: dict(COHORT.log2[p]) for p in COHORT.patients}
    for patient in COHORT.patients[14:]:
        changed[patient] = dict.fromkeys(changed[patient], 99.0)
    assert fit_signatures(changed, TRAIN, SETS) == fit_signatures(COHORT.log2, TRAIN, SETS)


def without(*genes: str) -> dict[str, dict[str, float]]:
    return {p: {g: v for g, v in COHORT.log2[p].items() if g not in genes} for p in TRAIN}


def test_a_missing_gene_is_an_error_that_lists_it() -> None:
    with pytest.raises(GeneMissing, match=r"patient TCGA-10-1000: 2 genes are missing: CD19, CD3D"):
        fit_signatures(without("CD3D", "CD19"), TRAIN, SETS)


def test_missing_genes_can_be_done_without_up_to_half_a_signature() -> None:
    model = fit_signatures(without("CD3D", "CD19"), TRAIN, SETS, allow_missing=True)
    assert model.missing == ("CD19", "CD3D")
    assert len(model.signatures["til"]) == 8
    lost = ("CD3D", "CD3E", "CD3G", "CD4", "FOXP3", "CD19")
    with pytest.raises(LabelError, match=r"signature til keeps 4 of 10 genes.*CD19, CD3D"):
        fit_signatures(without(*lost), TRAIN, SETS, allow_missing=True)
    with pytest.raises(LabelError, match="CD274"):
        fit_signatures(without("CD274"), TRAIN, SETS, allow_missing=True)


def test_a_gene_with_one_value_counts_in_no_mean_and_is_recorded() -> None:
    flat = {p: COHORT.log2[p] | {"IFNG": 0.1} for p in TRAIN}
    model = fit_signatures(flat, TRAIN, SETS)
    assert model.flat == ("IFNG",)
    assert "IFNG" not in model.signatures["ifng"]
    assert all(np.isfinite(list(model.score(flat[p]).values())).all() for p in TRAIN)


def test_a_new_sample_must_name_the_fitted_genes() -> None:
    model = fit_signatures(COHORT.log2, TRAIN, SETS)
    with pytest.raises(GeneMissing, match="patient new: 1 gene is missing: GZMA"):
        model.score({g: v for g, v in COHORT.log2[TRAIN[0]].items() if g != "GZMA"}, "patient new")


@given(st.lists(st.floats(0, 20), min_size=2, max_size=30))
def test_moments_agree_with_numpy(values: list[float]) -> None:
    mean, sd = moments_of(values)
    assert mean == pytest.approx(float(np.mean(values)))
    assert sd == pytest.approx(float(np.std(values)), abs=1e-9)


@given(st.floats(0, 20), st.integers(2, 30))
def test_equal_values_have_no_spread_at_all(value: float, n: int) -> None:
    assert moments_of([value] * n) == (value, 0.0)


def test_one_patient_has_no_moments() -> None:
    with pytest.raises(LabelError, match="at least 2"):
        fit_signatures(COHORT.log2, TRAIN[:1], SETS)


def test_gene_sets_without_a_needed_signature_are_refused() -> None:
    with pytest.raises(ValueError, match="set cd8, ifng is missing"):
        GeneSets(version="1", source="x", sets={"til": ("CD4",)}, reference={})
    with pytest.raises(ValueError, match="signature til"):
        SignatureModel(gene_sets="1", genes={}, signatures={"til": ("CD4",)})
