"""Signature scores: the mean of gene z-scores, moments fitted on the training patients only."""

from collections.abc import Iterable, Mapping
from math import fsum, sqrt
from typing import Self

from pydantic import Field, model_validator

from immunopath.domain.base import Frozen
from immunopath.domain.errors import LabelError
from immunopath.domain.words import counted
from immunopath.training.labels.expression import require_genes
from immunopath.training.labels.genes import CHECKPOINT, LABEL_SETS, GeneSets

Expression = Mapping[str, float]
"""log2(TPM + 1) by gene symbol."""


class Moments(Frozen):
    """Mean and standard deviation (ddof 0) of log2(TPM + 1) over the training patients."""

    mean: float
    sd: float = Field(gt=0)

    def z(self, value: float) -> float:
        """Return `value` in standard deviations from the mean."""
        return (value - self.mean) / self.sd


class SignatureModel(Frozen):
    """Gene moments and the genes that each signature is the mean of.

    missing: genes of the sets that the cohort lacks; flat: genes with one value in all training
    patients, which have no z-score. Neither counts in a mean.
    """

    gene_sets: str
    """Version of the gene sets."""
    genes: dict[str, Moments]
    signatures: dict[str, tuple[str, ...]]
    missing: tuple[str, ...] = ()
    flat: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _known(self) -> Self:
        for name, genes in self.signatures.items():
            if not genes or not set(genes) <= self.genes.keys():
                raise ValueError(f"signature {name} has no genes or genes without moments")
        return self

    def score(self, expression: Expression, where: str = "the sample") -> dict[str, float]:
        """Return the signatures of one sample; raises `GeneMissing` with every gene it lacks."""
        require_genes(expression, self.genes, where)
        return {
            name: fsum(self.genes[gene].z(expression[gene]) for gene in genes) / len(genes)
            for name, genes in self.signatures.items()
        }


def fit_signatures(
    cohort: Mapping[str, Expression],
    train_ids: Iterable[str],
    sets: GeneSets,
    *,
    allow_missing: bool = False,
) -> SignatureModel:
    """Fit gene moments on the training patients.

    cohort: by patient. allow_missing: drop genes that any patient of the cohort lacks, as long as
    at least half of a signature is left. Raises `GeneMissing` or `LabelError`.
    """
    ids = sorted(set(train_ids))
    if len(ids) < 2:
        raise LabelError(f"{counted(len(ids), 'training patient')}; moments need at least 2")
    wanted = sorted(set(sets.needed))
    missing = sorted({g for expression in cohort.values() for g in wanted if g not in expression})
    if missing and not allow_missing:
        for patient in sorted(cohort):
            require_genes(cohort[patient], wanted, f"patient {patient}")
    found = {g: moments_of([cohort[i][g] for i in ids]) for g in wanted if g not in missing}
    moments = {gene: Moments(mean=mean, sd=sd) for gene, (mean, sd) in found.items() if sd > 0}
    signatures = {n: tuple(g for g in sets.sets[n] if g in moments) for n in LABEL_SETS}
    _require_enough(signatures, moments, sets)
    return SignatureModel(
        gene_sets=sets.version,
        genes=moments,
        signatures=signatures,
        missing=tuple(missing),
        flat=tuple(gene for gene in found if gene not in moments),
    )


def moments_of(values: list[float]) -> tuple[float, float]:
    """Mean and standard deviation (ddof 0); one value throughout has exactly 0."""
    if min(values) == max(values):
        return values[0], 0.0
    mean = fsum(values) / len(values)
    return mean, sqrt(fsum((v - mean) ** 2 for v in values) / len(values))


def _require_enough(
    signatures: Mapping[str, tuple[str, ...]], moments: Mapping[str, Moments], sets: GeneSets
) -> None:
    if CHECKPOINT not in moments:
        raise LabelError(f"{CHECKPOINT} is missing or the same in all training patients")
    for name, genes in signatures.items():
        if 2 * len(genes) < len(sets.sets[name]):
            lost = sorted(set(sets.sets[name]) - set(genes))
            raise LabelError(
                f"signature {name} keeps {len(genes)} of {len(sets.sets[name])} genes; missing or "
                f"constant: {', '.join(lost)}"
            )
