"""Rows of a run as torch reads them: prompt, answer and pixels of a place in the schedule."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from immunopath.domain.errors import CaseFileError
from immunopath.models.foundation.medgemma.gemma import Gemma, encode
from immunopath.models.foundation.medgemma.prompts import CANCER_TYPES
from immunopath.training.lora.cohort import Patient
from immunopath.training.lora.config import AugmentConfig, DataConfig, LossConfig
from immunopath.training.lora.pixels import TilePixels
from immunopath.training.lora.rows import (
    HISTOLOGIES,
    Answer,
    AnswerEncoder,
    Ints,
    Row,
    answer_format,
    collate,
    join,
)
from immunopath.training.lora.schedule import Place, TrainSchedule, validation_places
from immunopath.training.samples import Sample

_LATE: Final = "prompts and answers are encoded before reading processes begin"


class RowMaker:
    """Makes the row of a sample; prompts and answers are tokenized once each."""

    def __init__(self, gemma: Gemma, data: DataConfig, loss: LossConfig) -> None:
        self._gemma: Gemma | None = gemma
        self._encoder: AnswerEncoder | None = AnswerEncoder(
            gemma.tokenizer, answer_format(data), loss
        )
        self._data = data
        self._prompts: dict[tuple[str, int], tuple[Ints, Ints]] = {}
        self._answers: dict[str, Answer] = {}

    def __getstate__(self) -> dict[str, object]:
        """Leave model and tokenizer behind: a reading process needs what is encoded already."""
        return self.__dict__ | {"_gemma": None, "_encoder": None}

    def prompt(self, cancer_type: str, images: int) -> tuple[Ints, Ints]:
        """Return ids and token types of the prompt as the engine would ask it."""
        histology = CANCER_TYPES.get(HISTOLOGIES.get(cancer_type, ""))
        text = self._data.the_prompt.filled(histology)
        if (text, images) not in self._prompts:
            assert self._gemma is not None, _LATE
            blank = np.zeros((self._gemma.image_px, self._gemma.image_px, 3), dtype=np.uint8)
            made = encode(self._gemma, [blank] * images, text)
            ids, types = made.input_ids[0].numpy(), made.token_type_ids[0].numpy()
            self._prompts[text, images] = (ids, types)
        return self._prompts[text, images]

    def answer(self, sample: Sample) -> Answer:
        """Return the answer of a patient."""
        if sample.patient_id not in self._answers:
            assert self._encoder is not None, _LATE
            self._answers[sample.patient_id] = self._encoder.encode(sample.labels)
        return self._answers[sample.patient_id]

    def row(self, sample: Sample, images: int) -> Row:
        """Return the row of a sample with that many images.

        Raises `CaseFileError` when it is longer than the configuration allows.
        """
        made = join(*self.prompt(sample.cancer_type, images), self.answer(sample))
        if len(made.input_ids) > self._data.max_length:
            raise CaseFileError(
                f"patient {sample.patient_id!r}: the row has {len(made.input_ids)} tokens, "
                f"data.max_length is {self._data.max_length}; raise it or show fewer images"
            )
        return made


@dataclass(frozen=True)
class Example:
    """A row and the pixels of its images, float32 (images, 3, px, px)."""

    row: Row
    pixels: npt.NDArray[np.float32]


class Rows:
    """A map-style dataset over places; `augment` None = as they are."""

    def __init__(
        self,
        patients: Sequence[Patient],
        maker: RowMaker,
        pixels: TilePixels,
        augment: AugmentConfig | None,
    ) -> None:
        self._patients, self._maker, self._pixels = patients, maker, pixels
        self._augment = augment or AugmentConfig()

    def made(self, place: Place) -> Example:
        """Return the example of a place."""
        sample = self._patients[place.patient].sample
        tiles = [self._pixels.model_input(t, self._augment, place.source) for t in place.tiles]
        return Example(self._maker.row(sample, len(tiles)), np.stack(tiles))

    def check(self, images: int) -> None:
        """Encode every patient's row once, so that what is wrong is said before training."""
        for patient in self._patients:
            for pool in (patient.tiles, patient.first):
                self._maker.row(patient.sample, min(images, len(pool)))


class TrainRows(Rows):
    """All rows of all epochs, in the order of the schedule."""

    def __init__(self, schedule: TrainSchedule, epochs: int, *parts: Any) -> None:  # noqa: ANN401
        super().__init__(*parts)
        self.schedule, self._epochs = schedule, epochs

    def __len__(self) -> int:
        return self.schedule.rows * self._epochs

    def __getitem__(self, index: int) -> Example:
        return self.made(self.schedule.place(index))


class ValidationRows(Rows):
    """The validation rows, whose tiles are the same every time."""

    def __init__(self, data: DataConfig, *parts: Any) -> None:  # noqa: ANN401
        super().__init__(*parts)
        self._places = validation_places(self._patients, data)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Example:
        return self.made(self._places[index])


@dataclass(frozen=True)
class Collator:
    """Turns examples into a batch; see `rows.collate`."""

    pad: int

    def __call__(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Return the batch."""
        return collate([e.row for e in examples], [e.pixels for e in examples], self.pad)
