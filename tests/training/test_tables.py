from pathlib import Path

import pytest

from immunopath.domain.errors import CohortError
from immunopath.training.tables import first_of, number_of, read_table


def given(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "t.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_comma_and_tab_tables_and_their_line_numbers(tmp_path: Path) -> None:
    comma = given(tmp_path, '# note\nA,b\n\n1,"x, y"\n2, z \n')
    assert read_table(comma, "t") == [(4, {"a": "1", "b": "x, y"}), (5, {"a": "2", "b": "z"})]


def test_a_quotation_mark_in_a_tab_table_is_a_character(tmp_path: Path) -> None:
    """An inch sign must not swallow the lines after it; quotes around a cell are taken off."""
    path = given(tmp_path, 'a\tb\n1\t5" margin\n"2"\t"x"\n')
    assert [row for _, row in read_table(path, "t")] == [
        {"a": "1", "b": '5" margin'},
        {"a": "2", "b": "x"},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no row"),
        ("a,b\n", "holds no row"),
        ("a,b\n1\n", "line 2: 1 column where the header has 2"),
        ("a,A\n1,2\n", "column a stands there twice"),
        ('a,b\n"1,2\n3,4"\n', "quoted cell goes over the end of a line"),
        (b"a,b\n\xff\xfe,1\n", "cannot be read as text"),
        ("a,b\n" + "x" * 200_000 + ",1\n", "is no table"),
    ],
)
def test_a_bad_table_is_named(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(CohortError, match=message):
        read_table(given(tmp_path, text), "t")


def test_a_table_of_very_many_columns_is_read_or_refused_in_one_pass(tmp_path: Path) -> None:
    """Counting every name among all names took an hour for a transposed matrix."""
    names = [f"c{i}" for i in range(300_000)]
    cells = "\t".join("1" for _ in names)
    found = read_table(given(tmp_path, "\t".join(names) + f"\n{cells}\n"), "t")
    assert len(found[0][1]) == len(names)
    with pytest.raises(CohortError, match=r"column c0, c1, .*, … stands there twice"):
        read_table(given(tmp_path, "\t".join(names * 2) + f"\n{cells}\t{cells}\n"), "t")


def test_cells_that_say_nothing_are_missing() -> None:
    row = {"a": "NA", "b": "unknown", "c": "3", "d": "nan"}
    assert first_of(row, ("a", "b", "none", "c")) == "3"
    assert number_of(row, ("d",), "x") is None
    assert number_of(row, ("c",), "x") == 3.0
