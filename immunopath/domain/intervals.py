"""Intervals of counted shares."""

import math

WILSON_COVERAGE = 0.90
_Z = 1.6448536269514722


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Return the 90 % Wilson interval of a share of `n` > 0: its sampling error."""
    p, z2 = successes / n, _Z * _Z
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)
