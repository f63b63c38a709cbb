"""`generate` under llguidance: the usual way to valid JSON, for comparison only.

It constrains strings, not tokenizations, so its greedy path is no reference for ours.
"""
# ruff: noqa: ANN401, D102 - models and tokenizers of transformers have no types

from typing import Any

import llguidance
import llguidance.hf
import llguidance.torch
import torch
from transformers import LogitsProcessor

from immunopath.models.foundation.decoding.answer import AnswerFormat

SEPARATORS = {"indented": (",\n  ", ": "), "single_line": (", ", ": "), "compact": (",", ":")}


class Grammar:
    """A compiled JSON schema of an answer format."""

    def __init__(self, tok: Any, answer: AnswerFormat, width: int) -> None:
        self.stop = int(tok.convert_tokens_to_ids("<end_of_turn>"))
        self._tokens = llguidance.hf.from_tokenizer(tok, n_vocab=width, eos_token=self.stop)
        item, key = SEPARATORS[answer.layout]
        self._grammar = llguidance.LLMatcher.grammar_from_json_schema(
            schema(answer),
            defaults={
                "whitespace_flexible": False, "item_separator": item, "key_separator": key,
            },
        )  # fmt: skip
        self._width = width

    def processor(self, prompt_tokens: int, rows: int) -> "Rule":
        matchers = [llguidance.LLMatcher(self._tokens, self._grammar) for _ in range(rows)]
        return Rule(matchers, prompt_tokens, self._width)


def schema(answer: AnswerFormat) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key in answer.keys:
        allowed = answer.values[key]
        number = {"type": "number", "minimum": 0, "maximum": 1, "multipleOf": 0.001}
        fields[key] = number if allowed is None else {"enum": list(allowed)}
    return {
        "type": "object",
        "properties": fields,
        "required": list(answer.keys),
        "additionalProperties": False,
    }


class Rule(LogitsProcessor):
    """Masks what the grammar forbids."""

    def __init__(self, matchers: list[Any], prompt_tokens: int, width: int) -> None:
        self._matchers, self._at = matchers, prompt_tokens
        self._mask = llguidance.torch.allocate_token_bitmask(len(matchers), width)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        for row, matcher in enumerate(self._matchers):
            if input_ids.shape[1] > self._at and not matcher.is_stopped():
                matcher.consume_token(int(input_ids[row, -1]))
            llguidance.torch.fill_next_token_bitmask(matcher, self._mask, row)
        llguidance.torch.apply_token_bitmask_inplace(scores, self._mask.to(scores.device))
        return scores
