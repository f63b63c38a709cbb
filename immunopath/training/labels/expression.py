"""Reading expression: one STAR-count file (or a gene/TPM table) a patient, or a matrix of many.

The unit everywhere behind this module is log2(TPM + 1).
"""

import gzip
import hashlib
import math
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from immunopath.domain.errors import CaseFileError, ExpressionError, GeneMissing
from immunopath.domain.files import read_bounded, require_file
from immunopath.domain.words import counted

Unit = Literal["tpm", "log2tpm"]
GENE_COLUMNS: Final = ("gene_name", "gene", "symbol", "hugo_symbol")
TPM_COLUMNS: Final = ("tpm_unstranded", "tpm")
_GZIP: Final = b"\x1f\x8b"
_SUMMARY: Final = "N_"
"""STAR writes its read summary as rows N_unmapped, N_multimapping, …"""
_ENSEMBL: Final = "ENSG"


def read_expression(path: Path, unit: Unit = "tpm", md5: str = "") -> dict[str, float]:
    """Return log2(TPM + 1) by gene symbol of one sample.

    path: a GDC STAR-count TSV, or any tab or comma table with a gene and a TPM column; gzip or
    plain, told by the first bytes and not by the name. Rows of STAR's summary are left out; of a
    symbol that stands there several times the largest value counts. md5: of the file as it lies
    there, "" = not known. Raises `ExpressionError` naming file and line.
    """
    lines = _numbered(path, md5)
    header, sep = _header(path, lines)
    columns = [name.strip().lower() for name in header.split(sep)]
    gene_at = _column(path, columns, GENE_COLUMNS, "gene")
    value_at = _column(path, columns, TPM_COLUMNS, "TPM")
    found: dict[str, float] = {}
    for line_number, line in lines:
        cells = line.split(sep)
        if cells[0].startswith(_SUMMARY):
            continue
        if len(cells) <= max(gene_at, value_at):
            raise ExpressionError(
                f"{path}: line {line_number}: {counted(len(cells), 'column')} where the header has "
                f"{len(columns)}; the file may be cut short, fetch it again"
            )
        value = _log2(cells[value_at], unit, f"{path}: line {line_number}")
        gene = cells[gene_at].strip().strip('"')
        if gene:
            found[gene] = max(value, found.get(gene, 0.0))
    if not found:
        raise ExpressionError(f"{path}: has a header and no gene; fetch the file again")
    return found


@dataclass(frozen=True)
class ExpressionMatrix:
    """log2(TPM + 1) of many samples; values: one array a sample, in the order of `genes`.

    A gene may stand there several times; `sample` takes the largest value.
    """

    genes: tuple[str, ...]
    values: Mapping[str, "array[float]"]

    def sample(self, name: str) -> dict[str, float] | None:
        """Return one sample by gene; None when the matrix has no such column."""
        column = self.values.get(name)
        if column is None:
            return None
        found: dict[str, float] = {}
        for gene, value in zip(self.genes, column, strict=True):
            found[gene] = max(value, found.get(gene, 0.0))
        return found


def read_matrix(path: Path, unit: Unit = "tpm") -> ExpressionMatrix:
    """Return a table of many samples: genes in rows, samples in columns.

    The first column holds gene symbols. Raises `ExpressionError` for a sample that is there
    twice, a ragged row or a value that is no expression.
    """
    lines = _numbered(path)
    header, sep = _header(path, lines)
    samples = [name.strip().strip('"') for name in header.split(sep)][1:]
    twice = sorted({name for name in samples if samples.count(name) > 1})
    if twice:
        raise ExpressionError(f"{path}: column {', '.join(twice)} stands there twice")
    values = {name: array("d") for name in samples}
    genes: list[str] = []
    for line_number, line in lines:
        cells = line.split(sep)
        if len(cells) != len(samples) + 1:
            raise ExpressionError(
                f"{path}: line {line_number}: {counted(len(cells), 'column')}, the header has "
                f"{len(samples) + 1}"
            )
        genes.append(cells[0].strip().strip('"'))
        for name, cell in zip(samples, cells[1:], strict=True):
            values[name].append(_log2(cell, unit, f"{path}: line {line_number}: {name}"))
    if not genes:
        raise ExpressionError(f"{path}: has a header and no gene")
    return ExpressionMatrix(tuple(genes), values)


def require_genes(expression: Mapping[str, float], genes: Iterable[str], where: str | Path) -> None:
    """Raise `GeneMissing` listing every gene of `genes` that `expression` lacks."""
    missing = sorted(set(genes) - expression.keys())
    if not missing:
        return
    ids = any(gene.startswith(_ENSEMBL) for gene in expression)
    hint = "genes are named by Ensembl id, give HGNC symbols" if ids else "check the symbols"
    raise GeneMissing(
        f"{where}: {counted(len(missing), 'gene is', 'genes are')} missing: "
        f"{', '.join(missing)}; {hint}"
    )


def _numbered(path: Path, md5: str = "") -> Iterator[tuple[int, str]]:
    """Yield the lines that are no comment and not empty, with their numbers."""
    try:
        require_file(path, "an expression file")
    except CaseFileError as error:
        raise ExpressionError(str(error)) from error
    try:
        data = read_bounded(path)
        if md5 and hashlib.md5(data, usedforsecurity=False).hexdigest() != md5:
            raise ExpressionError(f"{path}: has another md5 than the manifest says; fetch it again")
        text = (gzip.decompress(data) if data.startswith(_GZIP) else data).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise ExpressionError(
            f"{path}: cannot be read ({error}); it may be cut short, fetch it again"
        ) from error
    except UnicodeDecodeError as error:
        raise ExpressionError(f"{path}: is no text; name a STAR-count TSV") from error
    if not text.strip():
        raise ExpressionError(f"{path}: is empty; fetch the file again")
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield number, line


def _header(path: Path, lines: Iterator[tuple[int, str]]) -> tuple[str, str]:
    number, line = next(lines, (0, ""))
    sep = "\t" if "\t" in line else ","
    if sep not in line:
        raise ExpressionError(f"{path}: line {number}: is no table with columns; got {line[:60]!r}")
    return line, sep


def _column(path: Path, columns: list[str], names: tuple[str, ...], what: str) -> int:
    for name in names:
        if name in columns:
            return columns.index(name)
    raise ExpressionError(
        f"{path}: has no {what} column ({' or '.join(names)}); its columns are "
        f"{', '.join(columns)[:120]}"
    )


def _log2(cell: str, unit: Unit, where: str) -> float:
    """log2(TPM + 1) of a cell; a NaN, an infinity or a negative value is refused."""
    try:
        value = float(cell)
    except ValueError as error:
        raise ExpressionError(f"{where}: {cell[:40]!r} is no number") from error
    if not math.isfinite(value) or value < 0:
        raise ExpressionError(f"{where}: {cell[:40]!r} is no expression value (0 or more)")
    return math.log2(value + 1) if unit == "tpm" else value
