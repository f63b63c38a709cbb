"""The plots of an evaluation page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from immunopath.training.evaluation.calibration_metrics import ReliabilityPoint
from immunopath.training.evaluation.page.svg import (
    Axis,
    drawing,
    element,
    line,
    polyline,
    square_frame,
    unit_axes,
    words,
)
from immunopath.training.evaluation.resample import Estimate
from immunopath.training.evaluation.words import plain

SIDE: Final = 250.0
MARGIN: Final = 40.0
_ROW: Final = 24.0


@dataclass(frozen=True)
class ForestRow:
    """One set of a forest plot; estimate None = nothing measured, and `note` says why."""

    label: str
    estimate: Estimate | None
    note: str = ""
    strong: bool = False


def forest(
    rows: Sequence[ForestRow], scale: tuple[float, float], null: float, title: str
) -> Markup:
    """Return points with intervals, one row per set; `null`: what guessing reaches."""
    width, left, top = 560.0, 130.0, 8.0
    axis = Axis(*scale, left, width - 140)
    bottom = top + _ROW * len(rows)
    parts = [line(axis.at(null), top, axis.at(null), bottom, "null")]
    for tick in _ticks(*scale):
        x = axis.at(tick)
        parts.append(line(x, top, x, bottom, "grid"))
        parts.append(words(x, bottom + 14, f"{tick:g}", "tick", "middle"))
    for i, row in enumerate(rows):
        parts += _forest_row(row, axis, top + _ROW * (i + 0.5))
    return drawing(width, bottom + 20, title, parts)


def _forest_row(row: ForestRow, axis: Axis, y: float) -> list[Markup]:
    kind = "own" if row.strong else "other"
    parts = [words(axis.start - 10, y + 4, row.label, f"label {kind}", "end")]
    found = row.estimate
    if found is None:
        parts.append(words(axis.start + 6, y + 4, row.note, "missing"))
        return parts
    if found.low is not None and found.high is not None:
        parts.append(line(axis.at(found.low), y, axis.at(found.high), y, f"interval {kind}"))
    if axis.holds(found.value):
        parts.append(element("circle", cx=axis.at(found.value), cy=y, r=4.5, class_=f"dot {kind}"))
    else:
        way = "▸" if found.value > axis.high else "◂"
        parts.append(words(axis.at(found.value), y + 5, way, f"dot {kind}", "middle"))
    interval = ""
    if found.low is not None and found.high is not None:
        interval = f" [{plain(found.low, 2)}, {plain(found.high, 2)}]"
    parts.append(words(axis.end + 10, y + 4, f"{plain(found.value, 2)}{interval}", "value"))
    return parts


def reliability(points: Sequence[ReliabilityPoint], *, number: bool, name: str) -> Markup:
    """Return said against seen; the area of a dot is the number of patients in its bin."""
    said = "stated quantile" if number else "stated probability"
    seen = "share at or below" if number else "share that came true"
    parts = square_frame(SIDE, MARGIN, said, seen)
    x, y = unit_axes(SIDE, MARGIN)
    places = [(x.at(p.said), y.at(p.seen)) for p in points]
    parts.append(polyline(places, "curve"))
    most = max((p.n for p in points), default=1)
    for point, (px, py) in zip(points, places, strict=True):
        r = 2.5 + 4 * math.sqrt(point.n / most)
        note = f"said {point.said:.2f}, seen {point.seen:.2f}, n {point.n}"
        parts.append(element("circle", element("title", note), cx=px, cy=py, r=r, class_="dot own"))
    return drawing(SIDE, SIDE, f"Reliability of {name}", parts)


def scatter(points: Sequence[tuple[float, float]], name: str) -> Markup:
    """Return answers against labels, each in [0, 1]; pairs are (label, answer)."""
    parts = square_frame(SIDE, MARGIN, "label", "answer")
    x, y = unit_axes(SIDE, MARGIN)
    parts += [
        element("circle", cx=x.at(truth), cy=y.at(answer), r=3.0, class_="cloud")
        for truth, answer in points
    ]
    return drawing(SIDE, SIDE, f"Answers against labels of {name}", parts)


def confusion(values: Sequence[str], table: Sequence[Sequence[int]], name: str) -> Markup:
    """Return the confusion matrix; a cell is as dark as its share of its row."""
    left, top, cell = 86.0, 46.0, 52.0
    parts = [words(left + cell * len(values) / 2, 14, "answer", "axis", "middle")]
    for j, value in enumerate(values):
        parts.append(words(left + cell * (j + 0.5), 34, value, "tick", "middle"))
    for i, (value, row) in enumerate(zip(values, table, strict=True)):
        y = top + cell * i
        parts.append(words(left - 8, y + cell / 2 + 4, value, "tick", "end"))
        total = sum(row)
        for j, count in enumerate(row):
            share = count / total if total else 0.0
            parts.append(
                element("rect", x=left + cell * j, y=y, width=cell - 2, height=cell - 2,
                        class_="heat right" if i == j else "heat", fill_opacity=f"{share:.3f}")
            )  # fmt: skip
            tone = "count pale" if share > 0.6 else "count"
            parts.append(
                words(left + cell * (j + 0.5) - 1, y + cell / 2 + 4, str(count), tone, "middle")
            )
    width = left + cell * len(values) + 4
    return drawing(width, top + cell * len(values) + 4, f"Confusion matrix of {name}", parts)


def shares(labels: Mapping[str, int], answers: Mapping[str, int], name: str) -> Markup:
    """Return how labels and answers are distributed, side by side."""
    left, top, step, reach = 86.0, 24.0, 30.0, 150.0
    total = max(1, sum(labels.values())), max(1, sum(answers.values()))
    parts = [words(left, 14, "labels", "key-label"), words(left + 50, 14, "answers", "key-answer")]
    for i, value in enumerate(labels):
        y = top + step * i
        parts.append(words(left - 8, y + 16, value, "tick", "end"))
        for offset, counted, class_ in (
            (3.0, labels[value] / total[0], "bar label-bar"),
            (14.0, answers[value] / total[1], "bar answer-bar"),
        ):
            long = reach * counted
            parts.append(
                element("rect", x=left, y=y + offset, width=long, height=10.0, class_=class_)
            )
            text = f"{counted:.0%}"
            parts.append(words(left + long + 4, y + offset + 9, text, "small"))
    height = top + step * len(labels) + 6
    return drawing(left + reach + 40, height, f"Labels and answers of {name}", parts)


def _ticks(low: float, high: float) -> list[float]:
    step = 0.25 if high - low <= 1 else 0.5
    count = round((high - low) / step)
    return [low + step * i for i in range(count + 1)]
