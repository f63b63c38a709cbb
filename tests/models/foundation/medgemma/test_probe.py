"""The probe tells a model that looks from one that does not."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tiny_lora import field

from immunopath.domain.errors import CaseFileError, InputError
from immunopath.models.foundation.medgemma.probe import (
    DRAWS,
    ProbeResult,
    ProbeSetup,
    Tables,
    Verdict,
    blank,
    estimate,
    probe,
    shuffled,
)
from immunopath.models.foundation.medgemma.probe_files import probe_caution, read_probe, write_probe
from immunopath.models.protocols import RGB

UNITS = [[field(60 + 8 * i, i)] for i in range(16)]


SETUP = ProbeSetup(
    weights_digest="w", prompt_digest="p", images=1, format="indented", mpp=0.5, dtype="float32",
    quant="none", preprocess="px=64;head=full",
)  # fmt: skip


def table(p: float) -> dict[str, dict[str, float]]:
    return {"cd274_expression": {"high": p, "low": 1 - p}}


def constant(units: Sequence[Sequence[RGB]]) -> list[Tables]:
    return [table(0.2) for _ in units]


def by_brightness(units: Sequence[Sequence[RGB]]) -> list[Tables]:
    return [table(float(unit[0].mean()) / 256) for unit in units]


def by_white(units: Sequence[Sequence[RGB]]) -> list[Tables]:
    """Tells glass from tissue and nothing else."""
    return [table(0.9 if unit[0].min() == 255 else 0.2) for unit in units]


def run(read: object, units: Sequence[Sequence[RGB]] = UNITS) -> ProbeResult:
    return probe(units, read, SETUP)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("read", "verdict"), [(constant, "ignores"), (by_brightness, "depends"), (by_white, "constant")]
)
def test_verdicts(read: object, verdict: Verdict) -> None:
    result = run(read)
    assert result.verdict == verdict
    assert result.keys(verdict) == ("cd274_expression",)
    assert result.n_units == len(UNITS)


def test_too_few_prompts_decide_nothing() -> None:
    assert run(constant, UNITS[:7]).verdict == "unclear"
    with pytest.raises(InputError, match="at least one patch"):
        run(constant, [])


def test_the_numbers_are_what_they_say() -> None:
    [row] = run(by_white).fields
    assert row.blank.mean == pytest.approx(0.7)
    assert row.between.mean == pytest.approx(0)
    assert row.log_blank.mean == pytest.approx(np.log(0.8) - np.log(0.1))
    assert row.constant
    [row] = run(by_brightness).fields
    assert not row.constant
    assert row.blank.low < row.blank.mean < row.blank.high
    assert row.shuffled.mean < 1e-9  # the same colours


def test_the_interval_covers_the_mean_of_what_was_drawn_from() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        values = rng.normal(0.3, 0.1, 30)
        got = estimate(values.tolist(), rng.integers(0, 30, (DRAWS, 30)))
        hits += got.low <= 0.3 <= got.high
    assert 180 <= hits <= 198


def test_a_shuffled_image_keeps_its_pixels_and_loses_its_places() -> None:
    image = np.arange(129 * 128 * 3, dtype=np.uint32).reshape(129, 128, 3).astype(np.uint8)
    out = shuffled(image, 1)
    assert out.shape == image.shape
    assert not np.array_equal(out, image)
    before, after = (np.unique(i.reshape(-1, 3), axis=0, return_counts=True) for i in (image, out))
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert np.array_equal(out[128:], image[128:])  # what fills no block stays
    assert np.array_equal(shuffled(image, 1), out)
    assert (blank(image) == 255).all()


def test_a_result_comes_back_from_its_file(tmp_path: Path) -> None:
    result = run(by_brightness)
    path = tmp_path / "deeper" / "probe.json"
    write_probe(result, path)
    assert read_probe(path, needed=True) == result
    assert read_probe(tmp_path / "none.json", needed=False) is None
    with pytest.raises(CaseFileError, match="no such file"):
        read_probe(tmp_path / "none.json", needed=True)
    path.write_text("{}")
    with pytest.raises(CaseFileError, match="is not a probe result"):
        read_probe(path, needed=False)


@pytest.mark.parametrize(
    ("read", "code"),
    [(constant, "IMAGE_IGNORED"), (by_white, "IMAGE_IGNORED"), (by_brightness, None)],
)
def test_what_a_report_says(read: object, code: str | None) -> None:
    caution = probe_caution(run(read), SETUP)
    assert (caution.code if caution else None) == code
    if caution:
        assert caution.severity == "serious"
        assert caution.fields == ("cd274_expression",)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"weights_digest": "v"}, "other weights"),
        ({"prompt_digest": "q"}, "another prompt"),
        ({"images": 4}, "images 1 instead of 4"),
        ({"format": "compact"}, "format indented instead of compact"),
        ({"mpp": 1.0}, "mpp 0.5 instead of 1.0"),
        ({"dtype": "bfloat16"}, "dtype float32 instead of bfloat16"),
        ({"quant": "nf4"}, "quant none instead of nf4"),
        ({"preprocess": "px=64;head=candidates"}, "head=full instead of head=candidates"),
    ],
)
def test_a_probe_for_another_configuration_is_none(change: dict[str, object], says: str) -> None:
    caution = probe_caution(run(by_brightness), SETUP.model_copy(update=change))
    assert caution is not None
    assert caution.code == "NOT_PROBED"
    assert says in caution.message


def test_no_probe_and_an_old_file_are_said(tmp_path: Path) -> None:
    caution = probe_caution(None, SETUP)
    assert caution is not None
    assert caution.code == "NOT_PROBED"
    old = run(by_brightness).model_dump_json(
        exclude={"format", "mpp", "dtype", "quant", "preprocess"}
    )
    (tmp_path / "old.json").write_text(old)
    caution = probe_caution(read_probe(tmp_path / "old.json", needed=True), SETUP)
    assert caution is not None
    assert "mpp unknown instead of 0.5" in caution.message
    few = probe_caution(run(constant, UNITS[:3]), SETUP)
    assert few is not None
    assert few.code == "IMAGE_USE_UNCLEAR"
