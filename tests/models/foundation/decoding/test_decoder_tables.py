"""Tables, masses and log-probabilities against uncached forwards of one row; options; marginals."""

import json
import math
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from decoder_cases import WINDOWS, decoder, gemma, one_thread, ragged, uncached
from tiny_gemma import randomise

from immunopath.domain.errors import LogitsNotFinite, TokenizerMismatch
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.models.foundation.decoding import decoder as decoder_module
from immunopath.models.foundation.decoding.answer import LAYOUTS, AnswerFormat, Layout
from immunopath.models.foundation.decoding.decoded import DecodedAnswer, SlotReading
from immunopath.models.foundation.decoding.decoder import SlotDecoder
from immunopath.models.foundation.decoding.numbers import cell_name, cell_of
from immunopath.models.foundation.decoding.segments import CachedRows
from immunopath.models.foundation.decoding.slots import encode

WINDOW = WINDOWS["above"]
CLOSE = 1e-4


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture
def model() -> Any:
    """Return the tiny model with the weights of seed 5: it answers with digits."""
    return seeded(WINDOW)


def seeded(window: int) -> Any:
    randomise(gemma(window)[0], 5)
    return gemma(window)[0]


def literal(reading: SlotReading) -> str:
    return reading.greedy if reading.interval else json.dumps(reading.greedy)


def variants(answer: AnswerFormat, said: DecodedAnswer, index: int) -> dict[str, list[int]]:
    """Return the tokens of the whole greedy answer with every value in one field."""
    literals = [literal(reading) for reading in said.readings]
    values = answer.literals(answer.keys[index])
    texts = [answer.render([*literals[:index], v, *literals[index + 1 :]]) for v in values]
    return dict(zip(values, encode(gemma(WINDOW)[1].tokenizer, texts), strict=True))


def alone(model: Any, row: int, ways: dict[str, list[int]], number: bool) -> dict[str, float]:
    """Return the table of a field, one uncached forward per choice."""
    names = {cell_name(cell_of(v)) if number else str(json.loads(v)) for v in ways}
    if len(names) == 1:
        return {names.pop(): 1.0}
    columns = zip(*ways.values(), strict=False)
    part = next(i for i, column in enumerate(columns) if len(set(column)) > 1)
    allowed = sorted({tokens[part] for tokens in ways.values()})
    context = next(iter(ways.values()))[:part]
    logits = uncached(model, ragged()[row], context)[-1, allowed].double()
    table: dict[str, float] = {}
    for token, share in zip(allowed, torch.softmax(logits, dim=0).tolist(), strict=True):
        below = alone(model, row, {v: t for v, t in ways.items() if t[part] == token}, number)
        for name, mass in below.items():
            table[name] = table.get(name, 0.0) + share * mass
    return table


@pytest.mark.parametrize("side", WINDOWS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_tables_of_a_ragged_batch_equal_the_row_alone(layout: Layout, side: str) -> None:
    """Every row in one layout, one row in the others: how they are written changes no mask."""
    model = seeded(WINDOWS[side])
    slots = decoder(layout, WINDOWS[side])
    answers = slots.decode(ragged())
    assert len(answers) == 8
    for row in range(8) if layout == "indented" else (5,):
        for index, reading in enumerate(answers[row].readings):
            number = FIELD_VALUES[reading.key] is None
            expected = alone(model, row, variants(slots.answer, answers[row], index), number)
            assert reading.probabilities == pytest.approx(expected, abs=CLOSE)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_table_sums_to_one_and_covers_the_language(model: Any, layout: Layout) -> None:
    for answer in decoder(layout, WINDOW).decode(ragged()):
        for reading in answer.readings:
            allowed = FIELD_VALUES[reading.key]
            names = allowed or tuple(cell_name(i) for i in range(101))
            assert tuple(reading.probabilities) == names
            assert sum(reading.probabilities.values()) == pytest.approx(1, abs=1e-9)
            assert min(reading.probabilities.values()) >= 0


@pytest.mark.parametrize("side", WINDOWS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_masses_and_log_probability_are_those_of_one_forward(layout: Layout, side: str) -> None:
    """Of every row of a ragged batch, alone and without a cache, over the full head."""
    model = seeded(WINDOWS[side])
    slots = decoder(layout, WINDOWS[side])
    answers = slots.decode(ragged())
    assert len(answers) == 8
    for row, answer in enumerate(answers):
        logs = uncached(model, ragged()[row], answer.tokens).double().log_softmax(dim=-1)
        at, total = 0, 0.0
        for index, (slot, reading) in enumerate(
            zip(slots.plan.slots, answer.readings, strict=True)
        ):
            at += len(slot.lead)
            firsts = {tokens[at] for tokens in variants(slots.answer, answer, index).values()}
            inside = float(logs[at, sorted(firsts)].exp().sum())
            assert reading.off_schema_mass == pytest.approx(1 - inside, abs=CLOSE)
            assert slot.unknown_token is not None
            assert slot.unknown_token not in firsts
            unknown = float(logs[at, slot.unknown_token].exp())
            assert reading.unknown_mass == pytest.approx(unknown, abs=CLOSE)
            total += float(logs[at, answer.tokens[at]])
            node = slot.nodes[0].children[answer.tokens[at]]
            at += 1
            while children := slot.nodes[node].children:
                choice = logs[at, sorted(children)].log_softmax(dim=-1)
                total += float(choice[sorted(children).index(answer.tokens[at])])
                node = children[answer.tokens[at]]
                at += 1
        assert answer.log_probability == pytest.approx(total, abs=CLOSE)
        assert answer.conditional is False
        assert answer.conditioning == "greedy"


def test_a_model_off_the_schema_has_no_value(model: Any) -> None:
    """The random model does not know the format; its tables are there, a value is not."""
    for reading in decoder("indented", WINDOW).decode(ragged(1))[0].readings:
        assert reading.off_schema_mass is not None
        assert (reading.value is None) == (reading.off_schema_mass > 0.5)


def test_candidate_rows_only_is_conditional_and_says_so(model: Any) -> None:
    tokenizer = gemma(WINDOW)[1].tokenizer
    full = decoder("indented", WINDOW).decode(ragged())
    few = SlotDecoder(model, tokenizer, AnswerFormat(), full_head=False).decode(ragged())
    for one, other in zip(full, few, strict=True):
        assert one.tokens == other.tokens
        assert other.conditional is True
        assert other.log_probability > one.log_probability
        for a, b in zip(one.readings, other.readings, strict=True):
            assert a.probabilities == b.probabilities
            assert b.off_schema_mass is None
            assert b.unknown_mass is None
            assert b.value is not None


def test_value_is_the_best_whole_option_and_the_greedy_path_may_differ(model: Any) -> None:
    """IE 0.2, IE/F 0.2, F 0.35: greedy takes IE's token, the best whole option is F."""
    tokenizer = gemma(WINDOW)[1].tokenizer
    slots = SlotDecoder(model, tokenizer, AnswerFormat(), full_head=False)
    differs = 0
    for seed in range(20):
        randomise(model, seed)
        for answer in slots.decode(ragged(2)):
            reading = answer.readings[2]
            best = max(reading.probabilities, key=lambda name: reading.probabilities[name])
            assert reading.value == best
            differs += reading.value != reading.greedy
            number = answer.readings[3]
            below = [m for n, m in number.probabilities.items() if float(n) <= number.value]  # type: ignore[operator]
            assert sum(below) >= 0.5 - 1e-9
            assert number.interval is not None
            assert number.interval[0] <= number.value <= number.interval[1]  # type: ignore[operator]
    assert differs > 0


def test_passes_do_not_grow_with_the_answer(model: Any) -> None:
    slots = decoder("indented", WINDOW)
    answer = slots.decode(ragged(1))[0]
    assert len(answer.tokens) > 90
    assert slots.passes <= 10


def test_any_order_and_subset(model: Any) -> None:
    tokenizer = gemma(WINDOW)[1].tokenizer
    keys = ("immune_score", "tme_subtype", "cd274_expression")
    answer = SlotDecoder(model, tokenizer, AnswerFormat("single_line", keys)).decode(ragged(2))[1]
    assert tuple(json.loads(answer.text)) == keys
    assert [reading.key for reading in answer.readings] == list(keys)


def test_two_decimals_never_write_a_third(model: Any) -> None:
    tokenizer = gemma(WINDOW)[1].tokenizer
    slots = SlotDecoder(model, tokenizer, AnswerFormat(keys=("til_fraction",), decimals=2))
    for answer in slots.decode(ragged()):
        assert len(answer.readings[0].greedy) <= len("0.37")


def test_marginal_averages_over_sampled_histories(model: Any) -> None:
    """Against enumeration: the second field after each value of the first, weighted."""
    tokenizer = gemma(WINDOW)[1].tokenizer
    answer = AnswerFormat("compact", ("tme_subtype", "til_density"))
    drawn = SlotDecoder(model, tokenizer, answer, marginal=400).decode(ragged(1))[0]
    first = SlotDecoder(model, tokenizer, answer).decode(ragged(1))[0]
    assert drawn.conditioning == "marginal:400"
    assert drawn.text == first.text
    assert drawn.readings[0].probabilities == pytest.approx(first.readings[0].probabilities)
    expected = dict.fromkeys(FIELD_VALUES["til_density"] or (), 0.0)
    for value, weight in first.readings[0].probabilities.items():
        literals = [json.dumps(value)]
        texts = [answer.render([*literals, v]) for v in answer.literals("til_density")]
        ways = dict(zip(answer.literals("til_density"), encode(tokenizer, texts), strict=True))
        for name, mass in alone(model, 0, ways, number=False).items():
            expected[name] += weight * mass
    for name, mass in expected.items():
        assert drawn.readings[1].probabilities[name] == pytest.approx(mass, abs=0.05)


def test_marginal_does_not_depend_on_the_batch_and_follows_the_seed(model: Any) -> None:
    tokenizer = gemma(WINDOW)[1].tokenizer
    slots = SlotDecoder(model, tokenizer, AnswerFormat("compact"), marginal=3)
    batch = slots.decode(ragged(3))
    for row in range(3):
        single = slots.decode([ragged(3)[row]])[0]
        for a, b in zip(single.readings, batch[row].readings, strict=True):
            assert a.probabilities == pytest.approx(b.probabilities, abs=CLOSE)
    other = SlotDecoder(model, tokenizer, AnswerFormat("compact"), marginal=3, seed=1)
    assert other.decode(ragged(1))[0].readings[-1] != batch[0].readings[-1]
    greedy = decoder("compact", WINDOW).decode(ragged(3))
    assert [answer.text for answer in batch] == [answer.text for answer in greedy]


def test_marginal_holds_one_chunk_of_histories_at_a_time(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    forks: list[weakref.ref[CachedRows]] = []
    alive: list[int] = []
    select = CachedRows.select

    def counted(rows: CachedRows, index: Sequence[int]) -> CachedRows:
        alive.append(sum(ref() is not None for ref in forks))
        fork = select(rows, index)
        forks.append(weakref.ref(fork))
        return fork

    monkeypatch.setattr(CachedRows, "select", counted)
    monkeypatch.setattr(decoder_module, "FORK_ROWS", 2)
    answer = AnswerFormat("compact", ("tme_subtype", "til_density"))
    slots = SlotDecoder(model, gemma(WINDOW)[1].tokenizer, answer, marginal=5)
    slots.decode(ragged(1))
    assert alive == [0, 0, 0]
    assert slots.passes == 2 + 3  # the greedy history and one per chunk for the second field


def test_a_negative_number_of_samples_is_refused(model: Any) -> None:
    with pytest.raises(ValueError, match="marginal"):
        SlotDecoder(model, gemma(WINDOW)[1].tokenizer, AnswerFormat(), marginal=-1)


def test_nan_is_a_named_error(model: Any) -> None:
    norm = model.model.language_model.norm.weight
    before = norm.detach().clone()
    with torch.no_grad():
        norm.fill_(math.nan)
    try:
        with pytest.raises(LogitsNotFinite, match="NaN"):
            decoder("indented", WINDOW).decode(ragged(1))
    finally:
        with torch.no_grad():
            norm.copy_(before)


def test_nan_in_a_row_of_the_head_that_no_answer_uses_is_a_named_error(model: Any) -> None:
    slots = decoder("indented", WINDOW)
    spare = next(t for t in range(model.lm_head.weight.shape[0]) if t not in slots.plan.tokens)
    head = model.lm_head
    weight = head.weight.detach().clone()
    weight[spare, 0] = math.nan
    model.lm_head = torch.nn.Linear(*weight.T.shape, bias=False)
    model.lm_head.weight = torch.nn.Parameter(weight, requires_grad=False)
    try:
        tokenizer = gemma(WINDOW)[1].tokenizer
        with pytest.raises(LogitsNotFinite, match="NaN"):
            SlotDecoder(model, tokenizer, AnswerFormat()).decode(ragged(1))
    finally:
        model.lm_head = head


def test_a_tokenizer_larger_than_the_head_is_refused(model: Any) -> None:
    tokenizer = gemma(WINDOW)[1].tokenizer
    smaller = torch.nn.Linear(64, 300, bias=False)
    head = model.lm_head
    model.lm_head = smaller
    try:
        with pytest.raises(TokenizerMismatch, match="300 rows"):
            SlotDecoder(model, tokenizer, AnswerFormat())
    finally:
        model.lm_head = head
