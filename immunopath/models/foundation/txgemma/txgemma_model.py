"""TxGemma itself (a Gemma 2): prompts in, the letter's probability or the rank out.

Greedy, eight tokens. The probability of (B) against (A) is read from the logits at the very step
at which the model wrote its letter, so no tokenization of ``(A)`` is assumed. What is no ``(A)`` or
``(B)``, or no number from 0 to 1000, is unparsed; nothing is guessed from it.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from immunopath.domain.errors import (
    LogitsNotFinite,
    ProcessorMissing,
    TokenizerMismatch,
)
from immunopath.domain.files import read_bounded
from immunopath.models.foundation.hf_loading import (
    Placement,
    load_model,
    load_processor,
    transformers,
)
from immunopath.models.foundation.precision import (
    choose_precision,
    keep_plain_cpu_path,
    loading_options,
)
from immunopath.models.foundation.weights import Weights
from immunopath.models.spec import EngineSpec

Mode = Literal["predict", "chat"]
MODES: Final[tuple[Mode, ...]] = get_args(Mode)
NEW_TOKENS: Final = 8
MODEL_TYPES: Final = ("gemma2",)
_LETTER: Final = re.compile(r"\(([AB])\)")
_RANK: Final = re.compile(r"\s*(\d{1,4})(?!\d)")
_OTHER: Final = {"A": "B", "B": "A"}


@dataclass(frozen=True)
class Reading:
    """What the model wrote to one prompt.

    letter and probability (of B against A) for a choice, rank (0 to 1000) for a regression; all
    None when `text` holds no answer. probability is None when the tokenizer has no twin token with
    the other letter.
    """

    text: str
    letter: Literal["A", "B"] | None = None
    probability: float | None = None
    rank: int | None = None


class TxGemmaModel:
    """A loaded checkpoint; `ask` is not reentrant."""

    def __init__(self, model: Any, tokenizer: Any, mode: Mode) -> None:  # noqa: ANN401
        self._model, self._tokenizer, self.mode = model, tokenizer, mode

    def ask(self, prompts: Sequence[str], kind: Literal["choice", "rank"]) -> tuple[Reading, ...]:
        """Return a reading per prompt, all of one kind, in one left-padded batch.

        Raises `LogitsNotFinite` when the model gives NaN or infinity.
        """
        import torch

        batch = self._encode(prompts)
        with torch.inference_mode():
            out = self._model.generate(
                **batch,
                max_new_tokens=NEW_TOKENS,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                return_dict_in_generate=True,
                output_logits=True,
                pad_token_id=self._tokenizer.pad_token_id,
            )
        written = out.sequences[:, batch["input_ids"].shape[1] :].tolist()
        logits = torch.stack(out.logits, dim=1).float().cpu()
        if not torch.isfinite(logits).all():
            raise LogitsNotFinite(
                "txgemma: the model gives numbers that are not finite; its weights are damaged or "
                "its dtype does not fit, try dtype=float32"
            )
        read = self._choice if kind == "choice" else self._rank
        return tuple(read(ids, rows) for ids, rows in zip(written, logits, strict=True))

    def _encode(self, prompts: Sequence[str]) -> Any:  # noqa: ANN401 - a BatchEncoding
        texts = list(prompts)
        if self.mode == "chat":
            texts = [
                self._tokenizer.apply_chat_template(
                    [{"role": "user", "content": prompt}],
                    add_generation_prompt=True,
                    tokenize=False,
                )
                for prompt in prompts
            ]
        encoded = self._tokenizer(
            texts,
            padding=True,
            padding_side="left",
            return_tensors="pt",
            add_special_tokens=self.mode == "predict",  # the template brings its own <bos>
        )
        return {key: encoded[key].to(self._model.device) for key in ("input_ids", "attention_mask")}

    def _text(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def _choice(self, ids: Sequence[int], logits: Any) -> Reading:  # noqa: ANN401 - (steps, vocab)
        text = self._text(ids)
        found = _LETTER.search(text)
        if found is None:
            return Reading(text)
        letter: Literal["A", "B"] = "A" if found[1] == "A" else "B"
        head = text[: found.start() + 2]  # up to and with the letter
        step = next((t for t in range(len(ids)) if self._text(ids[: t + 1]).startswith(head)), None)
        if step is None:
            return Reading(text, letter)
        twin = self._twin(ids[step], letter)
        if twin is None:
            return Reading(text, letter)
        first, second = (twin, ids[step]) if letter == "B" else (ids[step], twin)
        return Reading(text, letter, float((logits[step, second] - logits[step, first]).sigmoid()))

    def _twin(self, token: int, letter: str) -> int | None:
        """Return the token that is `token` with the other letter, or None when there is none."""
        text = str(self._tokenizer.convert_ids_to_tokens(token))
        if text.count(letter) != 1:
            return None
        twin = self._tokenizer.convert_tokens_to_ids(text.replace(letter, _OTHER[letter]))
        return None if twin in (None, self._tokenizer.unk_token_id) else int(twin)

    def _rank(self, ids: Sequence[int], logits: Any) -> Reading:  # noqa: ANN401
        text = self._text(ids)
        found = _RANK.match(text)
        value = int(found[1]) if found else -1
        return Reading(text, rank=value) if 0 <= value <= 1000 else Reading(text)


def mode_of(spec: EngineSpec, weights: Weights) -> Mode:
    """Return how a checkpoint is asked: by the option ``mode``, its name, or its chat template.

    Raises `EngineSpecError` for an unknown mode, `ProcessorMissing` for chat without a template.
    """
    source, template = weights.source, has_template(weights)
    likely: Mode = named_mode(source) or ("chat" if template else "predict")
    if spec.choice("mode", MODES, likely) == "predict":
        return "predict"
    if not template:
        raise ProcessorMissing(
            f"{source}: mode=chat needs the tokenizer's chat template; put chat_template.jinja "
            "beside the weights or use mode=predict"
        )
    return "chat"


def named_mode(source: str) -> Mode | None:
    """Return the mode that a hub id or folder says in its own name, not in those above it."""
    name = Path(source).expanduser().absolute().name
    return "predict" if "-predict" in name else "chat" if "-chat" in name else None


def has_template(weights: Weights) -> bool:
    """Return whether the tokenizer files bring a chat template, without loading them."""
    if "chat_template.jinja" in weights.files or "chat_template.json" in weights.files:
        return True
    try:
        text = read_bounded(weights.folder / "tokenizer_config.json")
        return "chat_template" in json.loads(text)
    except (OSError, ValueError):
        return False  # the tokenizer's own loading names the fault


def load_txgemma(spec: EngineSpec, weights: Weights, device: str) -> TxGemmaModel:
    """Return the checkpoint ready to answer.

    Raises `CheckpointClassError`, `ProcessorMissing`, `TokenizerMismatch`, `UnsafeWeights`,
    `WeightsCorrupted`, `PrecisionUnsupported`, `EngineSpecError`.
    """
    precision = choose_precision(spec.options, device)
    loading = loading_options(precision, device)
    where = Placement(loading.pop("dtype"), device, loading)
    model = load_model(transformers().AutoModelForCausalLM, weights, MODEL_TYPES, where)
    if precision.quant == "nf4":
        keep_plain_cpu_path(model)
    tokenizer = load_processor("AutoTokenizer", weights)
    rows = int(model.get_input_embeddings().num_embeddings)
    if len(tokenizer) > rows:
        raise TokenizerMismatch(
            f"{weights.source}: the tokenizer has {len(tokenizer)} tokens, the model {rows} rows; "
            "they do not belong together"
        )
    if tokenizer.pad_token_id is None:
        raise TokenizerMismatch(f"{weights.source}: the tokenizer has no padding token")
    return TxGemmaModel(model, tokenizer, mode_of(spec, weights))
