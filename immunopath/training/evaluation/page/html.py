"""The evaluation as one self-contained page: no script, no request, everything escaped."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from immunopath.domain.prediction import FIELD_VALUES
from immunopath.reporting.page import self_contained
from immunopath.training.evaluation.evaluate import Evaluation
from immunopath.training.evaluation.page import plots
from immunopath.training.evaluation.score import PRIMARY, FieldScore
from immunopath.training.evaluation.words import (
    DIFFERENCES,
    NAMES,
    NOTE,
    SET_NAMES,
    SHORT_SETS,
    SHOWN,
    SYNTHETIC,
    answered,
    class_counts,
    compliance_text,
    difference_rows,
    engine_name,
    facts,
    field_rows,
    figure,
    group_rows,
    number,
    summary_rows,
)

Points = Mapping[str, Sequence[tuple[float, float]]]
"""Label and answer of every patient, by number field."""
_PACKAGE: Final = "immunopath.training.evaluation.page"
_FOREST: Final = {
    "class": (("balanced_accuracy", (0.0, 1.0)), ("auroc", (0.0, 1.0))),
    "number": (("spearman", (-1.0, 1.0)), ("mae_skill", (-1.0, 1.0))),
}
_RESEARCH: Final = (
    "Research use only. A prediction never treats: it may order a confirmatory test, nothing else."
)


def render_page(found: Evaluation, points: Points | None = None) -> str:
    """Return the page; `points` adds the scatter plots of number fields."""
    groups, small = group_rows(found)
    return self_contained(
        "evaluation.html.j2",
        package=_PACKAGE,
        sheet="evaluation.css",
        page=found,
        engine=engine_name(found.main.engine),
        facts=facts(found),
        banner=SYNTHETIC if found.origin == "synthetic" else _RESEARCH,
        sections=[_section(found, name, points or {}) for name in found.main.fields],
        overview=_overview(found),
        groups=_clean(groups),
        small=small,
        differences=_clean(difference_rows(found)),
        about_differences=DIFFERENCES,
        free=None if found.compliance is None else compliance_text(found.compliance),
        note=NOTE.format(draws=found.draws, seed=found.seed).replace("*", ""),
    )


def _section(found: Evaluation, name: str, points: Points) -> dict[str, Any]:
    field = found.main.fields[name]
    shown = SHOWN[field.kind]
    alarm = found.alarm.fields.get(name)
    return {
        "name": name,
        "answered": answered(field),
        "reason": "" if field.evaluable else field.reason,
        "headers": [NAMES[metric] for metric in shown],
        "rows": _rows(found, name, shown) if field.evaluable else [],
        "summary": NAMES[PRIMARY[field.kind]] + " " + _plain(figure(field, PRIMARY[field.kind])),
        "pictures": _pictures(found, field, points.get(name, ())),
        "floor": field.ece_floor,
        "alarm": alarm,
        "moved": [] if alarm is None else [(k, _plain(number(v))) for k, v in alarm.moved.items()],
        "counts": class_counts(field) if field.evaluable else "",
        "classes": [
            (value, {k: _plain(number(v)) for k, v in own.items()})
            for value, own in field.by_class.items()
        ],
    }


def _rows(found: Evaluation, name: str, shown: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "label": _plain(SET_NAMES.get(who, who)),
            "own": who == "predictor",
            "missing": missing,
            "cells": [] if own is None else [_cell(figure(own, metric)) for metric in shown],
        }
        for who, own, missing in field_rows(found, name)
    ]


def _pictures(
    found: Evaluation, field: FieldScore, points: Sequence[tuple[float, float]]
) -> list[tuple[str, Markup]]:
    name = field.field
    pictures = []
    if field.evaluable:
        for metric, scale in _FOREST[field.kind]:
            if metric in field.metrics:
                pictures.append((NAMES[metric], _forest(found, name, metric, scale)))
    if field.confusion:
        values = list(field.counts)
        pictures.append(("Confusion", plots.confusion(values, field.confusion, name)))
    if points:
        pictures.append(("Answers against labels", plots.scatter(points, name)))
    if field.reliability:
        drawn = plots.reliability(field.reliability, number=field.kind == "number", name=name)
        pictures.append(("Reliability", drawn))
    if field.n:
        pictures.append(("Distribution", plots.shares(field.counts, field.calls, name)))
    return pictures


def _forest(found: Evaluation, name: str, metric: str, scale: tuple[float, float]) -> Markup:
    rows = []
    for who, own, missing in field_rows(found, name):
        note = missing.partition(":")[0] or "no table"
        estimate = None if own is None else own.metrics.get(metric)
        rows.append(
            plots.ForestRow(SHORT_SETS.get(who, who[:20]), estimate, note, who == "predictor")
        )
    return plots.forest(rows, scale, _null(name, metric), f"{NAMES[metric]} of {name}")


def _null(name: str, metric: str) -> float:
    values = FIELD_VALUES[name]
    if values is None:
        return 0.0
    return 0.5 if metric == "auroc" else 1 / len(values)


def _clean(rows: Iterable[Sequence[str]]) -> list[list[str]]:
    return [[_plain(text) for text in row] for row in rows]


def _cell(text: str) -> tuple[str, str]:
    """Return a metric and, for the line below it, its interval."""
    value, _, interval = text.partition(" ")
    return value, _plain(interval)


def _overview(found: Evaluation) -> dict[str, Any]:
    headers, rows = summary_rows(found)
    return {"headers": headers, "rows": _clean(rows)}


def _plain(text: str) -> str:
    return text.replace("*", "")
