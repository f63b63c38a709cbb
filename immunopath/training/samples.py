"""Who is trained and evaluated on: one line a patient, with split, labels and tiles.

The table is JSON lines (``samples.jsonl``). Pixels are named by a tile manifest beside it; see
`immunopath.imaging.tile_manifest`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from immunopath.domain.base import Frozen, fault_of
from immunopath.domain.errors import CaseFileError
from immunopath.domain.files import MAX_TABLE, read_small, write_text
from immunopath.domain.prediction import FIELD_VALUES

SAMPLES: Final = "samples.jsonl"
TILES: Final = "tiles.parquet"
Split = Literal["train", "val", "test"]
SPLITS: Final[tuple[Split, ...]] = ("train", "val", "test")
Label = str | float | None


class Sample(Frozen):
    """One patient.

    site: tissue-source site, the unit of site-preserved splits; cancer_type: ``LUAD`` or ``LUSC``;
    labels: by field name, None = not known (never a class of its own); origin: ``rna`` for labels
    from expression data, ``synthetic`` for rendered images whose truth is set, so that the two are
    never mixed up in a report.
    """

    patient_id: str = Field(min_length=1)
    site: str = ""
    cancer_type: str = ""
    split: Split | None = None
    labels: dict[str, Label]
    slides: tuple[str, ...] = ()
    origin: Literal["rna", "synthetic", "user"] = "user"

    @model_validator(mode="after")
    def _allowed(self) -> Self:
        for name, value in self.labels.items():
            if name not in FIELD_VALUES:
                raise ValueError(f"{name!r} is not one of the eight fields")
            allowed = FIELD_VALUES[name]
            if value is None:
                continue
            if allowed is None and not (isinstance(value, float | int) and 0 <= value <= 1):
                raise ValueError(f"{name} {value!r} is not a number in [0, 1]")
            if allowed is not None and value not in allowed:
                raise ValueError(f"{name} {value!r} is not one of {', '.join(allowed)}")
        return self

    def label(self, field: str) -> Label:
        """Return the label of a field; None when it is not known."""
        return self.labels.get(field)


def read_samples(path: Path) -> tuple[Sample, ...]:
    """Return the samples of a table.

    Raises `CaseFileError` naming the line for what is no sample, and for a patient that appears
    twice: in one split it would be counted twice, in two it would leak.
    """
    data = read_small(path, f"a table of samples ({SAMPLES})", MAX_TABLE)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CaseFileError(f"{path}: is no UTF-8 text; name a table of samples") from error
    samples: list[Sample] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            sample = Sample.model_validate_json(line)
        except ValidationError as error:
            raise CaseFileError(f"{path}: line {number}: {fault_of(error, 'sample')}") from error
        if sample.patient_id in seen:
            raise CaseFileError(
                f"{path}: patient {sample.patient_id!r} is on line {seen[sample.patient_id]} and "
                f"on line {number}; one line a patient"
            )
        seen[sample.patient_id] = number
        samples.append(sample)
    if not samples:
        raise CaseFileError(f"{path}: holds no sample")
    return tuple(samples)


def write_samples(path: Path, samples: Iterable[Sample]) -> None:
    """Write a table of samples, whole or not at all."""
    write_text(path, "".join(sample.model_dump_json() + "\n" for sample in samples))
