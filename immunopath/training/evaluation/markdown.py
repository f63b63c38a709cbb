"""The evaluation as Markdown: every number beside its baselines."""

from collections.abc import Iterable, Sequence

from immunopath.training.evaluation.evaluate import Evaluation
from immunopath.training.evaluation.score import FieldScore
from immunopath.training.evaluation.words import (
    DIFFERENCES,
    NAMES,
    NOTE,
    SET_NAMES,
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
)


def render_markdown(found: Evaluation) -> str:
    """Return the whole evaluation; the same evaluation gives the same text."""
    lines = [f"# Evaluation of {cell(engine_name(found.main.engine))}", ""]
    if found.origin == "synthetic":
        lines += [f"> **{SYNTHETIC}**", ""]
    lines += [f"- {label}: {cell(value)}" for label, value in facts(found)]
    lines += [
        "",
        *_cautions(found),
        *_alarm(found),
        "",
        NOTE.format(draws=found.draws, seed=found.seed),
        "",
    ]
    for name, field in found.main.fields.items():
        lines += [f"## {name}", "", *_field(found, name, field), ""]
    lines += _compliance(found) + _groups(found) + _differences(found)
    return "\n".join(lines).rstrip() + "\n"


def cell(text: str) -> str:
    """Return text that cannot end a table cell or start Markdown of its own."""
    plain = " ".join(str(text).split())
    return plain.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(headers) + " |", "| " + " | ".join("---" for _ in headers) + " |"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def _cautions(found: Evaluation) -> list[str]:
    lines = [f"- **Caution**: {cell(text)}." for text in found.cautions]
    return [*lines, ""] if lines else []


def _alarm(found: Evaluation) -> list[str]:
    alarm = found.alarm
    lines = ["**COLLAPSE ALARM**" if alarm.raised else "Collapse alarm: not raised", ""]
    lines += [f"- {cell(text)}" for text in (*alarm.messages, *alarm.warnings)]
    return lines


def _field(found: Evaluation, name: str, field: FieldScore) -> list[str]:
    lines = [f"{answered(field)}."]
    if not field.evaluable:
        return [*lines, "", f"Not evaluable: {cell(field.reason)}."]
    shown = SHOWN[field.kind]
    rows = []
    for who, own, missing in field_rows(found, name):
        label = SET_NAMES.get(who, cell(who))
        if own is None:
            rows.append([label, cell(missing), *[""] * (len(shown) - 1)])
        else:
            rows.append([label, *(figure(own, metric) for metric in shown)])
    lines += ["", *table(["", *(NAMES[metric] for metric in shown)], rows)]
    counts = class_counts(field)
    lines += ["", cell(counts)] if counts else []
    if field.ece_floor is not None:
        mean, high = field.ece_floor
        lines += [
            "",
            f"A calibrated model would show an ECE of {mean:.3f} here (95 % below {high:.3f}).",
        ]
    return lines + _confusion(field) + _dependence(found, name)


def _confusion(field: FieldScore) -> list[str]:
    if not field.confusion:
        return []
    values = list(field.counts)
    rows = [
        [f"truth {cell(value)}", *map(str, row)]
        for value, row in zip(values, field.confusion, strict=True)
    ]
    return ["", *table(["", *(f"called {cell(value)}" for value in values)], rows)]


def _dependence(found: Evaluation, name: str) -> list[str]:
    field = found.alarm.fields.get(name)
    if field is None:
        return []
    text = (
        f"Most frequent answer {cell(field.mode)} ({field.mode_share:.0%}; most frequent label "
        f"{field.truth_mode_share:.0%}); entropy of answers {field.entropy:.2f}, of labels "
        f"{field.truth_entropy:.2f} nats. Image: {field.image}"
    )
    moved = ", ".join(f"{control} {number(change)}" for control, change in field.moved.items())
    return ["", f"{text}{f' (moved by {moved})' if moved else ''}."]


def _compliance(found: Evaluation) -> list[str]:
    free = found.compliance
    if free is None:
        return []
    rows = [
        [name, f"{share:.0%}", f"{free.agrees[name]:.0%}" if name in free.agrees else "–"]
        for name, share in free.by_field.items()
    ]
    return [
        "## Free generation beside slot decoding",
        "",
        compliance_text(free),
        "",
        *table(["field", "allowed value", "same as decoded"], rows),
        "",
    ]


def _groups(found: Evaluation) -> list[str]:
    rows, small = group_rows(found)
    if not rows and not small:
        return []
    lines = ["## By site and cancer type", ""]
    if rows:
        cells = [[cell(text) for text in row] for row in rows]
        lines += [*table(["by", "group", "field", "n", "figures"], cells), ""]
    return [*lines, small, ""] if small else lines


def _differences(found: Evaluation) -> list[str]:
    rows = [[cell(text) for text in row] for row in difference_rows(found)]
    if not rows:
        return []
    headers = ["field", "metric", "against", "n", "difference", "p", "p (Holm)"]
    return ["## Predictor minus baseline", "", DIFFERENCES, "", *table(headers, rows)]
