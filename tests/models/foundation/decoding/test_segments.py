"""Cached passes against one uncached forward of the same row alone, and the mistakes they avoid."""

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
import torch
from decoder_cases import gemma, one_thread, ragged, uncached
from tiny_gemma import randomise

from immunopath.domain.errors import CheckpointClassError, EngineError, TokenizerMismatch
from immunopath.models.foundation.decoding import prefill as prefill_module
from immunopath.models.foundation.decoding.decoder import EncodedPrompt
from immunopath.models.foundation.decoding.head import OutputHead
from immunopath.models.foundation.decoding.prefill import image_features, prefill
from immunopath.models.foundation.decoding.segments import CachedRows, Piece

CLOSE = 1e-4
N = 6


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with one_thread(), torch.inference_mode():
        yield


def words(source: Random, n: int) -> tuple[int, ...]:
    return tuple(source.randrange(280, 400) for _ in range(n))


def logits_of(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    head = OutputHead(model)
    return head.logits(hidden, head.rows(range(head.width)))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("window", [16, 48, 4096])
def test_ragged_rows_equal_themselves_alone(window: int, attention: str) -> None:
    """Prefill, ragged chains, trees, kept tree paths, idle rows; windows before, in and behind."""
    model, _ = gemma(window, attention)
    randomise(model, 1)
    source = Random(window)
    lead = words(source, 5)
    rows, hidden = prefill(model, ragged(N), Piece(lead, ((301, -1), (302, 0), (303, 0))))
    said = [lead for _ in range(N)]
    worst = 0.0
    for step in range(5):
        if step:
            chains = [words(source, (row * step) % 7) for row in range(N)]
            pieces = [
                Piece(chain, ((301, -1), (302, 0), (303, 0)) if row % 3 else ())
                for row, chain in enumerate(chains)
            ]
            hidden = rows.extend(pieces)
            said = [before + chain for before, chain in zip(said, chains, strict=True)]
        else:
            pieces = [Piece(lead, ((301, -1), (302, 0), (303, 0)))] * N
        logits = logits_of(model, hidden)
        for row, piece in enumerate(pieces):
            n = len(piece.chain)
            if n:
                alone = uncached(model, ragged(N)[row], said[row])[-n:]
                worst = max(worst, float((logits[row, :n] - alone).abs().max()))
            if not piece.tree:
                continue
            for index, path in enumerate([(301,), (301, 302), (301, 303)]):
                alone = uncached(model, ragged(N)[row], said[row] + path)[-1]
                worst = max(worst, float((logits[row, n + index] - alone).abs().max()))
            if row % 2:
                rows.keep({row: [n, n + 2]})
                said[row] += (301, 303)
    assert worst < CLOSE


def test_prefill_in_groups_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = gemma()
    randomise(model, 2)
    piece = Piece((300, 301), ((302, -1), (303, 0)))
    follow = [Piece((310 + row,)) for row in range(N)]
    results = []
    for budget in ((1, 1), (260, 260), (10**6, 10**6)):
        monkeypatch.setattr(prefill_module, "PREFILL_TOKENS", budget)
        rows, hidden = prefill(model, ragged(N), piece)
        for row in range(N):
            rows.keep({row: [2, 3]})
        results.append((hidden, rows.extend(follow), rows.passes))
    passes = [passes for *_, passes in results]
    assert (passes[0], passes[2]) == (N + 1, 2)
    assert 2 < passes[1] < N + 1
    for hidden, after, _ in results[1:]:
        assert torch.allclose(hidden, results[0][0], atol=CLOSE)
        assert torch.allclose(after, results[0][1], atol=CLOSE)


def test_select_copies_and_leaves_the_original_alone() -> None:
    model, _ = gemma()
    randomise(model, 3)
    rows, _ = prefill(model, ragged(2), Piece((300,), ((301, -1),)))
    fork = rows.select([1, 1, 0])
    fork.keep({0: [1]})
    forked = logits_of(model, fork.extend([Piece((305,)), Piece((306, 307)), Piece((308,))]))
    own = logits_of(model, rows.extend([Piece((309,)), Piece((310,))]))
    first, second = ragged(2)
    expected = [
        (forked[0, 0], uncached(model, second, (300, 301, 305))),
        (forked[1, 1], uncached(model, second, (300, 306, 307))),
        (forked[2, 0], uncached(model, first, (300, 308))),
        (own[0, 0], uncached(model, first, (300, 309))),
        (own[1, 0], uncached(model, second, (300, 310))),
    ]
    for got, alone in expected:
        assert torch.allclose(got, alone[-1], atol=CLOSE)


def test_the_images_matter() -> None:
    """Otherwise equality says nothing about image blocks."""
    model, _ = gemma()
    randomise(model, 4)
    prompt = ragged(2)[1]
    assert prompt.pixel_values is not None
    blank = EncodedPrompt(prompt.input_ids, prompt.token_type_ids, prompt.pixel_values * 0)
    _, hidden = prefill(model, [prompt, blank], Piece((300,)))
    assert float((hidden[0] - hidden[1]).abs().max()) > 0.1


def test_each_distinct_image_is_seen_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = gemma()
    inner = model.model
    seen: list[int] = []
    original = inner.get_image_features

    def counting(pixels: torch.Tensor, **options: Any) -> Any:
        seen.append(len(pixels))
        return original(pixels, **options)

    monkeypatch.setattr(inner, "get_image_features", counting)
    one, two = ragged(2)
    features = image_features(inner, [one, two, one, two])
    assert sum(seen) == 3
    assert features is not None
    assert features.shape[0] == 6
    assert torch.equal(features[:3], features[3:])
    assert image_features(inner, [EncodedPrompt(one.input_ids, one.token_type_ids, None)]) is None


def test_images_that_differ_in_one_number_are_told_apart() -> None:
    model, _ = gemma()
    prompt = ragged(1)[0]
    assert prompt.pixel_values is not None
    changed = prompt.pixel_values.clone()
    changed[:, 0, 0, 1] += 3.0
    other = EncodedPrompt(prompt.input_ids, prompt.token_type_ids, changed)
    features = image_features(model.model, [prompt, other])
    assert features is not None
    assert not torch.equal(features[0], features[len(prompt.pixel_values)])


def test_image_tokens_without_images_are_refused() -> None:
    model, _ = gemma()
    prompt = ragged(1)[0]
    bare = EncodedPrompt(prompt.input_ids, prompt.token_type_ids, None)
    with pytest.raises(TokenizerMismatch, match="image tokens"):
        prefill(model, [bare], Piece((300,)))


def test_no_prompt_is_refused() -> None:
    with pytest.raises(EngineError, match="no prompt"):
        prefill(gemma()[0], [], Piece((300,)))


def test_an_attention_that_ignores_masks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    text = gemma()[0].model.language_model
    monkeypatch.setattr(text.config, "_attn_implementation", "flash_attention_2")
    with pytest.raises(CheckpointClassError, match="flash_attention_2"):
        CachedRows(text)


def test_a_piece_knows_what_its_tokens_see() -> None:
    piece = Piece((7, 8), ((1, -1), (2, 0), (3, 0), (4, -1)))
    assert piece.tokens == (7, 8, 1, 2, 3, 4)
    assert piece.ancestors() == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 4], [0, 1, 5]]
