"""Single-sample enrichment of gene sets, and gene sets from a GMT file.

The score is that of the code published with Bagaev 2021, a closed form after Barbie 2009 (Nature
462:108) for weight 0.25: the rank-weighted mean rank of the n genes of a set, less (N - n + 1) / 2.
Barbie's own form takes off the mean rank of the other genes among all N, which differs a little
(by n at most); a score of other code is therefore not the same number.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from immunopath.domain.errors import CaseFileError, GeneMissing, LabelError, first_few
from immunopath.domain.files import read_bounded, require_file

WEIGHT: Final = 0.25
MIN_SHARE: Final = 0.5
"""Share of a set's genes that a sample must name; below it a score would stand for other genes."""


def read_gmt(path: Path) -> dict[str, tuple[str, ...]]:
    """Return gene sets by name from a GMT file (name, description, genes; tab-separated).

    Raises `LabelError` naming the line for a set without genes or with a name used before.
    """
    try:
        require_file(path, "a GMT file of gene sets")
        text = read_bounded(path).decode("utf-8-sig")
    except CaseFileError as error:
        raise LabelError(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: cannot be read as text; name a GMT file") from error
    sets: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        genes = tuple(dict.fromkeys(filter(None, cells[2:])))
        if not cells[0] or not genes:
            raise LabelError(f"{path}: line {number}: is no gene set (name, description, genes)")
        if cells[0] in sets:
            raise LabelError(f"{path}: line {number}: set {cells[0]!r} is there twice")
        sets[cells[0]] = genes
    if not sets:
        raise LabelError(f"{path}: holds no gene set")
    return sets


def ssgsea(
    expression: Mapping[str, float], sets: Mapping[str, tuple[str, ...]], where: str = "the sample"
) -> dict[str, float]:
    """Return the enrichment score by set of one sample, in ranks (about −N/2 to N/2).

    expression: any monotone unit, all genes that were measured; ties get the highest rank.
    Raises `GeneMissing` when a sample names less than half of a set: the published code gives 0
    for a set without genes, which looks like an average tumour.
    """
    import numpy as np
    from scipy.stats import rankdata

    names = sorted(expression)
    place = {gene: at for at, gene in enumerate(names)}
    ranks = rankdata(np.array([expression[gene] for gene in names]), method="max").astype(float)
    scores: dict[str, float] = {}
    for name, genes in sets.items():
        at = [place[gene] for gene in genes if gene in place]
        if len(at) < MIN_SHARE * len(genes):
            missing = sorted(set(genes) - place.keys())
            raise GeneMissing(
                f"{where}: set {name}: {len(missing)} of {len(genes)} genes are missing: "
                f"{first_few(missing)}"
            )
        inside = ranks[at]
        weights = inside**WEIGHT
        mean_inside = float((inside * weights).sum() / weights.sum())
        scores[name] = mean_inside - (len(names) - len(at) + 1) / 2
    return scores
