"""The lymphocyte share with its uncertainty: blocks of tissue, few nuclei, and the correction.

Three sources of error are drawn together: which blocks of 100 µm happened to lie in the field, how
many nuclei were counted, and how far the correction's ends are known. Fixed seed, so that the same
nuclei give the same bytes.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from immunopath.domain.intervals import wilson
from immunopath.models.embedded.classifier import Correction

COVERAGE = 0.90
DRAWS = 1000
SEED = 20261124
MIN_BLOCKS = 8
"""Below this many blocks with nuclei their resampling says nothing: nuclei are drawn instead."""

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Share:
    """A lymphocyte share of nuclei.

    raw: counted; value: corrected, in [0, 1]; interval: of the corrected value at 90 %; draws:
    corrected values behind the interval, shape (1000,).
    """

    raw: float
    value: float
    interval: tuple[float, float]
    draws: F64


def corrected(raw: F64, floor: F64 | float, ceiling: F64 | float) -> F64:
    """Return clip((raw - floor) / (ceiling - floor), 0, 1)."""
    out: F64 = np.clip((raw - floor) / np.maximum(np.asarray(ceiling) - floor, 0.1), 0, 1)
    return out


def correction_draws(correction: Correction, rng: np.random.Generator) -> tuple[F64, F64]:
    """Return draws of floor and ceiling, kept in [0, 1]."""
    floor = rng.normal(correction.floor, correction.floor_sd, DRAWS)
    ceiling = rng.normal(correction.ceiling, correction.ceiling_sd, DRAWS)
    return np.clip(floor, 0, 1), np.clip(ceiling, 0, 1)


def estimate_share(lymphocytes: F64, nuclei: F64, correction: Correction) -> Share:
    """Return the share over blocks, given counts per 100 µm block, both of shape (k,).

    The interval never is narrower than the sampling error of the nuclei count (Wilson) around the
    value, cut at 0 and 1. Raises `ValueError` without any nucleus.
    """
    held = nuclei > 0
    lym, n = lymphocytes[held], nuclei[held]
    total, found = int(n.sum()), int(lym.sum())
    if total == 0:
        raise ValueError("a share needs at least one nucleus")
    rng = np.random.default_rng(SEED)
    floor, ceiling = correction_draws(correction, rng)
    # Jeffreys draws: a share of 0 of 10 is not known to be 0.
    raw_draws = rng.beta(found + 0.5, total - found + 0.5, DRAWS)
    if held.sum() >= MIN_BLOCKS:
        weights = rng.multinomial(held.sum(), np.full(held.sum(), 1 / held.sum()), DRAWS)
        blocks = (weights @ lym) / (weights @ n)
        if blocks.std() > raw_draws.std():
            raw_draws = blocks
    draws = corrected(raw_draws, floor, ceiling)
    raw = found / total
    value = float(corrected(np.array(raw), correction.floor, correction.ceiling))
    low, high = np.quantile(draws, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    count_low, count_high = wilson(found, total)
    return Share(
        raw=raw,
        value=value,
        interval=(
            max(0.0, min(float(low), value - (raw - count_low))),
            min(1.0, max(float(high), value + (count_high - raw))),
        ),
        draws=draws,
    )


def table_of(labels: npt.NDArray[np.str_], allowed: tuple[str, ...]) -> dict[str, float]:
    """Return the share of draws per allowed value, one extra draw each: nothing is impossible."""
    n = len(labels) + len(allowed)
    return {name: float((np.count_nonzero(labels == name) + 1) / n) for name in allowed}
