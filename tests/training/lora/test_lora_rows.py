"""Rows: the answer's bytes carry the loss and nothing else, whichever tokenizer."""

import json
from typing import Any

import numpy as np
import pytest
from gemma_tokenizer import real_tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_gemma import TEMPLATE, encode, noise, tokenizer
from tiny_lora import HIGH, LOW

from immunopath.domain.errors import CaseFileError, TokenizerMismatch
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.models.foundation.decoding.answer import LAYOUTS, AnswerFormat, Layout
from immunopath.models.foundation.decoding.slots import plan_answer
from immunopath.training.lora.config import LossConfig
from immunopath.training.lora.rows import (
    END_OF_TURN,
    IGNORED,
    SKELETON,
    AnswerEncoder,
    Row,
    collate,
    join,
)

SEPARATORS: dict[Layout, dict[str, Any]] = {
    "indented": {"indent": 2},
    "single_line": {},
    "compact": {"separators": (",", ":")},
}
NAMES = tuple(FIELD_VALUES)
labels_of = st.fixed_dictionaries(
    {
        key: st.sampled_from([*values, None])
        if values
        else st.one_of(st.none(), st.floats(min_value=0, max_value=1))
        for key, values in FIELD_VALUES.items()
    }
).filter(lambda found: any(v is not None for v in found.values()))


@pytest.fixture(scope="module")
def processor() -> Any:
    """A processor of the tiny kind, two images a prompt or more."""
    from transformers import Gemma3Processor
    from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

    images = Gemma3ImageProcessorPil(size={"height": 28, "width": 28})
    tok = tokenizer()
    return Gemma3Processor(
        image_processor=images, tokenizer=tok, chat_template=TEMPLATE, image_seq_length=4
    )


def encoder(tok: Any, layout: Layout = "indented", decimals: int = 2, **loss: Any) -> AnswerEncoder:
    return AnswerEncoder(tok, AnswerFormat(layout=layout, decimals=decimals), LossConfig(**loss))


def row_of(processor: Any, answers: AnswerEncoder, labels: Any, images: int = 2) -> Row:
    asked = encode(processor, "Answer.", [noise(i, 28) for i in range(images)])
    ids, types = asked.input_ids[0].numpy(), asked.token_type_ids[0].numpy()
    return join(ids, types, answers.encode(labels))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("real", [False, True])
def test_unmasked_labels_are_the_json_answer_and_the_end_of_turn(
    layout: Layout, real: bool, processor: Any
) -> None:
    tok = real_tokenizer() if real else processor.tokenizer
    for labels in (LOW, HIGH):
        answer = encoder(tok, layout).encode(labels)
        row = join(np.arange(7), np.zeros(7, dtype=np.int64), answer)
        learned = tok.decode(row.labels[row.labels != IGNORED])
        assert learned == json.dumps(labels, **SEPARATORS[layout]) + END_OF_TURN
        assert (row.labels[:7] == IGNORED).all()


def test_a_row_is_what_the_chat_template_makes_of_the_whole_conversation(processor: Any) -> None:
    images = [noise(i, 28) for i in range(2)]
    asked = [*({"type": "image", "image": i} for i in images), {"type": "text", "text": "Answer."}]
    told = [{"type": "text", "text": json.dumps(LOW, indent=2)}]
    chat = [{"role": "user", "content": asked}, {"role": "assistant", "content": told}]
    whole = processor.apply_chat_template(
        chat, tokenize=True, return_dict=True, return_tensors="np"
    )
    row = row_of(processor, encoder(processor.tokenizer), LOW)
    after = whole["input_ids"][0][len(row.input_ids) :]
    assert list(whole["input_ids"][0][: len(row.input_ids)]) == list(row.input_ids)
    assert processor.tokenizer.decode(after) == "\n"
    assert list(whole["token_type_ids"][0][: len(row.input_ids)]) == list(row.token_type_ids)


def test_the_labels_are_those_of_trl_for_prompt_and_completion(processor: Any) -> None:
    sft = pytest.importorskip("trl.trainer.sft_trainer")
    images = [noise(i, 28) for i in range(2)]
    example = {
        "images": images,
        "prompt": [{"role": "user", "content": "Answer."}],
        "completion": [{"role": "assistant", "content": json.dumps(HIGH, indent=2)}],
    }
    theirs = sft.DataCollatorForVisionLanguageModeling(
        processor, max_length=None, completion_only_loss=True
    )([example])
    ours = row_of(processor, encoder(processor.tokenizer), HIGH)
    n = len(ours.input_ids)
    assert theirs["input_ids"][0][:n].tolist() == ours.input_ids.tolist()
    assert theirs["labels"][0][:n].tolist() == ours.labels.tolist()
    assert theirs["token_type_ids"][0][:n].tolist() == ours.token_type_ids.tolist()
    assert processor.tokenizer.decode(theirs["input_ids"][0][n:]) == "\n"


def test_token_types_mark_the_image_tokens_and_only_them(processor: Any) -> None:
    rows = [row_of(processor, encoder(processor.tokenizer), LOW, images) for images in (1, 3)]
    pixels = [np.zeros((n, 3, 28, 28), dtype=np.float32) for n in (1, 3)]
    batch = collate(rows, pixels, processor.tokenizer.pad_token_id)
    image = batch["input_ids"] == processor.tokenizer.image_token_id
    assert batch["token_type_ids"].bool().equal(image)
    assert image.sum(1).tolist() == [4, 12]
    assert tuple(batch["pixel_values"].shape) == (4, 3, 28, 28)
    short = len(rows[0].input_ids)
    assert batch["attention_mask"].sum(1).tolist() == [short, len(rows[1].input_ids)]
    assert (batch["labels"][0, short:] == IGNORED).all()


def test_what_the_loss_takes_is_the_labels_one_place_on(processor: Any) -> None:
    answers = encoder(processor.tokenizer)
    rows = [row_of(processor, answers, LOW, 1), row_of(processor, answers, HIGH, 2)]
    batch = collate(rows, [np.zeros((1, 3, 28, 28), np.float32)] * 2, 0)
    for i, row in enumerate(rows):
        kept = batch["targets"][i] != IGNORED
        assert batch["targets"][i][kept].tolist() == row.labels[row.labels != IGNORED].tolist()
        assert batch["fields"][i][kept].tolist() == row.fields[row.labels != IGNORED].tolist()
        assert not batch["weights"][i][~kept].any()
        first = int(np.flatnonzero(row.labels != IGNORED)[0])
        assert int(batch["keep"][kept.nonzero()[0, 0]]) == first - 1


@given(labels=labels_of, layout=st.sampled_from(LAYOUTS), decimals=st.sampled_from([2, 3]))
@settings(max_examples=60, deadline=None)
def test_an_answer_holds_the_known_fields_and_never_unknown(
    labels: dict[str, Any], layout: Layout, decimals: int
) -> None:
    answer = ENCODERS[layout, decimals].encode(labels)
    said = json.loads(answer.text)
    assert list(said) == [key for key in NAMES if labels[key] is not None]
    for key, value in said.items():
        known = labels[key]
        assert value == (round(known, decimals) if FIELD_VALUES[key] is None else known)
    assert "unknown" not in answer.text
    assert set(answer.fields) - {SKELETON} == {NAMES.index(key) for key in said}


@given(labels=labels_of, decimals=st.sampled_from([2, 3]), some=st.booleans())
@settings(max_examples=40, deadline=None)
def test_the_tokens_are_those_that_the_slot_decoder_walks(
    labels: dict[str, Any], decimals: int, some: bool
) -> None:
    """Every choice of the decoder's tries is a token that weighs as its field."""
    wanted = NAMES[1::2] if some else NAMES
    known = {key: LOW[key] if labels[key] is None else labels[key] for key in wanted}
    answers = ENCODERS["indented", decimals]
    answer = answers.encode(known)
    shape = AnswerFormat(keys=wanted, decimals=decimals)
    plan = plans(shape)
    at = 0
    for slot in plan.slots:
        assert tuple(answer.ids[at : at + len(slot.lead)]) == slot.lead
        at += len(slot.lead)
        node = slot.nodes[0]
        while node.children:
            if len(node.children) > 1:
                assert answer.fields[at] == NAMES.index(slot.key), (slot.key, at)
            node = slot.nodes[node.children[int(answer.ids[at])]]
            at += 1
    assert (*plan.tail, answer.ids[-1]) == tuple(answer.ids[at:])


def test_fields_weigh_alike_however_many_tokens_they_have() -> None:
    answers = encoder(tokenizer(), weights={"msi_status": 2.0}, skeleton=0.25, digit_decay=0.5)
    answer = answers.encode(HIGH | {"til_fraction": 0.25})
    assert answer.total == 9.0  # seven fields of weight 1, one of weight 2
    assert set(answer.weights[answer.fields == SKELETON]) == {0.25}
    assert set(answer.weights[answer.fields == NAMES.index("msi_status")]) == {2.0}
    digits = answer.weights[answer.fields == NAMES.index("til_fraction")]
    assert digits.tolist()[-2:] == [1.0, 0.5]


def test_the_end_of_a_short_number_is_a_choice() -> None:
    short, full = (encoder(tokenizer()).encode({"til_fraction": v}) for v in (0.3, 0.31))
    assert (short.fields != SKELETON).sum() == (full.fields != SKELETON).sum()
    assert (short.fields == SKELETON).argmin() == (full.fields == SKELETON).argmin()


def test_with_tokens_every_token_counts_one() -> None:
    answer = encoder(tokenizer(), kind="tokens").encode(LOW)
    assert set(answer.weights) == {1.0}
    assert answer.total == len(answer.ids)


def test_what_cannot_be_a_row_is_named() -> None:
    with pytest.raises(CaseFileError, match="no label of the wanted keys"):
        encoder(tokenizer()).encode({"til_fraction": None})
    silent = encoder(tokenizer(), weights={"til_fraction": 0})
    with pytest.raises(CaseFileError, match=r"til_fraction.*weight 0"):
        silent.encode({"til_fraction": 0.5})

    class Foreign:
        unk_token_id = 3

        def convert_tokens_to_ids(self, token: str) -> int:
            return 3

    with pytest.raises(TokenizerMismatch, match="end_of_turn"):
        encoder(Foreign())


ENCODERS = {
    (layout, decimals): encoder(tokenizer(), layout, decimals)
    for layout in LAYOUTS
    for decimals in (2, 3)
}
_PLANS: dict[str, Any] = {}


def plans(shape: AnswerFormat) -> Any:
    """The decoder's plan of a format, made once."""
    if shape.digest not in _PLANS:
        _PLANS[shape.digest] = plan_answer(tokenizer_of_plans(), shape)
    return _PLANS[shape.digest]


def tokenizer_of_plans() -> Any:
    if "tokenizer" not in _PLANS:
        _PLANS["tokenizer"] = tokenizer()
    return _PLANS["tokenizer"]
