"""The agreement table: label scores beside published measures, with the counts of MSI calls."""

from pathlib import Path

from immunopath.domain.base import Frozen
from immunopath.domain.errors import CohortError
from immunopath.training.cohort.barcodes import patient_key
from immunopath.training.labels.agreement import Agreement, Values, agree
from immunopath.training.labels.calls import read_calls
from immunopath.training.labels.genes import CHECKPOINT, GeneSets, load_gene_sets
from immunopath.training.labels.msi import MsiCounts, count_msi
from immunopath.training.labels.open_table import (
    gene_scores,
    published_measures,
    read_open_table,
)
from immunopath.training.splits import make_split
from immunopath.training.tables import number_of, read_table


class TableComparison(Frozen):
    """What `compare_table` finds; split: patients in train and held out."""

    rows: tuple[Agreement, ...]
    msi: MsiCounts
    patients: int
    train: int
    held_out: int
    seed: int
    bootstraps: int


def compare_table(
    path: Path, scores: Path | None = None, *, bootstraps: int, seed: int, by_site: bool = False
) -> TableComparison:
    """Compare scores with the published measures: all patients, held out, by cancer type.

    scores: ``scores.csv`` of a cohort, whose split counts then; None takes the table's genes and
    splits its patients here. Gene moments always come from the training patients.
    """
    table = read_open_table(path)
    sets = load_gene_sets()
    if scores is None:
        plan = make_split(table.members(), seed=seed, by_site=by_site)
        train = frozenset(plan.ids("train"))
        made = gene_scores(table, train, sets)
    else:
        made, train = cohort_scores(scores, sets)
    everyone = frozenset(table.projects)
    groups = {"all": everyone, "held out": everyone - train}
    for project in sorted(set(table.projects.values()) - {""}):
        groups[project] = frozenset(p for p, found in table.projects.items() if found == project)
    measures = published_measures(table, train & everyone, sets)
    rows = agree(made, measures, groups, bootstraps=bootstraps, seed=seed)
    calls = read_calls([path])
    return TableComparison(
        rows=rows,
        msi=count_msi(calls[p].msi for p in sorted(calls)),
        patients=len(everyone),
        train=len(everyone & train),
        held_out=len(everyone - train),
        seed=seed,
        bootstraps=bootstraps,
    )


def cohort_scores(path: Path, sets: GeneSets) -> tuple[tuple[Values, ...], frozenset[str]]:
    """Return the scores of a cohort's ``scores.csv``, and its training patients."""
    rows = read_table(path, "the scores.csv of a cohort folder")
    columns = {"til": "TIL", "cd8": "CD8", "ifng": "IFN-γ", "cd274": "CD274"}
    of: dict[str, dict[str, float]] = {name: {} for name in columns}
    train: set[str] = set()
    for number, row in rows:
        patient = patient_key(row.get("patient_id", ""))
        for name, column in of.items():
            value = number_of(row, (name,), f"{path}: line {number}: {name}")
            if value is None or not patient:
                raise CohortError(f"{path}: line {number}: patient_id or {name} is missing")
            column[patient] = value
        if row.get("split") == "train":
            train.add(patient)
    made = [
        Values(name=columns[name], of=column, genes=sets.sets.get(name, (CHECKPOINT,)))
        for name, column in of.items()
    ]
    return tuple(made), frozenset(train)
