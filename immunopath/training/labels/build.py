"""A cohort folder from a manifest: expression read, patients split, constants fitted, labels set.

Order matters: the split is made before anything is fitted, every constant comes from its training
patients, and labels and splits are checked before a file is written.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import Field

from immunopath.domain.base import Frozen
from immunopath.domain.errors import CohortError, ExpressionError
from immunopath.domain.words import counted
from immunopath.training.cohort.barcodes import patient_key
from immunopath.training.cohort.manifest import ManifestRow
from immunopath.training.labels.calls import Calls
from immunopath.training.labels.checks import FieldCounts, count_fields, require_classes
from immunopath.training.labels.expression import (
    ExpressionMatrix,
    Unit,
    read_expression,
    require_genes,
)
from immunopath.training.labels.fields import Variant
from immunopath.training.labels.genes import CHECKPOINT, load_gene_sets
from immunopath.training.labels.recipe import Labelled, LabelRecipe, Rna, fit_recipe
from immunopath.training.labels.ssgsea import ssgsea
from immunopath.training.labels.subtypes import Kind
from immunopath.training.leakage import Placed, require_no_leak
from immunopath.training.samples import Sample, Split
from immunopath.training.splits import FRACTIONS, Member, SplitPlan, make_split, strata

GeneSetTable = Mapping[str, tuple[str, ...]]
Progress = Callable[[int, int], None]
NEW_COHORT: Final[Split] = "test"
"""Where patients of a new cohort go, labelled with constants that were not fitted on them."""


class BuildOptions(Frozen):
    """The choices of `build_cohort`.

    by_site: whole sites in one split; without: fields left unknown; skip_unreadable: drop
    patients whose expression cannot be used instead of stopping.
    """

    variant: Variant = "run-v3.1"
    seed: int = 42
    fractions: tuple[float, float, float] = FRACTIONS
    by_site: bool = False
    without: tuple[str, ...] = ()
    allow_missing: bool = False
    skip_unreadable: bool = False
    classifier: Kind = "knn"
    unit: Unit = "tpm"


class Built(Frozen):
    """A labelled cohort, ready to be written.

    plan: None when the manifest said the split or stored constants were applied; dropped: patients
    left out, with the reason; counts: labels of the training patients, of all without any.
    """

    samples: tuple[Sample, ...]
    labelled: dict[str, Labelled]
    recipe: LabelRecipe
    plan: SplitPlan | None
    counts: tuple[FieldCounts, ...]
    dropped: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class Sources:
    """What a build reads.

    root: folder of the expression files; matrix: used instead of files when given; calls:
    published calls by patient; gmt: gene sets of the subtype classifier, None for none; recipe:
    stored constants to apply, None to fit them here.
    """

    root: Path
    matrix: ExpressionMatrix | None = None
    calls: Mapping[str, Calls] = field(default_factory=dict)
    gmt: GeneSetTable | None = None
    recipe: LabelRecipe | None = None

    @property
    def sets(self) -> GeneSetTable | None:
        """The gene sets that samples are scored on: those of stored constants come first."""
        if self.recipe is not None:
            return None if self.recipe.subtypes is None else self.recipe.subtypes.sets
        return self.gmt


def build_cohort(
    rows: Sequence[ManifestRow],
    sources: Sources,
    options: BuildOptions,
    progress: Progress | None = None,
) -> Built:
    """Label a cohort, by stored constants if `sources` has some, else by constants fitted here.

    Raises `ExpressionError`, `GeneMissing`, `LabelError`, `OneClassField`, `SplitError`,
    `LeakageError` or `CohortError`, each naming patient, file or field.
    """
    rna, dropped = read_cohort(rows, sources, options, progress)
    kept = [row for row in rows if row.patient_id in rna]
    if not kept:
        first = next(iter(dropped.values()), "the manifest holds none")
        raise CohortError(f"no patient with usable expression is left ({first})")
    calls = {row.patient_id: sources.calls.get(patient_key(row.patient_id)) for row in kept}
    known = {patient: found for patient, found in calls.items() if found is not None}
    of, plan = _splits(kept, rna, options, sources.recipe)
    require_no_leak(_placed(kept, of), by_site=options.by_site)
    train_ids = [patient for patient, split in of.items() if split == "train"]
    recipe = sources.recipe or _fit(rna, train_ids, known, sources.gmt, options)
    labelled = recipe.label(rna, known)
    samples = tuple(_sample(row, of[row.patient_id], labelled[row.patient_id]) for row in kept)
    train = [s.labels for s in samples if s.split == "train"]
    counts = require_classes(train) if train else count_fields(s.labels for s in samples)
    return Built(
        samples=samples,
        labelled=labelled,
        recipe=recipe,
        plan=plan,
        counts=counts,
        dropped=dropped,
    )


def _fit(
    rna: Mapping[str, Rna],
    train_ids: Sequence[str],
    calls: Mapping[str, Calls],
    gmt: GeneSetTable | None,
    options: BuildOptions,
) -> LabelRecipe:
    return fit_recipe(
        rna,
        train_ids,
        calls,
        variant=options.variant,
        gmt=gmt,
        classifier=options.classifier,
        without=options.without,
        allow_missing=options.allow_missing,
        seed=options.seed,
    )


def read_cohort(
    rows: Sequence[ManifestRow],
    sources: Sources,
    options: BuildOptions,
    progress: Progress | None = None,
) -> tuple[dict[str, Rna], dict[str, str]]:
    """Return the expression of each patient, and the patients left out with the reason.

    Of each file only the genes of the labels and the scores of the gene sets stay in memory.
    Raises `ExpressionError` or `GeneMissing` unless `options.skip_unreadable`.
    """
    rna: dict[str, Rna] = {}
    dropped: dict[str, str] = {}
    needed = _needed(sources.recipe)
    gmt = sources.sets
    for number, row in enumerate(rows, 1):
        where = f"patient {row.patient_id}"
        try:
            expression = _expression(row, sources, options.unit)
            if not options.allow_missing:
                require_genes(expression, needed, where)
            genes = {gene: expression[gene] for gene in needed if gene in expression}
            scores = ssgsea(expression, gmt, where) if gmt else {}
            rna[row.patient_id] = Rna(genes=genes, sets=scores)
        except ExpressionError as error:
            if not options.skip_unreadable:
                raise
            dropped[row.patient_id] = str(error)
        if progress is not None:
            progress(number, len(rows))
    return rna, dropped


def _needed(recipe: LabelRecipe | None) -> tuple[str, ...]:
    """Genes to read: those of the stored constants, or all of the gene sets."""
    return load_gene_sets().needed if recipe is None else tuple(recipe.signatures.genes)


def _expression(row: ManifestRow, sources: Sources, unit: Unit) -> Mapping[str, float]:
    if sources.matrix is not None:
        names = filter(None, (row.aliquot, row.patient_id))
        found = next(filter(None, map(sources.matrix.sample, names)), None)
        if found is None:
            raise ExpressionError(f"patient {row.patient_id}: is no column of the matrix")
        return found
    if not row.expression:
        raise ExpressionError(
            f"patient {row.patient_id}: the manifest names no expression file; fill the column or "
            "give a matrix"
        )
    return read_expression(_located(sources.root, row.expression), unit, row.md5)


def _located(root: Path, name: str) -> Path:
    """Return the file below `root`: at its path, or without the folder of its GDC id."""
    for path in (root / name, root / Path(name).name):
        if path.is_file():
            return path
    raise ExpressionError(f"{root / name}: no such file; name the folder of the expression files")


def _splits(
    rows: Sequence[ManifestRow],
    rna: Mapping[str, Rna],
    options: BuildOptions,
    recipe: LabelRecipe | None,
) -> tuple[dict[str, Split], SplitPlan | None]:
    """Return the split by patient: as the manifest says, or made here.

    A new cohort is a test, but for patients that the stored constants were fitted on.
    """
    said = {row.patient_id: row.split for row in rows if row.split is not None}
    if said and len(said) < len(rows):
        missing = [row.patient_id for row in rows if row.split is None]
        raise CohortError(
            f"{counted(len(missing), 'patient has', 'patients have')} no split "
            f"({', '.join(missing[:5])}) and the others do; "
            "fill the column or leave it empty"
        )
    if said:
        if recipe is not None:
            recipe.require_held_out(said)
        return said, None
    if recipe is not None:
        ids = [row.patient_id for row in rows]
        return {i: "train" if recipe.trained_on(i) else NEW_COHORT for i in ids}, None
    cd274 = {p: r.genes[CHECKPOINT] for p, r in rna.items() if CHECKPOINT in r.genes}
    kinds = strata({row.patient_id: row.cancer_type for row in rows}, cd274)
    plan = make_split(
        (
            Member(patient_id=row.patient_id, stratum=kinds[row.patient_id], site=row.site)
            for row in rows
        ),
        seed=options.seed,
        fractions=options.fractions,
        by_site=options.by_site,
    )
    return plan.of, plan


def _placed(rows: Iterable[ManifestRow], of: Mapping[str, Split]) -> tuple[Placed, ...]:
    return tuple(
        Placed(
            patient_id=row.patient_id,
            split=of[row.patient_id],
            site=row.site,
            slides=row.slide_ids,
            aliquots=tuple(filter(None, (row.aliquot, row.expression))),
        )
        for row in rows
    )


def _sample(row: ManifestRow, split: Split, labelled: Labelled) -> Sample:
    return Sample(
        patient_id=row.patient_id,
        site=row.site,
        cancer_type=row.cancer_type,
        split=split,
        labels=labelled.fields,
        slides=row.slide_ids,
        origin="rna",
    )
