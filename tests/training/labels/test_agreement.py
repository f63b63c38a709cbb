import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, pearsonr, spearmanr

from immunopath.domain.errors import CohortError, DuplicatePatient, LabelError
from immunopath.training.labels.agreement import Agreement, Values, agree
from immunopath.training.labels.compare import compare_table
from immunopath.training.labels.genes import load_gene_sets
from immunopath.training.labels.open_table import gene_scores, published_measures, read_open_table

TABLE = Path(__file__).parents[2] / "data/rna/open_labels_cut.tsv"


def column(name: str, values: list[float], **change: object) -> Values:
    of = {f"p{i:03d}": v for i, v in enumerate(values)}
    return Values.model_validate({"name": name, "of": of, **change})


def single(one: Values, other: Values, bootstraps: int = 200) -> Agreement:
    groups = {"all": frozenset(one.of)}
    (found,) = agree([one], [other], groups, bootstraps=bootstraps, seed=1)
    return found


@given(st.integers(0, 50))
def test_values_are_those_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one = rng.normal(size=30).round(1).tolist()
    other = (np.array(one) + rng.normal(size=30)).round(1).tolist()
    truth = [float(v > 0) for v in other]
    found = single(column("a", one), column("b", other), 100)
    assert found.spearman is not None
    assert found.pearson is not None
    assert found.spearman.value == pytest.approx(spearmanr(one, other).statistic)
    assert found.pearson.value == pytest.approx(pearsonr(one, other).statistic)
    if 0 < sum(truth) < 30:
        ranked = single(column("a", one), column("c", truth, binary=True), 100)
        high = [v for v, t in zip(one, truth, strict=True) if t]
        low = [v for v, t in zip(one, truth, strict=True) if not t]
        area = mannwhitneyu(high, low).statistic / (len(high) * len(low))
        assert ranked.auroc is not None
        assert ranked.auroc.value == pytest.approx(area)


def test_the_interval_covers_the_true_correlation_as_often_as_it_says() -> None:
    """Sixty samples of two normals with correlation 0.6: about 57 of 95 % intervals hold it."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(60):
        a = rng.normal(size=80)
        b = 0.6 * a + 0.8 * rng.normal(size=80)
        found = single(column("a", a.tolist()), column("b", b.tolist()))
        assert found.pearson is not None
        hits += found.pearson.low <= 0.6 <= found.pearson.high
    assert hits >= 50


def test_what_chance_reaches_is_stated() -> None:
    rng = np.random.default_rng(0)
    found = single(column("a", rng.normal(size=401).tolist()), column("b", list(range(401))))
    assert found.spearman is not None
    assert found.spearman.null == 0.0
    assert found.spearman.chance == pytest.approx(1.96 / 20)
    assert abs(found.spearman.value) < 2 * found.spearman.chance


def test_a_constant_says_nothing_and_has_no_number() -> None:
    found = single(column("a", [1.0] * 20), column("b", list(range(20))))
    assert found.constant
    assert (found.spearman, found.pearson, found.auroc) == (None, None, None)


def test_too_few_patients_or_resamples_are_refused() -> None:
    nine = column("a", list(range(9)))
    with pytest.raises(LabelError, match=r"9 patients have both .*; 10 are needed"):
        single(nine, nine)
    many = column("b", list(range(20)))
    groups = {"all": frozenset(many.of), "few": frozenset(nine.of)}
    whole, few = agree([many], [many], groups, bootstraps=100, seed=0)
    assert (few.too_few, few.n, few.spearman) == (True, 9, None)
    assert whole.spearman is not None
    with pytest.raises(LabelError, match="at least 100"):
        single(column("a", list(range(20))), column("b", list(range(20))), bootstraps=5)


def test_genes_in_both_are_counted() -> None:
    one = column("a", list(range(20)), genes=("CD8A", "IDO1"))
    other = column("b", list(range(20)), genes=("CD8A", "CD27"))
    assert single(one, other).shared_genes == 1


def test_the_open_table_gives_the_genes_it_has() -> None:
    table = read_open_table(TABLE)
    assert len(table.projects) == 200
    assert "HLA-DQA1" in table.genes
    train = [m.patient_id for m in table.members()][:150]
    scores = {v.name: v for v in gene_scores(table, train, load_gene_sets())}
    assert len(scores["immune axis"].genes) == 11
    assert scores["CD8 genes"].genes == ("CD8A", "CXCL9")
    measures = {v.name: v for v in published_measures(table, train, load_gene_sets())}
    rest = measures["GEP18 genes that labels do not use (6)"]
    assert not set(rest.genes) & set(scores["immune axis"].genes)


def test_moments_come_from_the_training_patients() -> None:
    table = read_open_table(TABLE)
    known = sorted(table.genes["CD274"])
    (score,) = (
        v for v in gene_scores(table, known[:50], load_gene_sets()) if v.name == "CD274 alone"
    )
    train = [score.of[p] for p in known[:50]]
    assert np.mean(train) == pytest.approx(0, abs=1e-9)
    assert np.std(train) == pytest.approx(1)
    assert abs(np.mean([score.of[p] for p in known[50:]])) > 1e-3


def test_the_comparison_holds_groups_and_counts() -> None:
    found = compare_table(TABLE, bootstraps=100, seed=1)
    assert {row.group for row in found.rows} == {"all", "held out", "LUAD", "LUSC"}
    assert (found.patients, found.train + found.held_out) == (200, 200)
    assert found.msi.conflicts == 1
    axis = {
        row.measure: row
        for row in found.rows
        if row.score == "immune axis" and row.group == "all" and row.spearman is not None
    }
    gep, leukocytes = axis["GEP18 score"], axis["leukocyte fraction (methylation)"]
    assert gep.shared_genes == 11
    assert leukocytes.shared_genes == 0
    assert gep.spearman is not None
    assert leukocytes.spearman is not None
    assert gep.spearman.value > 0.95
    assert leukocytes.spearman.low > leukocytes.spearman.chance
    assert all(math.isfinite(r.spearman.low) for r in found.rows if r.spearman is not None)


def test_scores_of_a_cohort_take_the_place_of_the_genes(tmp_path: Path) -> None:
    table = read_open_table(TABLE)
    path = tmp_path / "scores.csv"
    rows = ["patient_id,split,til,cd8,ifng,cd274"]
    for at, (patient, value) in enumerate(sorted(table.numbers["leukocyte_fraction"].items())):
        split = "train" if at % 2 else "test"
        rows.append(f"{patient}-01A,{split},{value},{-value},0.1,{value * 2}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    found = compare_table(TABLE, path, bootstraps=100, seed=1)
    (til, ifng) = (
        next(
            row
            for row in found.rows
            if row.score == name and row.group == "all" and row.measure.startswith("leukocyte")
        )
        for name in ("TIL", "IFN-γ")
    )
    assert til.spearman is not None
    assert til.spearman.value == pytest.approx(1.0)
    assert ifng.constant


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("who\texpr_CD274\n1\t2\n", CohortError, "has no column 'case'"),
        ("case\texpr_CD274\n1\tx\n", CohortError, "line 2: expr_cd274: 'x' is no number"),
        ("case\texpr_CD274\nTCGA-05-4244\t1\nTCGA-05-4244-01\t1\n", DuplicatePatient, "line 3"),
    ],
)
def test_a_bad_table_is_named(
    tmp_path: Path, text: str, error: type[Exception], message: str
) -> None:
    path = tmp_path / "t.tsv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(error, match=message):
        read_open_table(path)


def test_a_table_without_label_genes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    rows = "\n".join(f"p{i}\tLUAD\t{i}" for i in range(40))
    path.write_text(f"case\tproject\tgep18_score\n{rows}\n", encoding="utf-8")
    with pytest.raises(LabelError, match="no expr_ column of a label gene"):
        compare_table(path, bootstraps=100, seed=0)
