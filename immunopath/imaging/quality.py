"""Quality control: can an H&E engine use these pixels? (morphometry.md 3.11)

Every check has a measured number, a limit and a plain sentence. The checks run in a fixed order and
stop where later ones would measure nothing: a field that is too small, dark or empty.
"""

from dataclasses import dataclass

import numpy as np

from immunopath.domain.quality import QualityCheck, QualityReport, Verdict
from immunopath.imaging.arrays import RGB
from immunopath.imaging.control import ControlImage, control_image
from immunopath.imaging.exchange import exchange_score

MIN_SIDE_PX = 48
EXCHANGE_REFUSAL_SIDE_PX = 300
"""Below this side, or full of blood, the exchange score alone never refuses."""
EXCHANGE_REFUSAL_MAX_RED = 0.25


@dataclass(frozen=True)
class _Rule:
    """Limits of one measure; `fact` takes the measured value as ``{m}``."""

    code: str
    fact: str
    advice: str
    refuse: float | None = None
    flag: float | None = None
    low_is_bad: bool = False

    def judge(self, measured: float, *, may_refuse: bool = True) -> QualityCheck:
        """Return the check for a measured value."""
        verdict, limit = Verdict.accept, self.flag if self.flag is not None else self.refuse
        if self._crossed(measured, self.flag):
            verdict = Verdict.flag
        if self._crossed(measured, self.refuse):
            verdict, limit = (Verdict.refuse, self.refuse) if may_refuse else (Verdict.flag, limit)
        assert limit is not None
        message = self.fact.format(m=measured)
        if verdict is not Verdict.accept:
            message += f"; {self.advice}"
        return QualityCheck(
            code=self.code,
            verdict=verdict,
            measured=round(measured, 4),
            limit=limit,
            message=message,
        )

    def _crossed(self, measured: float, limit: float | None) -> bool:
        if limit is None:
            return False
        return measured < limit if self.low_is_bad else measured > limit


SIDE = _Rule(
    "side",
    "the shorter side is {m:.0f} source pixels",
    f"at least {MIN_SIDE_PX} are needed: give a larger field",
    refuse=MIN_SIDE_PX,
    low_is_bad=True,
)
DARK = _Rule(
    "dark_field",
    "{m:.0%} of the field is nearly black",
    "this looks like fluorescence, a dark field or a photograph, not bright-field H&E",
    refuse=0.20,
)
TISSUE = _Rule(
    "tissue_share",
    "tissue covers {m:.1%} of the field",
    "mostly blank glass: choose a field with more tissue",
    refuse=0.05,
    flag=0.15,
    low_is_bad=True,
)
GREY = _Rule(
    "colour",
    "the typical colour contrast of the tissue is {m:.2f}",
    "this is a grey image: H&E engines need the colours of the stain",
    refuse=0.06,
    low_is_bad=True,
)
BROWN = _Rule(
    "brown_stain",
    "{m:.0%} of the stain is brown",
    "this looks like immunohistochemistry (DAB) or pigment, not plain H&E",
    refuse=0.15,
    flag=0.05,
)
INK = _Rule(
    "ink",
    "{m:.0%} of the tissue has the colour of green or blue ink",
    "pen marks: choose a field without them",
    refuse=0.5,
    flag=0.05,
)
WEDGE = _Rule(
    "stain_colour",
    "{m:.0%} of the tissue has colours that haematoxylin and eosin can make",
    "this is another stain, a photograph, or its channels are out of order",
    refuse=0.5,
    flag=0.85,
    low_is_bad=True,
)
RED = _Rule(
    "red",
    "{m:.0%} of the tissue is saturated red",
    "blood or red ink: choose a field with less of it",
    refuse=0.5,
    flag=0.25,
)
NO_EOSIN = _Rule(
    "eosin",
    "the eosin index is {m:.2f}",
    "no eosin was found: this is not an H&E stain",
    refuse=-0.05,
)
BLUR = _Rule(
    "blur",
    "the fine detail in the tissue is {m:.3f}",
    "out of focus or too strongly compressed: scan it again or choose a sharp field",
    refuse=0.06,
    flag=0.09,
    low_is_bad=True,
)
CLIPPED = _Rule(
    "saturation",
    "{m:.0%} of the pixels are clipped in a colour channel",
    "over-exposed or over-processed: colours are no longer measurable there",
    refuse=0.6,
    flag=0.2,
)
EXCHANGE = _Rule(
    "channel_order",
    "the log odds that red and blue are in their places are {m:.2g}",
    "red and blue may be exchanged: check how the file was written",
    refuse=-2.0,
    flag=0.0,
    low_is_bad=True,
)


def assess_quality(rgb: RGB, *, source_side_px: int | None = None) -> QualityReport:
    """Return the verdict on an image of shape (h, w, 3), uint8 sRGB.

    `source_side_px` is the shorter side in pixels of the source, when `rgb` was resampled.
    """
    side = min(rgb.shape[:2]) if source_side_px is None else source_side_px
    first = SIDE.judge(float(side))
    if first.verdict is Verdict.refuse or min(rgb.shape[:2]) < 3:
        return _report([first], 0.0)
    control = control_image(rgb)
    checks = [first, DARK.judge(control.dark_share), TISSUE.judge(control.tissue_share)]
    if all(check.verdict is not Verdict.refuse for check in checks):
        checks += _stain_checks(control)
        checks += _order_check(control, checks, side)
    return _report(checks, control.tissue_share)


def _stain_checks(control: ControlImage) -> list[QualityCheck]:
    """Return the checks on colour and detail of the tissue pixels."""
    red, green, blue, total = control.red, control.green, control.blue, control.total
    u, v = (red - green) / total, (blue - green) / total
    hue = u - v
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    brown = float(total[(v > 0) & (hue < -0.05)].sum() / total.sum())
    low_u, median_u = (float(q) for q in np.percentile(u, (5, 50)))
    return [
        GREY.judge(float(np.median(spread / total))),
        BROWN.judge(brown),
        INK.judge(float((u > 0.15).mean())),
        WEDGE.judge(float(((v < 0.02) & (u < 0.12)).mean())),
        RED.judge(float(((hue < -0.27) & (total > 0.6)).mean())),
        # Refused when the median u exceeds -0.05 and its 5th percentile exceeds -0.12.
        NO_EOSIN.judge(min(median_u, low_u + 0.07)),
        BLUR.judge(float(control.fine_total.std())),
        CLIPPED.judge(control.clipped_share),
    ]


def _order_check(
    control: ControlImage, checks: list[QualityCheck], side: int
) -> list[QualityCheck]:
    score = exchange_score(control)
    if score is None:
        return []
    red_share = next(check.measured for check in checks if check.code == RED.code)
    trusted = side >= EXCHANGE_REFUSAL_SIDE_PX and red_share <= EXCHANGE_REFUSAL_MAX_RED
    return [EXCHANGE.judge(score, may_refuse=trusted)]


def _report(checks: list[QualityCheck], tissue_share: float) -> QualityReport:
    for verdict in (Verdict.refuse, Verdict.flag):
        worst = next((check for check in checks if check.verdict is verdict), None)
        if worst is not None:
            return QualityReport(
                verdict=verdict,
                checks=tuple(checks),
                tissue_share=round(tissue_share, 4),
                reason=worst.message,
            )
    return QualityReport(
        verdict=Verdict.accept, checks=tuple(checks), tissue_share=round(tissue_share, 4)
    )
