"""Are red and blue exchanged? A score that changes its sign when they are.

Nuclei of an H&E section are bluer than its stroma, whatever the lot, the scanner or the organ; in
an image whose red and blue channels were exchanged they are redder. Two measurements say so, both
odd under the exchange: the regression slope of fine red minus blue density on fine total density,
and (u - v) of the darkest quarter of the tissue minus that of the lightest, where u and v are
(R - G)/S and (B - G)/S of the optical densities. A logistic without intercept combines them, so
``score(image) == -score(exchanged image)``.

The weights are fitted by ``scripts/fit_exchange.py`` and shipped in ``constants/exchange.json``.
"""

import functools
from importlib.resources import files

import numpy as np
import numpy.typing as npt
from pydantic import Field

from immunopath.domain.base import Frozen
from immunopath.imaging.control import ControlImage

FEATURES = ("fine_slope", "dark_minus_light")
_MIN_PIXELS = 40
"""Fewer tissue pixels than this have no quarter worth a mean."""


class ExchangeFit(Frozen):
    """The fitted logistic: ``score = sum(weights * features / scale)``, positive for true order."""

    version: int
    features: tuple[str, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    fitted_on: str
    n_images: int = Field(ge=1)
    n_copies: int = Field(ge=0)
    penalty_c: float = Field(gt=0)


def exchange_features(control: ControlImage) -> npt.NDArray[np.float64] | None:
    """Return the features of `FEATURES`, shape (2,), or None with too little tissue.

    Black pigment (all densities above 1.6 and within 15 % of the highest) is left out: it is as
    dark as nuclei and has no colour.
    """
    low = np.minimum(np.minimum(control.red, control.green), control.blue)
    high = np.maximum(np.maximum(control.red, control.green), control.blue)
    keep = ~((low > 1.6) & (high - low < 0.15 * high))
    total = control.total[keep]
    if total.shape[0] < _MIN_PIXELS:
        return None
    fine, fine_rb = control.fine_total[keep], control.fine_red_blue[keep]
    slope = float((fine * fine_rb).sum()) / (float((fine * fine).sum()) + 1e-6)
    hue = (control.red[keep] - control.blue[keep]) / total
    quarter = total.shape[0] // 4
    order = np.argpartition(total, [quarter, total.shape[0] - quarter])
    dark_minus_light = float(hue[order[-quarter:]].mean() - hue[order[:quarter]].mean())
    return np.array([slope, dark_minus_light])


def exchange_score(control: ControlImage, fit: ExchangeFit | None = None) -> float | None:
    """Return the log odds that red and blue are in their places, or None with too little tissue."""
    features = exchange_features(control)
    if features is None:
        return None
    used = fit or shipped_fit()
    return float((features / np.array(used.scale)) @ np.array(used.weights))


@functools.cache
def shipped_fit() -> ExchangeFit:
    """Return the fit that is shipped with the package."""
    file = files("immunopath.imaging").joinpath("constants/exchange.json")
    return ExchangeFit.model_validate_json(file.read_bytes())
