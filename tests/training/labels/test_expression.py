import gzip
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rna_cohort import HEADER, star_text

from immunopath.domain.errors import ExpressionError, GeneMissing
from immunopath.training.labels.expression import read_expression, read_matrix, require_genes
from immunopath.training.labels.genes import load_gene_sets

STAR = Path(__file__).parents[2] / "data/rna/star_gene_counts_cut.tsv.gz"


def text_file(tmp_path: Path, text: str | bytes, name: str = "x.tsv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_real_star_file_gives_log2_of_tpm_plus_one() -> None:
    found = read_expression(STAR)
    rows = [line.split("\t") for line in gzip.decompress(STAR.read_bytes()).decode().splitlines()]
    tpm = {row[1]: float(row[6]) for row in rows if row[0].startswith("ENSG")}
    assert found["CD274"] == math.log2(tpm["CD274"] + 1)
    assert not any(gene.startswith("N_") for gene in found)
    require_genes(found, load_gene_sets().needed, STAR)


def test_of_a_symbol_that_is_there_twice_the_largest_value_counts() -> None:
    """CD99 lies on both sex chromosomes; its second row is 0."""
    assert read_expression(STAR)["CD99"] == math.log2(38.475 + 1)


def test_gzip_is_told_by_its_bytes_and_not_by_the_name(tmp_path: Path) -> None:
    plain = text_file(tmp_path, gzip.decompress(STAR.read_bytes()), "plain.tsv.gz")
    packed = text_file(tmp_path, STAR.read_bytes(), "packed.tsv")
    assert read_expression(plain) == read_expression(packed) == read_expression(STAR)


def test_an_own_table_needs_a_gene_and_a_tpm_column(tmp_path: Path) -> None:
    comma = text_file(tmp_path, "symbol,tpm\nCD274,3\nCD8A,0\n")
    assert read_expression(comma) == {"CD274": 2.0, "CD8A": 0.0}
    logged = text_file(tmp_path, "gene\ttpm\nCD274\t3\n")
    assert read_expression(logged, "log2tpm") == {"CD274": 3.0}


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9]{1,6}", fullmatch=True), st.floats(0, 1e6),
                       min_size=1, max_size=8))  # fmt: skip
def test_a_written_star_file_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, tpm: dict[str, float]
) -> None:
    path = text_file(tmp_path_factory.mktemp("star"), star_text(tpm))
    assert read_expression(path) == {gene: math.log2(v + 1) for gene, v in tpm.items()}


ROW = "ENSG1\tCD274\tprotein_coding\t1\t0\t1\t{}\t0\t0"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (STAR.read_bytes()[:300], "cut short"),
        (b"\x1f\x8b\x08", "cut short"),
        (b"\x89PNG\r\n\x1a\n\xff\xff", "is no text"),
        ("<html>\n<body>502</body>", "is no table with columns"),
        (HEADER, "no gene"),
        ("gene_id\tcounts\nENSG1\t3\n", "has no gene column"),
        ("gene_name\tcounts\nCD274\t3\n", "has no TPM column"),
        (f"{HEADER}\n{ROW.format('nan')}\n", "line 2: 'nan' is no expression value"),
        (f"{HEADER}\n{ROW.format('-1')}\n", "line 2: '-1' is no expression value"),
        (f"{HEADER}\n{ROW.format('inf')}\n", "is no expression value"),
        (f"{HEADER}\n{ROW.format('high')}\n", "line 2: 'high' is no number"),
        (f"{HEADER}\n{ROW.format('1')}\nENSG2\tCD8A\tprot", "line 3: 3 columns"),
    ],
)
def test_a_bad_file_is_named_with_its_fault(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    path = text_file(tmp_path, content, "bad.tsv")
    with pytest.raises(ExpressionError, match=message) as caught:
        read_expression(path)
    assert "bad.tsv" in str(caught.value)


def test_a_missing_file_is_an_expression_error(tmp_path: Path) -> None:
    with pytest.raises(ExpressionError, match="no such file"):
        read_expression(tmp_path / "none.tsv")


def test_missing_genes_are_all_listed() -> None:
    with pytest.raises(GeneMissing, match=r"2 genes are missing: CD8A, FOXP3; check the symbols"):
        require_genes({"CD274": 1.0}, ["FOXP3", "CD8A", "CD274"], "x")
    with pytest.raises(GeneMissing, match="HGNC"):
        require_genes({"ENSG0001": 1.0}, ["CD8A"], "x")


def test_a_matrix_has_genes_in_rows(tmp_path: Path) -> None:
    path = text_file(tmp_path, "gene\ta\tb\nCD274\t3\t0\nCD8A\t1\t7\nCD8A\t0\t15\n")
    matrix = read_matrix(path)
    assert matrix.sample("a") == {"CD274": 2.0, "CD8A": 1.0}
    assert matrix.sample("b") == {"CD274": 0.0, "CD8A": 4.0}
    assert matrix.sample("c") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gene\ta\ta\nCD274\t1\t2\n", "column a stands there twice"),
        ("gene\ta\tb\nCD274\t1\n", "line 2: 2 columns, the header has 3"),
        ("gene\ta\tb\nCD274\t1\tNaN\n", "line 2: b: 'NaN' is no expression"),
        ("gene\ta\n", "no gene"),
        ("gene", "is no table"),
    ],
)
def test_a_bad_matrix_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ExpressionError, match=message):
        read_matrix(text_file(tmp_path, text))
