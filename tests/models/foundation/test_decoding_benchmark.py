"""The decoding benchmark on the tiny shape: what `--quick` prints, and the accelerator's path."""

import sys
from pathlib import Path
from typing import Any

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


def test_what_the_grammar_wrote_is_read_strictly() -> None:
    from decoding_check import checked

    from immunopath.models.foundation.decoding.answer import AnswerFormat

    answer = AnswerFormat(keys=("msi_status", "til_fraction"))
    good = '{"msi_status": "MSS", "til_fraction": 0.125}'
    bad = [
        good[:-1],
        good.replace("MSS", "maybe"),
        good.replace("0.125", "1.125"),
        good.replace("0.125", "0.1255"),
        good.replace("0.125", "true"),
        good.replace("}", ', "msi_status": "MSS"}'),
        good.replace("}", ', "other": 1}'),
        '{"til_fraction": 0.125, "msi_status": "MSS"}',
        "[]",
    ]
    assert checked(answer, [good]) == {
        "answers": 1, "parse": 1, "fit_the_schema": 1, "first_bad": None,
    }  # fmt: skip
    for text in bad:
        found = checked(answer, [good, text])
        assert found["fit_the_schema"] == 1
        assert found["first_bad"] == text
    assert checked(answer, bad)["parse"] == len(bad) - 2


def test_what_stands_behind_padded_prompts_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    import decoding_shapes as shapes
    import decoding_sides as sides
    import torch

    tok = shapes.tokenizer()
    asked = [*shapes.prompts(shapes.TINY, 1, "Describe."), *shapes.prompts(shapes.TINY, 1)]
    ids = tok('{"a": 1}', add_special_tokens=False)["input_ids"]
    stop = tok.convert_tokens_to_ids("<end_of_turn>")
    width = max(p.input_ids.shape[1] for p in asked)
    out = torch.tensor([[5] * width + ids + [stop]] * 2)
    assert sides.written(tok, asked, out) == ['{"a": 1}'] * 2


def test_equality_is_asked_of_eight_prompts_and_of_one_in_every_case(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import decoding_shapes as shapes
    import decoding_sides as sides
    import torch

    from immunopath.models.foundation.decoding.answer import LAYOUTS

    model = shapes.build(shapes.TINY, torch.float32, "cpu")
    text, tok = model.config.get_text_config(), shapes.tokenizer()
    own, seen = text.sliding_window, []
    lengths = [p.input_ids.shape[1] for p in sides.asked_for_equality(shapes.TINY)]
    assert len(lengths) == 8
    assert len(set(lengths)) == 5

    class Said:
        tokens = (1,)

    class Decoder:
        def __init__(self, model: object, tok: object, answer: object) -> None:
            self.layout = answer.layout  # type: ignore[attr-defined]

        def decode(self, batch: list[object]) -> list[Said]:
            width = text.sliding_window
            seen.append((self.layout, width > max(lengths) + 110, len(batch)))
            assert seen[-1][1] or width < min(lengths) + 90
            return [Said()] * len(batch)

    monkeypatch.setattr(sides, "SlotDecoder", Decoder)
    monkeypatch.setattr(sides, "generate_canonical", lambda m, r, batch: [[1]] * len(batch))
    assert sides.equal_answers(model, tok, shapes.TINY, LAYOUTS)
    assert text.sliding_window == own
    assert sorted(seen) == sorted((x, b, n) for x in LAYOUTS for b in (True, False) for n in (8, 1))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_grammar_s_output_is_reported() -> None:
    pytest.importorskip("llguidance")
    import decoding
    import decoding_shapes as shapes

    found = decoding.compare(shapes.TINY, (1, 8), more=True)
    assert found["grammar_output"]["parse"] == found["grammar_output"]["fit_the_schema"] == 1


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


def test_what_does_not_fit_is_written_down_and_the_rest_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import decoding_full
    import decoding_shapes as shapes
    import decoding_sides as sides
    import torch

    real = sides.SlotDecoder.decode

    def small(self: Any, prompts: Any) -> Any:
        if len(prompts) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, prompts)

    monkeypatch.setattr(sides.SlotDecoder, "decode", small)
    model = shapes.build(shapes.TINY, torch.float32, "cpu")
    found = decoding_full.one_precision("bf16", model, shapes.TINY, (1, 4), 1e9)
    assert found["patches_per_second"][4] == found["ratio"][4] == "out of memory"
    assert found["ratio"][1] > 0
    assert found["prefill_batch"] == 1
    assert "slots_1 repeat 2 seconds" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_parts_add_up() -> None:
    import decoding_parts
    import decoding_shapes as shapes

    found = decoding_parts.expected(shapes.TINY)
    assert len(found["segments"]) == 9
    assert sum(found["segments"]) > 98 - 12
    assert found["expected_ratio_batch_1"] > 1
