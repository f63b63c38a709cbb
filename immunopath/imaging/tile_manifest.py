"""The tile manifest: which pixels belong to which patient, as one Parquet file.

Slides, patch files and synthetic fields all end up here, so that training, cohort runs and exports
read one format. Coordinates are level-0 pixels of the source.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self, get_args

from pydantic import Field, ValidationError, model_validator

from immunopath.domain.base import Frozen, fault_of
from immunopath.domain.errors import CaseFileError
from immunopath.domain.files import require_content, write_bytes

VERSION: Final = "1"


class TileRow(Frozen):
    """One tile.

    source: slide or image file, relative to the manifest's folder or absolute, or the name of an
    imported file of vectors; x, y, width,
    height: level-0 pixels; mpp: of level 0, µm per pixel; mpp_source: how that is known (a
    `MppSource`); target_mpp, size_px: what the tile is resampled to; tissue: share of tissue in
    [0, 1] (None = not measured: vectors made elsewhere); blur: variance of the Laplacian (None =
    not measured); pen: share of pen in [0, 1];
    cluster: of the diversity selection, None when there was none; file: the rendered tile, when it
    was written, relative to the manifest; sha256: of that file, or of the source; stain: the
    normalisation that the rendered tile went through (a `StainMethod`).
    """

    tile_id: str = Field(min_length=1)
    patient_id: str = Field(min_length=1)
    slide_id: str = Field(min_length=1)
    source: str
    x: int = Field(ge=0)
    y: int = Field(ge=0)
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    mpp: float = Field(gt=0.01, lt=32)
    mpp_source: str
    target_mpp: float = Field(gt=0.01, lt=32)
    size_px: int = Field(gt=0)
    tissue: float | None = Field(ge=0, le=1)
    blur: float | None = None
    pen: float | None = Field(default=None, ge=0, le=1)
    cluster: int | None = None
    selected: bool = True
    file: str | None = None
    sha256: str = ""
    stain: str = "none"

    @model_validator(mode="after")
    def _inside(self) -> Self:
        if self.file is not None and (Path(self.file).is_absolute() or ".." in self.file):
            raise ValueError("file lies below the manifest's folder")
        return self


def read_tiles(path: Path) -> tuple[TileRow, ...]:
    """Return all rows; raises `CaseFileError` for another file, another version or a bad row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    require_content(path, "a tile manifest (Parquet)")
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise CaseFileError(f"{path}: is not a Parquet file ({str(error)[:160]})") from error
    found = (table.schema.metadata or {}).get(b"immunopath.tile_manifest", b"").decode()
    if found != VERSION:
        raise CaseFileError(f"{path}: is no tile manifest of version {VERSION} (has {found!r})")
    try:
        return tuple(TileRow.model_validate(row) for row in table.to_pylist())
    except ValidationError as error:
        raise CaseFileError(f"{path}: {fault_of(error, 'row')}") from error


def write_tiles(path: Path, rows: Iterable[TileRow]) -> None:
    """Write the rows in the given order; the same rows give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds: dict[object, object] = {
        str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(),
    }  # fmt: skip
    columns = [  # every column may hold nulls: of `int | None` the first counts
        pa.field(name, kinds[(*get_args(field.annotation), field.annotation)[0]])
        for name, field in TileRow.model_fields.items()
    ]
    schema = pa.schema(columns, metadata={"immunopath.tile_manifest": VERSION})
    table = pa.Table.from_pylist([row.model_dump() for row in rows], schema=schema)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_bytes(path, sink.getvalue().to_pybytes())
