"""The published open-access measures of TCGA lung tumours, beside scores that are made here.

Columns (all but ``case`` may be missing): project; expr_GENE, log2 expression of single genes;
gep18_score; leukocyte_fraction (from methylation, so independent of RNA); cibersort_*; thorsson_C
and Thorsson 2018's signatures; msi_mantis, msi_sensor.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from immunopath.domain.base import Frozen
from immunopath.domain.errors import CohortError, DuplicatePatient, LabelError
from immunopath.training.cohort.barcodes import barcode_in, patient_key
from immunopath.training.labels.agreement import Values
from immunopath.training.labels.genes import CHECKPOINT, LABEL_SETS, GeneSets
from immunopath.training.labels.signatures import Moments, moments_of
from immunopath.training.splits import Member, strata
from immunopath.training.tables import number_of, read_table

_EXPR: Final = "expr_"
_CELLS: Final = "cibersort_"
LYMPHOCYTES: Final = (
    "cibersort_b_cells_memory",
    "cibersort_b_cells_naive",
    "cibersort_plasma_cells",
    "cibersort_t_cells_cd8",
    "cibersort_t_cells_cd4_naive",
    "cibersort_t_cells_cd4_memory_activated",
    "cibersort_t_cells_cd4_memory_resting",
    "cibersort_t_cells_follicular_helper",
    "cibersort_t_cells_regulatory_tregs",
    "cibersort_t_cells_gamma_delta",
    "cibersort_nk_cells_activated",
    "cibersort_nk_cells_resting",
)
_CD8_CELLS: Final = "cibersort_t_cells_cd8"
_LEUKOCYTES: Final = "leukocyte_fraction"
_IFN_DOMINANT: Final = 2.0
"""Immune subtype C2 of Thorsson 2018, IFN-γ dominant."""
_GEP18: Final = "gep18_score"
_PUBLISHED: Final = {
    _GEP18: "GEP18 score",
    _LEUKOCYTES: "leukocyte fraction (methylation)",
    _CD8_CELLS: "CIBERSORT CD8 share",
    "liexpression_score": "Thorsson lymphocyte score",
    "module3_ifn_score": "Thorsson IFN module",
    "tgfb_score_21050467": "Thorsson TGF-β score",
    "chang_core_serum_response_up": "Thorsson wound healing",
}


class OpenTable(Frozen):
    """The table by patient: expression of single genes and every other number."""

    projects: dict[str, str]
    sites: dict[str, str]
    genes: dict[str, dict[str, float]]
    """log2 expression by gene, then patient."""
    numbers: dict[str, dict[str, float]]
    """By column, then patient."""

    def members(self) -> tuple[Member, ...]:
        """All patients with what a split needs."""
        kinds = strata(self.projects, self.genes.get(CHECKPOINT, {}))
        return tuple(
            Member(patient_id=p, stratum=kinds[p], site=self.sites[p])
            for p in sorted(self.projects)
        )


def read_open_table(path: Path) -> OpenTable:
    """Read the table; raises `CohortError` or `DuplicatePatient` naming the line."""
    rows = read_table(path, "a table of published measures with a column 'case'")
    columns = rows[0][1]
    if "case" not in columns:
        raise CohortError(f"{path}: has no column 'case'")
    genes: dict[str, dict[str, float]] = {n[len(_EXPR) :].upper(): {} for n in columns if _is(n)}
    numbers: dict[str, dict[str, float]] = {
        n: {} for n in columns if n not in {"case", "project"} and not _is(n)
    }
    projects: dict[str, str] = {}
    sites: dict[str, str] = {}
    for number, row in rows:
        patient = patient_key(row["case"])
        if patient in projects:
            raise DuplicatePatient(f"{path}: line {number}: patient {patient} is there twice")
        projects[patient] = row.get("project", "")
        barcode = barcode_in(patient)
        sites[patient] = barcode.tss if barcode is not None else ""
        for name in columns:
            if name in {"case", "project"}:
                continue
            value = number_of(row, (name,), f"{path}: line {number}: {name}")
            if value is not None:
                target = genes[name[len(_EXPR) :].upper()] if _is(name) else numbers[name]
                target[patient] = value
    return OpenTable(projects=projects, sites=sites, genes=genes, numbers=numbers)


def _is(column: str) -> bool:
    return column.startswith(_EXPR)


def gene_scores(table: OpenTable, train_ids: Iterable[str], sets: GeneSets) -> tuple[Values, ...]:
    """Return the scores that the table's genes allow, gene moments from the training patients.

    ``immune axis``: mean z of all genes of the label signatures that the table has. Raises
    `LabelError` when it has none of them.
    """
    train = frozenset(train_ids)
    wanted = sorted({g for name in LABEL_SETS for g in sets.sets[name]} & table.genes.keys())
    if not wanted or CHECKPOINT not in table.genes:
        raise LabelError(f"the table has no {_EXPR} column of a label gene")
    cd8 = tuple(g for g in sets.sets["cd8"] if g in wanted)
    moments = _moments(table, {*wanted, CHECKPOINT}, train)
    made = {
        "immune axis": tuple(wanted),
        "CD8 genes": cd8,
        "CD8A alone": ("CD8A",) if "CD8A" in wanted else (),
        "CD274 alone": (CHECKPOINT,),
    }
    return tuple(_mean_z(name, genes, table, moments) for name, genes in made.items() if genes)


def published_measures(
    table: OpenTable, train_ids: Iterable[str], sets: GeneSets
) -> tuple[Values, ...]:
    """Return the published measures, those derived here, and C2 as a class."""
    train = frozenset(train_ids)
    found: list[Values] = []
    for column, name in _PUBLISHED.items():
        if table.numbers.get(column):
            genes = {_GEP18: sets.reference["gep18"], _LEUKOCYTES: ()}.get(column)
            found.append(Values(name=name, of=table.numbers[column], genes=genes))
    ours = {g for name in LABEL_SETS for g in sets.sets[name]} | {CHECKPOINT}
    rest = tuple(g for g in sets.reference["gep18"] if g in table.genes and g not in ours)
    if rest:
        name = f"GEP18 genes that labels do not use ({len(rest)})"
        found.insert(1, _mean_z(name, rest, table, _moments(table, set(rest), train)))
    lymphocytes = _lymphocytes(table)
    if lymphocytes.of:
        found.append(lymphocytes)
    subtypes = table.numbers.get("thorsson_c", {})
    if subtypes:
        c2 = {patient: float(value == _IFN_DOMINANT) for patient, value in subtypes.items()}
        found.append(Values(name="Thorsson C2 against the rest", of=c2, genes=None, binary=True))
    return tuple(found)


def _lymphocytes(table: OpenTable) -> Values:
    """CIBERSORT's lymphocyte share of leukocytes times the leukocyte fraction of the tissue."""
    shares = [table.numbers.get(column, {}) for column in LYMPHOCYTES]
    leukocytes = table.numbers.get(_LEUKOCYTES, {})
    known = [p for p in leukocytes if all(p in share for share in shares)]
    of = {p: leukocytes[p] * sum(share[p] for share in shares) for p in known}
    return Values(name="lymphocytes (CIBERSORT × leukocyte fraction)", of=of, genes=None)


def _moments(table: OpenTable, genes: set[str], train: frozenset[str]) -> dict[str, Moments]:
    found: dict[str, Moments] = {}
    for gene in sorted(genes):
        column = table.genes[gene]
        values = [column[p] for p in sorted(train) if p in column]
        mean, sd = moments_of(values) if len(values) > 1 else (0.0, 0.0)
        if sd <= 0:
            raise LabelError(f"{gene}: has no spread over the {len(values)} training patients")
        found[gene] = Moments(mean=mean, sd=sd)
    return found


def _mean_z(
    name: str, genes: tuple[str, ...], table: OpenTable, moments: Mapping[str, Moments]
) -> Values:
    columns = [(moments[g], table.genes[g]) for g in genes]
    patients = sorted(set.intersection(*(set(column) for _, column in columns)))
    of = {p: sum(m.z(column[p]) for m, column in columns) / len(columns) for p in patients}
    return Values(name=name, of=of, genes=genes)
