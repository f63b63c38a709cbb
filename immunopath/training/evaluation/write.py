"""Everything that an evaluation leaves in its folder, and the cards beside the checkpoint."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from immunopath.domain.files import write_text
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.models.validation import FILE as VALIDATION
from immunopath.models.validation import ValidationFile, write_validation
from immunopath.training.evaluation.cards import validation_file
from immunopath.training.evaluation.collect import collect
from immunopath.training.evaluation.evaluate import Evaluation
from immunopath.training.evaluation.markdown import render_markdown
from immunopath.training.evaluation.model_card import render_card
from immunopath.training.evaluation.page.html import Points, render_page
from immunopath.training.evaluation.request import (
    MAIN,
    WITHOUT_IMAGE,
    Asked,
    Request,
    Result,
)
from immunopath.training.predictions import PredictionSet, write_predictions
from immunopath.training.samples import SAMPLES, Sample, write_samples

EVALUATION: Final = "evaluation.json"
ANSWERS: Final = "predictions"
CARD: Final = "model-card.md"


def write_all(
    request: Request, found: Evaluation, asked: Asked, scored: Sequence[Sample]
) -> Result:
    """Write answers, truth, figures (JSON, Markdown, HTML), model card and validation."""
    out = request.out
    for name, answers in asked.sets.items():
        write_predictions(out / ANSWERS / f"{name}.json", answers)
    write_samples(out / SAMPLES, scored)
    write_text(out / EVALUATION, found.text)
    write_text(out / "evaluation.md", render_markdown(found))
    points = points_of(scored, asked.sets[MAIN])
    write_text(out / "evaluation.html", render_page(found, points))
    why = why_no_validation(request)
    cards = None if why else validation_file(found, external=request.external)
    place = _write_cards(request, asked, cards)
    checkpoint = None if asked.validation is None else asked.validation.parent
    write_text(out / CARD, render_card(found, asked.info, cards, checkpoint))
    return Result(found, asked.sets, place, why)


def why_no_validation(request: Request) -> str:
    """Return why no validation is written, or an empty string."""
    if request.predictor in WITHOUT_IMAGE:
        return f"{request.predictor} is a baseline"
    if request.split != "test":
        return f"the split {request.split} took part in training or calibration"
    return ""


def points_of(scored: Sequence[Sample], answers: PredictionSet) -> Points:
    """Return label and answer of every patient, by number field."""
    numbers = [name for name, values in FIELD_VALUES.items() if values is None]
    found = {name: collect(scored, answers, name) for name in numbers}
    return {
        name: tuple(zip(own.truth.tolist(), own.value.tolist(), strict=True))
        for name, own in found.items()
    }


def _write_cards(request: Request, asked: Asked, cards: ValidationFile | None) -> Path | None:
    if cards is None:
        return None
    write_validation(cards, request.out / VALIDATION)
    if asked.validation is None:
        return request.out / VALIDATION
    write_validation(cards, asked.validation)
    return asked.validation
