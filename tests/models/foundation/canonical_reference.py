"""The reference of slot decoding: `generate`, restricted to canonical tokenizations.

Written without the product's slots: it only renders whole answers as text, tokenizes them whole,
and allows, after what was generated so far, the tokens with which one of them goes on.
"""

import itertools
import json
from collections.abc import Sequence
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList

LAYOUT_ARGUMENTS: dict[str, dict[str, Any]] = {
    "indented": {"indent": 2},
    "single_line": {},
    "compact": {"separators": (",", ":")},
}
VALUES: dict[str, tuple[Any, ...] | None] = {
    "cd274_expression": ("high", "low"),
    "msi_status": ("MSI-H", "MSS"),
    "tme_subtype": ("IE", "IE/F", "F", "D"),
    "til_fraction": None,
    "til_density": ("high", "moderate", "low"),
    "immune_phenotype": ("inflamed", "excluded", "desert"),
    "cd8_infiltration": ("high", "moderate", "low"),
    "immune_score": None,
}
NUMBERS = tuple(i / 1000 for i in range(1001))


def options(key: str) -> tuple[Any, ...]:
    """Return every allowed value of a field; JSON spells 0.0, 1.0 and no trailing zero."""
    return VALUES[key] or NUMBERS


class CanonicalAnswers(LogitsProcessor):
    """Leaves only tokens that continue a canonical tokenization of a valid answer."""

    def __init__(self, tokenizer: Any, layout: str, keys: Sequence[str]) -> None:
        self.tokenizer, self._arguments = tokenizer, LAYOUT_ARGUMENTS[layout]
        self._keys = tuple(keys)
        self.stop = int(tokenizer.convert_tokens_to_ids("<end_of_turn>"))
        self.width = 0
        """Columns of the (padded) prompt; set before generating."""
        self._known: dict[tuple[Any, ...], list[tuple[Any, list[int]]]] = {}
        self._decided: dict[tuple[int, ...], tuple[Any, ...]] = {}

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        masked = torch.full_like(scores, -torch.inf)
        for row, ids in enumerate(input_ids[:, self.width :].tolist()):
            allowed = [self.stop] if self.stop in ids else self.allowed(ids)
            masked[row, allowed] = scores[row, allowed]
        return masked

    def allowed(self, ids: list[int]) -> list[int]:
        """Return the tokens that may follow `ids`."""
        # What one token less had decided stays decided: start there instead of at the first field.
        decided = self._decided.get(tuple(ids[:-1]), ())
        while True:
            fits = [(v, r) for v, r in self._rows(decided) if r[: len(ids)] == ids[: len(r)]]
            assert fits, f"no canonical answer: {self.tokenizer.convert_ids_to_tokens(ids)}"
            following = sorted({row[len(ids)] for _, row in fits if len(row) > len(ids)})
            if following:
                self._decided[tuple(ids)] = decided
                return following
            assert len(fits) == 1
            decided = (*decided, fits[0][0])
            if len(decided) == len(self._keys):
                return [self.stop]

    def _rows(self, decided: tuple[Any, ...]) -> list[tuple[Any, list[int]]]:
        """Return, for every value of the next field, the tokens up to where later fields matter.

        That is what two whole answers share whose later fields are all first or all last options.
        """
        if decided not in self._known:
            values = options(self._keys[len(decided)])
            later = self._keys[len(decided) + 1 :]
            one, other = (
                self._encode([(*decided, v, *(options(k)[end] for k in later)) for v in values])
                for end in (0, -1)
            )
            self._known[decided] = [
                (v, [x for x, y in itertools.takewhile(_same, zip(a, b, strict=False))])
                for v, a, b in zip(values, one, other, strict=True)
            ]
        return self._known[decided]

    def _encode(self, answers: Sequence[tuple[Any, ...]]) -> list[list[int]]:
        texts = [
            json.dumps(dict(zip(self._keys, answer, strict=True)), **self._arguments)
            for answer in answers
        ]
        many = self.tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False)
        return [list(encoding.ids) for encoding in many]


def _same(pair: tuple[int, int]) -> bool:
    return pair[0] == pair[1]


def pad_left(prompts: Sequence[Any], pad: int) -> dict[str, Any]:
    """Return the arguments of `generate` for a left-padded batch of `EncodedPrompt`."""
    width = max(p.input_ids.shape[1] for p in prompts)
    ids = torch.full((len(prompts), width), pad)
    mask, types = torch.zeros_like(ids), torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        n = prompt.input_ids.shape[1]
        ids[row, width - n :] = prompt.input_ids[0]
        mask[row, width - n :] = 1
        types[row, width - n :] = prompt.token_type_ids[0]
    found: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    images = [p.pixel_values for p in prompts if p.pixel_values is not None]
    if images:
        found["pixel_values"] = torch.cat(images)
    return found


def generate_canonical(
    model: Any, rule: CanonicalAnswers, prompts: Sequence[Any]
) -> list[list[int]]:
    """Return the greedy token path of each prompt under the restriction, without the end token."""
    pad = int(rule.tokenizer.pad_token_id)
    inputs = pad_left(prompts, pad)
    rule.width = inputs["input_ids"].shape[1]
    with torch.inference_mode():
        out = model.generate(
            **inputs,
            logits_processor=LogitsProcessorList([rule]),
            max_new_tokens=200,
            do_sample=False,
            eos_token_id=rule.stop,
            pad_token_id=pad,
        )
    rows = out[:, rule.width :].tolist()
    return [list(itertools.takewhile(lambda token: token != rule.stop, row)) for row in rows]
