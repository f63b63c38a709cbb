"""The decoding benchmark on the tiny shape: what `--quick` prints, and the accelerator's path."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
QUICK_KEYS = [
    "ratio_batch_1", "ratio_batch_8", "equal_answers", "forward_passes", "prefill_share",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    assert str(BENCHMARKS) in sys.path


def test_the_quick_shape_is_the_fixed_one() -> None:
    import decoding_shapes as shapes

    quick = shapes.QUICK
    assert (quick.hidden, quick.layers, quick.vocab_size) == (512, 8, 262_208)
    assert (quick.vision_hidden, quick.vision_layers, quick.image_size) == (384, 6, 224)
    assert quick.mm_tokens == 16


def test_work_of_the_full_shape_is_the_known_one() -> None:
    """About 8.4 TFLOP a patch: 5.5 in the 896 px vision tower, 2.9 in the language model."""
    import decoding_shapes as shapes

    assert shapes.FULL.flops_per_image / 1e12 == pytest.approx(5.5, abs=0.4)
    assert shapes.FULL.flops_of_prompt(447) / 1e12 == pytest.approx(2.9, abs=0.2)


def test_own_tokenizer_is_as_long_as_gemma_s() -> None:
    import decoding_shapes as shapes

    from immunopath.models.foundation.medgemma.prompts import CARD

    ids = shapes.tokenizer()(CARD.text, add_special_tokens=False)["input_ids"]
    assert len(ids) == pytest.approx(159, abs=8)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_quick_keys_and_equality() -> None:
    import decoding
    import decoding_shapes as shapes

    found = decoding.compare(shapes.TINY, (1, 8), more=False)
    assert list(found) == QUICK_KEYS
    assert found["equal_answers"] is True
    assert found["forward_passes"] == 10
    assert 0 < found["prefill_share"] <= 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_accelerator_s_path_runs_small() -> None:
    pytest.importorskip("bitsandbytes")
    import decoding_full
    import decoding_shapes as shapes

    found = decoding_full.measure(shapes.TINY, "cpu", (1, 2))
    for precision in ("bf16", "nf4"):
        assert set(found[precision]["ratio"]) == {1, 2}
        assert found[precision]["forward_passes"] >= 8


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_parts_add_up() -> None:
    import decoding_parts
    import decoding_shapes as shapes

    found = decoding_parts.expected(shapes.TINY)
    assert len(found["segments"]) == 9
    assert sum(found["segments"]) > 98 - 12
    assert found["expected_ratio_batch_1"] > 1
