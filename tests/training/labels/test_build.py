import gzip
import hashlib
import json
from pathlib import Path

import pytest
from rna_cohort import FILLER, Cohort, file_id, make_cohort, write_calls, write_files, write_gmt

from immunopath.domain.errors import (
    CohortError,
    DuplicatePatient,
    ExpressionError,
    GeneMissing,
    LeakageError,
    OneClassField,
    SplitError,
)
from immunopath.training.cohort.manifest import ManifestRow
from immunopath.training.labels.build import BuildOptions, Built, Sources, build_cohort
from immunopath.training.labels.calls import read_calls
from immunopath.training.labels.expression import read_matrix
from immunopath.training.labels.folder import write_cohort
from immunopath.training.labels.recipe import read_recipe
from immunopath.training.labels.ssgsea import read_gmt
from immunopath.training.samples import read_samples
from immunopath.training.splits import read_split

COHORT = make_cohort(60, seed=2)
OPTIONS = BuildOptions(fractions=(0.6, 0.2, 0.2))


def rows(cohort: Cohort = COHORT) -> list[ManifestRow]:
    return [
        ManifestRow(
            patient_id=p,
            cancer_type="LUAD" if at % 2 else "LUSC",
            site=p[5:7],
            slides=(f"slide-{p}/{p}-01Z-00-DX1.A.svs",),
            expression=f"{file_id(p)}/{p.lower()}.rna_seq.augmented_star_gene_counts.tsv",
            aliquot=f"{p}-01A-11R-A123-07",
        )
        for at, p in enumerate(cohort.patients)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rna")
    write_files(path, COHORT)
    write_calls(path / "calls.tsv", COHORT)
    return path


@pytest.fixture(scope="module")
def sources(folder: Path) -> Sources:
    return Sources(root=folder, calls=read_calls([folder / "calls.tsv"]))


@pytest.fixture(scope="module")
def built(sources: Sources) -> Built:
    return build_cohort(rows(), sources, OPTIONS)


def test_a_cohort_is_split_labelled_and_written(
    built: Built, sources: Sources, tmp_path: Path
) -> None:
    summary = write_cohort(tmp_path, built, dict(sources.calls))
    samples = read_samples(tmp_path / "samples.jsonl")
    assert samples == built.samples
    assert {s.origin for s in samples} == {"rna"}
    assert samples[0].slides == (f"{samples[0].patient_id}-01Z-00-DX1.A",)
    assert read_split(tmp_path / "splits") == {s.patient_id: s.split for s in samples}
    assert read_recipe(tmp_path / "labels.json") == built.recipe
    assert summary["splits"] == {"train": 36, "val": 12, "test": 12}
    assert json.loads((tmp_path / "cohort.json").read_text()) == summary
    assert summary["msi"]["msi_h"] == 12
    scores = (tmp_path / "scores.csv").read_text().splitlines()
    assert len(scores) == 61
    assert scores[0].startswith("patient_id,split,til,cd8")


def test_stored_constants_label_a_new_cohort_the_same_way(built: Built, folder: Path) -> None:
    sources = Sources(root=folder, calls=read_calls([folder / "calls.tsv"]), recipe=built.recipe)
    again = build_cohort(rows(), sources, OPTIONS)
    assert again.labelled == built.labelled
    before = {s.patient_id: s.split for s in built.samples}
    for sample in again.samples:  # no training patient becomes a test patient
        known = before[sample.patient_id] == "train"
        assert sample.split == ("train" if known else "test")
    fresh = [row for row in rows() if before[row.patient_id] != "train"]
    outside = build_cohort(fresh, sources, OPTIONS)
    assert {s.split for s in outside.samples} == {"test"}
    assert outside.counts[0].known == 24


def test_a_training_patient_cannot_be_held_out_under_stored_constants(
    built: Built, folder: Path
) -> None:
    patient = next(s.patient_id for s in built.samples if s.split == "train")
    row = next(r for r in rows() if r.patient_id == patient)
    renamed = row.model_copy(update={"patient_id": f"{patient}-01A", "split": "val"})
    with pytest.raises(LeakageError, match=rf"1 held-out patient .* \({patient}-01A\)"):
        build_cohort([renamed], Sources(root=folder, recipe=built.recipe), OPTIONS)


def test_expression_decides_the_labels(built: Built) -> None:
    by_til = sorted(built.labelled, key=lambda p: built.labelled[p].scores.til)
    fractions = [built.labelled[p].fields["til_fraction"] for p in by_til]
    assert fractions == sorted(fractions, key=float)  # type: ignore[arg-type]
    truth = {p: sum(COHORT.log2[p][g] for g in ("CD3D", "CD3E", "CD19")) for p in by_til}
    assert truth[by_til[-1]] > truth[by_til[0]]


def test_a_matrix_serves_as_well_as_files(built: Built, folder: Path, tmp_path: Path) -> None:
    genes = list(COHORT.log2[COHORT.patients[0]])
    text = ["\t".join(("gene", *COHORT.patients))]
    tpm = {p: COHORT.tpm(p) for p in COHORT.patients}
    text += ["\t".join((g, *(repr(tpm[p][g]) for p in COHORT.patients))) for g in genes]
    path = tmp_path / "matrix.tsv"
    path.write_text("\n".join(text) + "\n")
    sources = Sources(
        root=tmp_path, matrix=read_matrix(path), calls=read_calls([folder / "calls.tsv"])
    )
    assert build_cohort(rows(), sources, OPTIONS).labelled == built.labelled
    extra = [*rows(), ManifestRow(patient_id="ghost")]
    with pytest.raises(ExpressionError, match="patient ghost: is no column of the matrix"):
        build_cohort(extra, sources, OPTIONS)


def test_missing_subtypes_are_filled_by_the_users_gene_sets(folder: Path, tmp_path: Path) -> None:
    calls = read_calls([write_calls(tmp_path / "c.tsv", COHORT, known=50)])
    sources = Sources(root=folder, calls=calls, gmt=read_gmt(write_gmt(tmp_path / "s.gmt")))
    built = build_cohort(rows(), sources, OPTIONS)
    filled = [p for p, row in built.labelled.items() if row.tme_source == "classifier"]
    assert filled == list(COHORT.patients[50:])
    stored = Sources(root=folder, calls=calls, recipe=built.recipe)
    assert build_cohort(rows(), stored, OPTIONS).labelled == built.labelled


def test_sites_stay_whole_on_demand(sources: Sources) -> None:
    built = build_cohort(rows(), sources, OPTIONS.model_copy(update={"by_site": True}))
    places = {(s.site, s.split) for s in built.samples}
    assert len(places) == 6


def test_a_split_of_the_manifest_is_kept_whole_or_not_at_all(sources: Sources) -> None:
    given = [
        row.model_copy(update={"split": ("train", "val", "test")[at // 20]})
        for at, row in enumerate(rows())
    ]
    built = build_cohort(given, sources, OPTIONS)
    assert built.plan is None
    assert [s.split for s in built.samples] == [row.split for row in given]
    with pytest.raises(CohortError, match="59 patients have no split"):
        build_cohort([given[0], *rows()[1:]], sources, OPTIONS)
    with pytest.raises(LeakageError, match="site 10 is in"):
        build_cohort(given, sources, OPTIONS.model_copy(update={"by_site": True}))


def test_leakage_stops_before_anything_is_fitted(sources: Sources) -> None:
    first, second, *rest = rows()
    twin = second.model_copy(update={"slides": first.slides})
    with pytest.raises(LeakageError, match=r"slide TCGA-10-1000-01Z-00-DX1\.A is in"):
        build_cohort([first, twin, *rest], sources, OPTIONS)


def test_an_unreadable_file_is_named_or_listed(folder: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.tsv.gz"
    cut.write_bytes(gzip.compress(b"gene_name\ttpm_unstranded\n")[:-6])
    sources = Sources(root=folder, calls=read_calls([folder / "calls.tsv"]))
    first, *rest = rows()
    broken = [first.model_copy(update={"expression": str(cut)}), *rest]
    with pytest.raises(ExpressionError, match=r"cut\.tsv\.gz: cannot be read"):
        build_cohort(broken, sources, OPTIONS)
    built = build_cohort(broken, sources, OPTIONS.model_copy(update={"skip_unreadable": True}))
    assert len(built.samples) == 59
    assert "cut short" in built.dropped[first.patient_id]


def test_missing_genes_and_a_wrong_md5_are_named(folder: Path, tmp_path: Path) -> None:
    poor = tmp_path / "poor.tsv"
    poor.write_text("gene\ttpm\nCD274\t1\n")
    sources = Sources(root=tmp_path)
    row = ManifestRow(patient_id="own", expression="somewhere/poor.tsv")
    with pytest.raises(GeneMissing, match=r"patient own: 28 genes are missing: CCR5, CD19"):
        build_cohort([row], sources, OPTIONS)
    digest = hashlib.md5(poor.read_bytes(), usedforsecurity=False).hexdigest()
    wrong = row.model_copy(update={"md5": digest[::-1]})
    with pytest.raises(ExpressionError, match="another md5"):
        build_cohort([wrong], sources, OPTIONS)
    with pytest.raises(ExpressionError, match="names no expression file"):
        build_cohort([ManifestRow(patient_id="own")], sources, OPTIONS)
    with pytest.raises(CohortError, match="no patient with usable expression"):
        build_cohort([row], sources, OPTIONS.model_copy(update={"skip_unreadable": True}))


def test_one_class_and_duplicates_stop_the_build(sources: Sources, folder: Path) -> None:
    everyone_stable = {
        p: c.model_copy(update={"msi": c.msi.model_copy(update={"value": "MSS"})})
        for p, c in sources.calls.items()
    }
    stable = Sources(root=folder, calls=everyone_stable)
    with pytest.raises(OneClassField, match="msi_status"):
        build_cohort(rows(), stable, OPTIONS)
    free = OPTIONS.model_copy(update={"without": ("msi_status",)})
    assert {s.labels["msi_status"] for s in build_cohort(rows(), stable, free).samples} == {None}
    with pytest.raises((DuplicatePatient, LeakageError, SplitError)):
        build_cohort([*rows(), rows()[0]], sources, OPTIONS)


def test_the_made_up_cohort_has_the_filler_its_gene_sets_need() -> None:
    assert set(FILLER) < COHORT.log2[COHORT.patients[0]].keys()
