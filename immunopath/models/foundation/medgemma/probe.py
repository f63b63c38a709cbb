"""Does a predictor look at the image? Real patches against blank and shuffled ones.

The published adapter answers nearly a constant, and its metrics hid it. So every model can be
probed, the result is kept beside the weights, and every report says what it was.

Blank: a white patch, as empty glass. Shuffled: the patch cut into blocks of 1/64 of its side (4 µm
at 0.5 µm/px), rearranged: the same colours without nuclei and layout.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from immunopath.domain.base import Frozen
from immunopath.domain.errors import InputError
from immunopath.models.foundation.medgemma.aggregate import best, total_variation
from immunopath.models.protocols import RGB

LIMIT: Final = 0.05
"""Total variation below which an answer is called unchanged (project-set)."""
MIN_UNITS: Final = 8
"""Fewer prompts than this decide nothing."""
DRAWS: Final = 2000
SEED: Final = 20261124
_BLOCKS: Final = 64
_FLOOR: Final = 1e-9

Tables = Mapping[str, Mapping[str, float]]
"""Probabilities by value, by field."""
Verdict = Literal["depends", "constant", "ignores", "unclear"]


class Estimate(Frozen):
    """A mean over prompts with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


class FieldProbe(Frozen):
    """How one field's answer changes.

    blank, shuffled: total variation (0 to 1) between the answer to the real patches and to the
    altered ones; between: of the answers to different real patches from their mean; log_blank,
    log_shuffled: natural logarithm of the probability of the real answer's value, real minus
    altered; constant: the same value for every real patch.
    """

    key: str
    blank: Estimate
    shuffled: Estimate
    between: Estimate
    log_blank: Estimate
    log_shuffled: Estimate
    constant: bool
    verdict: Verdict


class ProbeSetup(Frozen):
    """What was asked how: a probe says nothing about an engine that is set up otherwise.

    images: per prompt; mpp: of the patches; preprocess: as in `EngineInfo`. What older files lack
    is empty, and so differs from every engine.
    """

    weights_digest: str
    prompt_digest: str
    images: int
    format: str = ""
    mpp: float = 0.0
    dtype: str = ""
    quant: str = ""
    preprocess: str = ""


class ProbeResult(ProbeSetup):
    """The probe of one engine.

    images: the most that a prompt had; n_units: prompts with real patches.
    verdict: ``depends`` on the image; ``constant``: tells tissue from glass and no more;
    ``ignores`` it; ``unclear``: too few prompts or too wide intervals.
    """

    n_units: int
    limit: float = LIMIT
    fields: tuple[FieldProbe, ...]
    verdict: Verdict

    def keys(self, *verdicts: Verdict) -> tuple[str, ...]:
        """Return the fields with one of these verdicts."""
        return tuple(field.key for field in self.fields if field.verdict in verdicts)


def blank(pixels: RGB) -> RGB:
    """Return a white image of the same shape."""
    return np.full_like(pixels, 255)


def shuffled(pixels: RGB, seed: int) -> RGB:
    """Return the image with its blocks rearranged; what does not fill a block stays in place."""
    side = max(1, min(pixels.shape[:2]) // _BLOCKS)
    rows, columns = pixels.shape[0] // side, pixels.shape[1] // side
    out = pixels.copy()
    inner = pixels[: rows * side, : columns * side]
    blocks = inner.reshape(rows, side, columns, side, 3).swapaxes(1, 2).reshape(-1, side, side, 3)
    order = np.random.default_rng(seed).permutation(len(blocks))
    moved = blocks[order].reshape(rows, columns, side, side, 3).swapaxes(1, 2)
    out[: rows * side, : columns * side] = moved.reshape(inner.shape)
    return out


def probe(
    units: Sequence[Sequence[RGB]],
    read: Callable[[Sequence[Sequence[RGB]]], Sequence[Tables]],
    setup: ProbeSetup,
) -> ProbeResult:
    """Ask about `units` (the images of one prompt each), real, blank and shuffled, and compare.

    `read` returns the tables of one answer per unit. Raises `InputError` without any unit.
    """
    if not units:
        raise InputError("a probe needs at least one patch; give images with tissue")
    real = read(units)
    empty = read([[blank(image) for image in unit] for unit in units])
    mixed = read(
        [
            [shuffled(image, SEED + 97 * u + i) for i, image in enumerate(unit)]
            for u, unit in enumerate(units)
        ]
    )
    most = max(len(unit) for unit in units)
    return compare(real, empty, mixed, setup.model_copy(update={"images": most}))


def compare(
    real: Sequence[Tables], empty: Sequence[Tables], mixed: Sequence[Tables], setup: ProbeSetup
) -> ProbeResult:
    """Return what answers to the same units say, as they are, blank and shuffled; at least one."""
    draw = np.random.default_rng(SEED).integers(0, len(real), (DRAWS, len(real)))
    fields = tuple(_field(key, real, empty, mixed, draw) for key in real[0])
    return ProbeResult(
        **setup.model_dump(),
        n_units=len(real),
        fields=fields,
        verdict=_overall([field.verdict for field in fields]),
    )


def _field(
    key: str,
    real: Sequence[Tables],
    empty: Sequence[Tables],
    mixed: Sequence[Tables],
    draw: npt.NDArray[np.int64],
) -> FieldProbe:
    own = [tables[key] for tables in real]
    values = dict.fromkeys(value for table in own for value in table)
    mean = {value: sum(t.get(value, 0.0) for t in own) / len(own) for value in values}
    calls = [best(table) for table in own]

    def distance(other: Sequence[Tables]) -> Estimate:
        return estimate([total_variation(a, b[key]) for a, b in zip(own, other, strict=True)], draw)

    def log_ratio(other: Sequence[Tables]) -> Estimate:
        pairs = zip(own, other, calls, strict=True)
        return estimate([_log(a[call]) - _log(b[key].get(call, 0.0)) for a, b, call in pairs], draw)

    to_blank, to_shuffled = distance(empty), distance(mixed)
    between = estimate([total_variation(table, mean) for table in own], draw)
    return FieldProbe(
        key=key,
        blank=to_blank,
        shuffled=to_shuffled,
        between=between,
        log_blank=log_ratio(empty),
        log_shuffled=log_ratio(mixed),
        constant=len({_said(table) for table in own}) == 1,
        verdict=_verdict(len(own), to_blank, to_shuffled, between),
    )


def _said(table: Mapping[str, float]) -> str:
    """Return the value of an answer; of a share (see `case_probe`) two digits."""
    return f"{table['1']:.2f}" if set(table) == {"0", "1"} else best(table)


def _verdict(n: int, to_blank: Estimate, to_shuffled: Estimate, between: Estimate) -> Verdict:
    if n < MIN_UNITS:
        return "unclear"
    if to_blank.high < LIMIT and between.high < LIMIT:
        return "ignores"
    if to_shuffled.high < LIMIT and between.high < LIMIT:
        return "constant"
    if to_blank.low > LIMIT and (to_shuffled.low > LIMIT or between.low > LIMIT):
        return "depends"
    return "unclear"


def _overall(verdicts: Sequence[Verdict]) -> Verdict:
    """Return ``depends`` when any field does, else the verdict that all fields share."""
    if "depends" in verdicts:
        return "depends"
    return verdicts[0] if len(set(verdicts)) == 1 else "unclear"


def estimate(values: Sequence[float], draw: npt.NDArray[np.int64]) -> Estimate:
    """Return the mean and its percentile bootstrap interval; `draw`: indices, (draws, n)."""
    sample = np.asarray(values, np.float64)
    low, high = np.quantile(sample[draw].mean(axis=1), [0.025, 0.975])
    return Estimate(mean=float(sample.mean()), low=float(low), high=float(high))


def _log(probability: float) -> float:
    return math.log(max(probability, _FLOOR))
