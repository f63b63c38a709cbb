"""From labels to tokens: prompt and answer of a row, and what each token of the answer weighs.

The prompt's tokens are those that the product's own engine makes (`gemma.encode`), the answer's are
the canonical tokens that the slot decoder walks, so that nothing is asked otherwise than trained.
Only the answer and the end of the turn carry loss. A field whose label is not known is left out of
the answer, key and value; the word ``unknown`` is never trained.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from immunopath.domain.errors import CaseFileError, TokenizerMismatch
from immunopath.models.foundation.decoding.answer import AnswerFormat
from immunopath.training.lora.config import DataConfig, LossConfig

END_OF_TURN: Final = "<end_of_turn>"
SKELETON: Final = -1
IGNORED: Final = -100
HISTOLOGIES: Final = {"LUAD": "adenocarcinoma", "LUSC": "squamous"}
"""From a sample's cancer type to the words of `prompts.CANCER_TYPES`."""

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Label = str | float | None


@dataclass(frozen=True)
class Answer:
    """One answer as the model learns it.

    text: the JSON object; ids: its tokens and the end of the turn; fields: index of the field in
    `FIELD_VALUES` order of the format's `values` that a token decides, or `SKELETON`; weights: of
    each token in the loss, already scaled; total: what the row counts in the mean.
    """

    text: str
    ids: Ints
    fields: Ints
    weights: Floats
    total: float


@dataclass(frozen=True)
class Row:
    """One training row: prompt tokens, then answer tokens; labels are `IGNORED` on the prompt."""

    input_ids: Ints
    token_type_ids: Ints
    labels: Ints
    fields: Ints
    weights: Floats
    total: float


def answer_format(data: DataConfig) -> AnswerFormat:
    """Return the answer format that the rows are written in."""
    return AnswerFormat(layout=data.format, keys=data.keys, decimals=data.decimals)


class AnswerEncoder:
    """Encodes answers of one format with one tokenizer.

    Raises `TokenizerMismatch` for a tokenizer without ``<end_of_turn>`` or without offsets.
    """

    def __init__(self, tokenizer: Any, answer: AnswerFormat, loss: LossConfig) -> None:  # noqa: ANN401
        end = tokenizer.convert_tokens_to_ids(END_OF_TURN)
        if end is None or end == tokenizer.unk_token_id:
            raise TokenizerMismatch(
                f"the tokenizer has no {END_OF_TURN}; use the tokenizer of a Gemma 3 checkpoint"
            )
        self.format, self._tokenizer, self._loss, self._end = answer, tokenizer, loss, int(end)
        self._names = tuple(answer.values)

    def literals(self, labels: Mapping[str, Label]) -> dict[str, str]:
        """Return the JSON literal of every known field, in answer order."""
        found = {}
        for key in self.format.keys:
            value = labels.get(key)
            if value is not None:
                number = self.format.is_number(key)
                found[key] = (
                    repr(round(float(value), self.format.decimals)) if number else json.dumps(value)
                )
        return found

    def encode(self, labels: Mapping[str, Label]) -> Answer:
        """Return the answer for labels; raises `CaseFileError` when none is known."""
        literals = self.literals(labels)
        if not literals:
            raise CaseFileError("no label of the wanted keys is known; leave the patient out")
        shape = AnswerFormat(
            layout=self.format.layout, keys=tuple(literals), decimals=self.format.decimals
        )
        text = shape.render(tuple(literals.values()))
        made = self._tokens(text, literals)
        if not made.total:
            raise CaseFileError(
                f"the known labels ({', '.join(literals)}) all have weight 0 in the loss; give one "
                "of them a weight or leave the patient out"
            )
        return made

    def _tokens(self, text: str, literals: Mapping[str, str]) -> Answer:
        made = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        offsets = [(int(a), int(b)) for a, b in made["offset_mapping"]]
        ids = np.array([*made["input_ids"], self._end], dtype=np.int64)
        fields = np.full(len(ids), SKELETON, dtype=np.int64)
        places = np.zeros(len(ids), dtype=np.int64)
        at = 0
        for key, literal in literals.items():
            at = text.index(f"{json.dumps(key)}", at) + len(json.dumps(key))
            start = text.index(literal, at)
            at = start + len(literal)
            self._mark(fields, places, offsets, (key, start, at))
        weights, total = self._weigh(fields, places)
        return Answer(text, ids, fields, weights, total)

    def _mark(
        self,
        fields: Ints,
        places: Ints,
        offsets: Sequence[tuple[int, int]],
        span: tuple[str, int, int],
    ) -> None:
        """Say which tokens decide a value [start, end), and which decimal of it.

        A number shorter than the format allows is ended by the token after it: a decision too.
        """
        key, start, end = span
        number = self.format.is_number(key)
        digits = end - start - len("0.")
        open_end = number and digits < self.format.decimals
        for i, (a, b) in enumerate(offsets):
            if (a < end and b > start) or (open_end and a == end):
                fields[i] = self._names.index(key)
                places[i] = max(a - start - len("0."), 0) if number else 0

    def _weigh(self, fields: Ints, places: Ints) -> tuple[Floats, float]:
        """Return every token's weight and the sum that the row adds to the mean's divisor."""
        loss = self._loss
        if loss.kind == "tokens":
            return np.ones(len(fields), dtype=np.float32), float(len(fields))
        skeleton = fields == SKELETON
        weights = np.where(skeleton, loss.skeleton, 1.0)
        total = 0.0
        for index in np.unique(fields[~skeleton]):
            weight = loss.weights.get(self._names[index], 1.0)
            own = fields == index
            weights[own] = weight * loss.digit_decay ** places[own]
            total += weight
        return weights.astype(np.float32), float(total)


def join(prompt_ids: Ints, prompt_types: Ints, answer: Answer) -> Row:
    """Return the row of a prompt and its answer; token types of the answer are those of text."""
    before = len(prompt_ids)
    return Row(
        input_ids=np.concatenate([prompt_ids, answer.ids]),
        token_type_ids=np.concatenate([prompt_types, np.zeros_like(answer.ids)]),
        labels=np.concatenate([np.full(before, IGNORED, dtype=np.int64), answer.ids]),
        fields=np.concatenate([np.full(before, SKELETON, dtype=np.int64), answer.fields]),
        weights=np.concatenate([np.zeros(before, dtype=np.float32), answer.weights]),
        total=answer.total,
    )


def collate(rows: Sequence[Row], pixels: Sequence[Any], pad: int) -> dict[str, Any]:
    """Return one batch, padded on the right, as torch tensors.

    pixels: per row a float32 array (images, 3, px, px). Beside what the model takes
    (``input_ids``, ``attention_mask``, ``token_type_ids``, ``pixel_values``) and ``labels``, the
    batch holds what the loss takes: ``keep`` (positions whose next token is an answer's),
    ``targets``, ``weights``, ``fields`` at these positions (rows x positions), and ``total``.
    """
    import torch

    width = max(len(row.input_ids) for row in rows)

    def padded(arrays: Sequence[npt.NDArray[Any]], fill: float) -> npt.NDArray[Any]:
        made = np.full((len(arrays), width), fill, dtype=arrays[0].dtype)
        for line, array in zip(made, arrays, strict=True):
            line[: len(array)] = array
        return made

    labels = padded([row.labels for row in rows], IGNORED)
    keep = np.flatnonzero((labels[:, 1:] != IGNORED).any(axis=0))
    mask = padded([np.ones_like(row.input_ids) for row in rows], 0)
    fields = padded([row.fields for row in rows], SKELETON)
    weights = padded([row.weights for row in rows], 0)
    arrays = {
        "input_ids": padded([row.input_ids for row in rows], pad),
        "attention_mask": mask,
        "token_type_ids": padded([row.token_type_ids for row in rows], 0),
        "pixel_values": np.concatenate(list(pixels)),
        "labels": labels,
        "keep": keep,
        "targets": labels[:, 1:][:, keep],
        "fields": fields[:, 1:][:, keep],
        "weights": weights[:, 1:][:, keep],
        "total": np.array([row.total for row in rows], dtype=np.float32),
    }
    return {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}
