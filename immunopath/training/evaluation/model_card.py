"""The model card of an evaluated checkpoint, made from its files and figures alone.

Nothing in it is typed by hand: what no file says is said to be unknown.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from immunopath.domain.files import read_small
from immunopath.domain.words import counted
from immunopath.models.calibration import FILE as CALIBRATION
from immunopath.models.calibration import load_calibrator
from immunopath.models.protocols import EngineInfo
from immunopath.models.validation import ValidationFile
from immunopath.training.evaluation.evaluate import Evaluation
from immunopath.training.evaluation.markdown import cell, table
from immunopath.training.evaluation.score import PRIMARY
from immunopath.training.evaluation.words import (
    NAMES,
    NOTE,
    SET_NAMES,
    SHORT_SETS,
    SYNTHETIC,
    compliance_text,
    engine_name,
    facts,
    field_rows,
    figure,
    not_evaluable,
    number,
    plain,
)
from immunopath.training.seen import RECORDS

_DIGEST: Final = re.compile(r"[0-9a-f]{64}\Z")
_UNKNOWN: Final = "not stated in any file of the checkpoint"
_MADE: Final = (
    "base", "prompt", "images", "format", "quantity", "mpp", "patch_px", "px", "stain", "embedder",
    "encoder", "members", "origin", "seed", "patients", "settings", "samples_digest",
    "label_constants_digest", "versions",
)  # fmt: skip
_TRAINED: Final = (
    "preset", "seed", "steps", "best_step", "val_loss", "origins", "patients", "base_digest",
    "cohort_digests", "versions",
)  # fmt: skip
_LICENCES: Final = {
    "HAI-DEF": "Derivative of a Health AI Developer Foundations model: its terms of use apply to "
    "the weights, whatever the licence of the code. Whoever passes the weights on passes these "
    "terms on.",
}
_USE: Final = (
    "Research use only. Not a medical device. A prediction never treats: it may order or re-order "
    "a confirmatory test or raise a discordance; only measured values reach a regimen.",
    "Lung cancer (adenocarcinoma, squamous) in H&E at the stated resolution. Nothing is known of "
    "other tumours, stains or scanners than those of the cohort below.",
)


def render_card(
    found: Evaluation,
    info: EngineInfo | None,
    validation: ValidationFile | None,
    checkpoint: Path | None,
) -> str:
    """Return the card; `info`, `validation` and `checkpoint` None = not known or not made."""
    record = read_json(checkpoint, RECORDS)
    lines = [f"# Model card: {cell(engine_name(found.main.engine))}", ""]
    if found.origin == "synthetic":
        lines += [f"> **{SYNTHETIC}**", ""]
    lines += ["## What it is", "", *_what(found, info), *_calibration(found, checkpoint), ""]
    lines += ["## How it was made", "", *_made(record), ""]
    lines += ["## Data of this evaluation", "", *_data(found), ""]
    lines += [
        "## Figures",
        "",
        *_figures(found),
        "",
        NOTE.format(draws=found.draws, seed=found.seed),
    ]
    lines += ["", "## Does it look at the image?", "", *_image(found), ""]
    lines += ["## What the trust gate may use", "", *_gate(validation), ""]
    lines += ["## Limits", "", *_limits(found), ""]
    lines += ["## Use", "", *(f"- {text}" for text in _USE), ""]
    lines += ["## Licence", "", _licence(info), ""]
    return "\n".join(lines)


def read_json(folder: Path | None, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the first of these JSON objects in a folder; empty when there is none."""
    for name in names if folder is not None else ():
        path = (folder or Path()) / name
        if path.is_file():
            found = json.loads(read_small(path, "a JSON object"))
            if isinstance(found, dict):
                return found
    return {}


def _what(found: Evaluation, info: EngineInfo | None) -> list[str]:
    lines = [
        f"- engine: {cell(engine_name(found.main.engine))}",
        f"- weights (SHA-256): {found.main.digest}",
    ]
    if info is not None:
        lines += [
            f"- kind: {cell(info.description)}",
            f"- revision: {cell(info.revision)}",
            f"- pixels: {info.input_px or 'any'} px at {info.expected_mpp or 'any'} µm/px",
        ]
    calibrated = "yes" if found.main.calibrated else "no: its probabilities are raw"
    return [*lines, f"- calibrated: {calibrated}"]


def _calibration(found: Evaluation, checkpoint: Path | None) -> list[str]:
    """Return on whom the calibration beside the checkpoint was fitted, if these answers used it."""
    path = None if checkpoint is None else checkpoint / CALIBRATION
    if path is None or not path.is_file() or not found.main.calibrated:
        return []
    fitted = load_calibrator(path)
    if fitted.digest != found.main.calibrator:
        return []
    on = f"{counted(fitted.n, 'patient')} of {fitted.split}"
    return [f"- calibrated on: {on}. {fitted.stop_text}"]


def _made(record: Mapping[str, Any]) -> list[str]:
    if not record:
        return [f"Unknown: {_UNKNOWN}."]
    lines = [f"- {key}: {_short(record[key])}" for key in _MADE if record.get(key) is not None]
    training = record.get("training")
    if isinstance(training, dict):
        lines += [f"- {k}: {_short(training[k])}" for k in _TRAINED if training.get(k) is not None]
        constants = "kept in the record" if training.get("label_constants") else _UNKNOWN
        lines.append(f"- label constants: {constants}")
    elif "samples_digest" not in record:
        lines.append(f"- training: {_UNKNOWN}")
    return lines


def _data(found: Evaluation) -> list[str]:
    lines = [f"- {label}: {cell(value)}" for label, value in facts(found)]
    rows = [
        [name, str(field.n), ", ".join(f"{cell(k)} {n}" for k, n in field.counts.items() if n)]
        for name, field in found.main.fields.items()
    ]
    return [*lines, "", *table(["field", "labelled", "labels"], rows)]


def _figures(found: Evaluation) -> list[str]:
    rows = []
    for name, field in found.main.fields.items():
        if not field.evaluable:
            rows.append([name, f"not evaluable: {cell(field.reason)}", "", "", ""])
            continue
        metric = PRIMARY[field.kind]
        second = "mae_skill" if field.kind == "number" else "ece"
        beside = []
        for who, own, missing in field_rows(found, name)[1:]:
            said = missing.partition(":")[0] if own is None else plain(own.metrics[metric].value)
            beside.append(f"{cell(SHORT_SETS.get(who, who))} {said}")
        more = f"{NAMES[second]} {number(field.metrics.get(second))}"
        rows.append([name, NAMES[metric], figure(field, metric), more, "; ".join(beside)])
    return table(["field", "metric", "predictor", "also", "beside it"], rows)


def _image(found: Evaluation) -> list[str]:
    state = "**Collapse alarm raised.**" if found.alarm.raised else "Collapse alarm not raised."
    lines = [state, ""]
    lines += [f"- {cell(text)}" for text in (*found.alarm.messages, *found.alarm.warnings)]
    rows = [
        [name, field.image, *(number(field.moved.get(c)) for c in ("blank", "shuffled"))]
        for name, field in found.alarm.fields.items()
    ]
    return [*lines, "", *table(["field", "image", "moved by blank", "moved by shuffled"], rows)]


def _gate(validation: ValidationFile | None) -> list[str]:
    if validation is None:
        return ["No validation card was written, so the gate stays closed for every field."]
    rows = [
        [name, card.metric, f"{plain(card.value)} [{plain(card.ci_low)}, {plain(card.ci_high)}]",
         plain(card.null_value), _maybe(card.clinical_value), str(card.n),
         _maybe(card.silent_share, 2), "yes" if card.external else "no"]
        for name, card in validation.cards.items()
    ]  # fmt: skip
    outside = [name for name, card in validation.cards.items() if card.external]
    closed = "" if outside else "None of it is external, so the gate stays closed for every field."
    heads = ["field", "metric", "value", "guessing", "cancer type and site alone", "n",
             "share without an answer", "external"]  # fmt: skip
    return [*table(heads, rows), "", closed]


def _maybe(value: float | None, decimals: int = 3) -> str:
    return "–" if value is None else plain(value, decimals)


def _limits(found: Evaluation) -> list[str]:
    lines = []
    if found.origin == "synthetic":
        lines.append("The images are rendered and their truth is set: nothing here is evidence "
                     "about tissue or patients.")  # fmt: skip
    lines += [f"{text}." for text in found.cautions]
    lines += [f"{name} could not be evaluated: {why}." for name, why in not_evaluable(found)]
    lines += [f"{SET_NAMES.get(n, n)}: not run ({why})." for n, why in found.not_run.items()]
    for name, field in found.main.fields.items():
        if field.evaluable and field.abstained + field.missing:
            silent = field.abstained + field.missing
            lines.append(
                f"{name}: {silent} of {counted(field.n, 'patient')} without a value do not count."
            )
        few = ", ".join(f"{value} {n}" for value, n in field.small_classes.items())
        if field.evaluable and few:
            lines.append(
                f"{name}: {few} answered patients only, counted in full in what is marked †."
            )
    if found.compliance is not None:
        lines.append(compliance_text(found.compliance))
    lines.append("Intervals hold for patients like these; other laboratories can differ more.")
    return [f"- {cell(text)}" for text in lines]


def _licence(info: EngineInfo | None) -> str:
    if info is None:
        return f"Of the weights: {_UNKNOWN}. Of ImmunoPath's code: MIT."
    text = _LICENCES.get(info.licence, f"Of the weights: {cell(info.licence)}.")
    return f"{text} ImmunoPath's code: MIT."


def _short(value: object) -> str:
    """Return a value on one line, digests by their start."""
    if isinstance(value, dict):
        return ", ".join(f"{cell(key)} {_short(part)}" for key, part in value.items())
    if isinstance(value, list):
        return ", ".join(_short(part) for part in value)
    text = str(value)
    return f"{text[:12]}…" if _DIGEST.match(text) else cell(text)
