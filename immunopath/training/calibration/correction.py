"""How tables are corrected: one temperature per field, or a monotone curve for two classes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from immunopath.models.calibration import Method
from immunopath.models.calibration_math import FLOOR, Knots, Rows, corrected, tempered
from immunopath.training.evaluation.calibration_metrics import crps
from immunopath.training.evaluation.resample import Floats, Ints

LOWEST: Final = 0.05
HIGHEST: Final = 20.0
"""Bounds of a temperature. One that ends at the upper bound says that the tables know nothing."""
MIN_ISOTONIC: Final = 100
"""Cases of each class in the fitting part from which on isotonic regression may be chosen: it
overfits small sets (Niculescu-Mizil and Caruana 2005)."""
FOLDS: Final = 5
_STEPS: Final = 41
_CLOSE: Final = 1e-4


@dataclass(frozen=True)
class Correction:
    """A fitted correction: a temperature or the knots of a curve, see `FieldCalibration`."""

    method: Method
    temperature: float | None = None
    curve: Knots = ()
    number: bool = False

    def apply(self, rows: Rows) -> Rows:
        """Return corrected tables, (n, k)."""
        return corrected(rows, self.temperature, self.curve, number=self.number)

    @property
    def empty(self) -> bool:
        """Whether the best temperature is the highest allowed: the tables are best ignored."""
        return self.temperature is not None and self.temperature > 0.98 * HIGHEST


def fit_temperature(rows: Rows, truth: Ints) -> Correction:
    """Return the temperature with the least log loss on class codes `truth`, (n,).

    The labels are softened as in Platt 1999 by 1 / (n + 2), so that n faultless cases do not earn
    certainty.
    """
    soft = 1 / (len(truth) + 2)
    logs = np.log(np.maximum(rows, FLOOR))
    own = logs[np.arange(len(truth)), truth]
    target = (1 - soft) * own + soft * logs.mean(axis=1)

    def loss(temperature: float) -> float:
        scaled = logs / temperature
        top = scaled.max(axis=1)
        whole = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
        return float(np.mean(whole - target / temperature))

    return Correction("temperature", temperature=_least(loss))


def fit_number_temperature(rows: Rows, truth: Floats) -> Correction:
    """Return the temperature with the least CRPS on numbers `truth`, (n,); rows: over the grid.

    The log loss would ask for the mass of the very hundredth of the label, which is noise; the
    CRPS asks how far the mass lies from it.
    """
    best = _least(lambda t: float(crps(truth, tempered(rows, t, 0.0)).mean()))
    return Correction("temperature", temperature=best, number=True)


def fit_isotonic(rows: Rows, truth: Ints) -> Correction:
    """Return a monotone curve of P(first value) over two classes, by scikit-learn.

    Its ends are kept 1 / (n + 2) away from 0 and 1: no data show a certainty.
    """
    from sklearn.isotonic import IsotonicRegression

    least = 1 / (len(truth) + 2)
    fitted = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip")
    fitted.fit(rows[:, 0], (truth == 0).astype(np.float64))
    knots = zip(fitted.X_thresholds_.tolist(), fitted.y_thresholds_.tolist(), strict=True)
    return Correction("isotonic", curve=tuple((float(x), float(y)) for x, y in knots))


def choose(rows: Rows, truth: Ints, method: str, seed: int) -> Correction:
    """Return the correction of a category by `method`: auto, temperature or isotonic.

    Isotonic regression needs two classes with `MIN_ISOTONIC` cases each; without them every method
    means temperature. ``auto`` takes it only where its log loss over `FOLDS` folds is below that of
    the temperature.
    """
    enough = rows.shape[1] == 2 and min(np.bincount(truth, minlength=2)) >= MIN_ISOTONIC
    if method == "temperature" or not enough:
        return fit_temperature(rows, truth)
    if method == "isotonic":
        return fit_isotonic(rows, truth)
    fits = (fit_temperature, fit_isotonic)
    best = min(fits, key=lambda fit: cross_validated(fit, rows, truth, seed))
    return best(rows, truth)


def cross_validated(
    fit: Callable[[Rows, Ints], Correction], rows: Rows, truth: Ints, seed: int
) -> float:
    """Return the mean log loss of cases that the fit has not seen, over `FOLDS` folds."""
    fold = np.random.default_rng(seed).permutation(len(truth)) % FOLDS
    losses = np.zeros(len(truth))
    for k in range(FOLDS):
        held = fold == k
        after = fit(rows[~held], truth[~held]).apply(rows[held])
        losses[held] = -np.log(np.maximum(after[np.arange(held.sum()), truth[held]], FLOOR))
    return float(losses.mean())


def _least(loss: Callable[[float], float]) -> float:
    """Return the temperature of least loss: a grid on the logarithm, then Brent inside a step."""
    from scipy.optimize import minimize_scalar

    grid = np.linspace(np.log(LOWEST), np.log(HIGHEST), _STEPS)
    found: NDArray[np.float64] = np.array([loss(float(np.exp(x))) for x in grid])
    at = int(found.argmin())
    if np.ptp(found) < 1e-12:  # e.g. tables that are all uniform: nothing to correct
        return 1.0
    low, high = grid[max(at - 1, 0)], grid[min(at + 1, _STEPS - 1)]
    refined = minimize_scalar(
        lambda x: loss(float(np.exp(x))),
        bounds=(float(low), float(high)),
        method="bounded",
        options={"xatol": _CLOSE},
    )
    return float(np.exp(refined.x))
