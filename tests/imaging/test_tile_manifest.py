"""The tile manifest."""

from pathlib import Path

import pytest

from immunopath.domain.errors import CaseFileError
from immunopath.imaging.tile_manifest import TileRow, read_tiles, write_tiles

ROW = TileRow(
    tile_id="S1:0,0", patient_id="A", slide_id="S1", source="S1.svs", x=0, y=0, width=1024,
    height=1024, mpp=0.25, mpp_source="vendor", target_mpp=0.5, size_px=512, tissue=0.9, blur=80.5,
    pen=0.0, cluster=3, file="S1/0_0.png", sha256="ab",
)  # fmt: skip


def test_rows_come_back_and_the_bytes_are_the_same(tmp_path: Path) -> None:
    rows = [ROW, ROW.model_copy(update={"tile_id": "S1:1,0", "blur": None, "cluster": None})]
    for name in ("a.parquet", "b.parquet"):
        write_tiles(tmp_path / name, rows)
    assert list(read_tiles(tmp_path / "a.parquet")) == rows
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "text.parquet").write_text("tile_id")
    with pytest.raises(CaseFileError, match="not a Parquet file"):
        read_tiles(tmp_path / "text.parquet")
    pq.write_table(pa.table({"tile_id": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(CaseFileError, match="no tile manifest"):
        read_tiles(tmp_path / "other.parquet")


@pytest.mark.parametrize("file", ["/etc/passwd", "../up.png"])
def test_a_tile_outside_the_manifest_is_refused(file: str) -> None:
    with pytest.raises(ValueError, match="below the manifest"):
        TileRow.model_validate(ROW.model_dump() | {"file": file})
