"""``immunopath evaluate``: from engines and files to sets of answers, and what is written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from immunopath.domain.errors import EngineSpecError, InputError
from immunopath.domain.files import write_text
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.models.protocols import Predictor
from immunopath.models.registry import build_engine, check_spec
from immunopath.models.spec import EngineSpec
from immunopath.training.evaluation import baselines
from immunopath.training.evaluation.collect import collect
from immunopath.training.evaluation.evaluate import CONTROLS, Evaluation, evaluate_sets
from immunopath.training.evaluation.markdown import render_markdown
from immunopath.training.evaluation.page.html import render_page
from immunopath.training.evaluation.resample import DEFAULT, Plan
from immunopath.training.evaluation.runner import Notify, Shown, predict
from immunopath.training.predictions import PredictionSet, read_predictions, write_predictions
from immunopath.training.samples import SAMPLES, Sample, Split, read_samples, write_samples
from immunopath.training.tile_source import Control, read_cohort_folder

MAIN: Final = "predictor"
EVALUATION: Final = "evaluation.json"
ANSWERS: Final = "predictions"
WITHOUT_IMAGE: Final = (baselines.CONSTANT, baselines.MAJORITY, baselines.CLINICAL)
"""Predictors by name that look at no image: to be put through the same command."""


@dataclass(frozen=True)
class Request:
    """What the command line asks for.

    predictor: an engine string, one of `WITHOUT_IMAGE`, or None when its answers come from a file;
    controls: of ``blank`` and ``shuffled``; engines and files: further sets by name, files also the
    predictor's own under `MAIN`; free_texts: how many patients are asked without a forced answer
    too.
    """

    cohort: Path
    out: Path
    predictor: str | None = None
    split: Split = "test"
    controls: tuple[Control, ...] = ()
    engines: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, Path], ...] = ()
    device: str = "cpu"
    free_texts: int = 0
    plan: Plan = DEFAULT
    notify: Notify = field(default=lambda _: None)


@dataclass(frozen=True)
class Result:
    """The evaluation and the sets of answers behind it, by name."""

    evaluation: Evaluation
    sets: dict[str, PredictionSet]


def run(request: Request) -> Result:
    """Run what is asked for, write every set of answers, and measure.

    Raises `InputError` and its kin before any engine is loaded for what can be known then.
    """
    sets = {name: read_predictions(path) for name, path in request.files}
    require_sensible(request, sets)
    samples = read_samples(request.cohort / SAMPLES)
    scored = [sample for sample in samples if sample.split == request.split]
    if not scored:
        raise InputError(
            f"{request.cohort / SAMPLES}: no patient is in the split {request.split!r}; make the "
            "splits first or choose another"
        )
    if request.predictor in WITHOUT_IMAGE:
        sets[MAIN] = _without_image(request.predictor, samples, scored)
    elif request.predictor is not None:
        sets |= _asked(request, MAIN, request.predictor, scored, ("none", *request.controls))
    for name, text in request.engines:
        sets |= _asked(request, name, text, scored, ("none",))
    for name, found in sets.items():
        write_predictions(request.out / ANSWERS / f"{name}.json", found)
    others = {name: found for name, found in sets.items() if name != MAIN}
    evaluation = evaluate_sets(
        samples,
        sets[MAIN],
        others,
        split=request.split,
        cohort=request.cohort.resolve().name,
        not_run=_why_not(request),
        plan=request.plan,
    )
    write_samples(request.out / SAMPLES, scored)
    write_text(request.out / EVALUATION, evaluation.model_dump_json(indent=1) + "\n")
    write_text(request.out / "evaluation.md", render_markdown(evaluation))
    points = {
        name: tuple(zip(own.truth.tolist(), own.value.tolist(), strict=True))
        for name, values in FIELD_VALUES.items()
        if values is None
        for own in (collect(scored, sets[MAIN], name),)
    }
    write_text(request.out / "evaluation.html", render_page(evaluation, points))
    return Result(evaluation, sets)


def require_sensible(request: Request, sets: dict[str, PredictionSet]) -> None:
    """Raise `InputError` or `EngineSpecError` for a request that cannot be run as it stands."""
    if (request.predictor is None) == (MAIN not in sets):
        raise InputError(
            "give the predictor either as an engine (--predictor) or as a file of answers "
            "(--predictions FILE), and once"
        )
    names = [name for name, _ in (*request.files, *request.engines)]
    names += [*request.controls] if request.predictor is not None else []
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{twice[0]!r} is given twice; every set of answers needs its own name")
    engines = [text for _, text in request.engines]
    if request.predictor is not None and request.predictor not in WITHOUT_IMAGE:
        engines.append(request.predictor)
    for text in engines:
        check_spec("predictor", EngineSpec.parse(text))
    for name in CONTROLS:
        found = sets.get(name)
        if found is not None and found.control != name:
            raise InputError(
                f"{name}: the file holds answers to images with control {found.control!r}"
            )
    if MAIN in sets and sets[MAIN].control != "none":
        raise InputError(
            f"the predictor's file holds answers to {sets[MAIN].control} images; give it as "
            f"--predictions {sets[MAIN].control}=FILE and the answers to the true images first"
        )


def _asked(
    request: Request,
    name: str,
    text: str,
    scored: Sequence[Sample],
    controls: Sequence[Control],
) -> dict[str, PredictionSet]:
    """Return the answers of one engine, and those to controls under their own names."""
    _, tiles = read_cohort_folder(request.cohort)
    spec = EngineSpec.parse(text)
    engine = cast("Predictor", build_engine("predictor", spec, request.device))
    close: Callable[[], None] = getattr(engine, "close", lambda: None)
    found = {}
    try:
        for control in controls:
            shown = Shown(
                request.cohort,
                tiles,
                control,
                request.plan.seed,
                request.free_texts if control == "none" and name == MAIN else 0,
                request.notify,
            )
            key = name if control == "none" else control
            found[key] = predict(engine, str(spec), scored, shown)
    finally:
        close()
    return found


def _without_image(
    name: str | None, samples: Sequence[Sample], scored: Sequence[Sample]
) -> PredictionSet:
    train = [sample for sample in samples if sample.split == "train"]
    if name == baselines.CONSTANT:
        return baselines.constant(scored)
    fit = baselines.majority if name == baselines.MAJORITY else baselines.clinical
    return fit(train, scored)


def _why_not(request: Request) -> dict[str, str]:
    """Return why the expected sets that were not asked for are missing."""
    if request.predictor in WITHOUT_IMAGE:
        return dict.fromkeys(CONTROLS, "this predictor is shown no image")
    if request.predictor is not None:
        return dict.fromkeys(CONTROLS, "switched off (--controls)")
    return {}


def named(text: str) -> tuple[str | None, str]:
    """Return name and rest of ``NAME=REST``; no name where there is none before the first sign."""
    name, equals, rest = text.partition("=")
    if not equals or not name.replace("_", "").replace("-", "").isalnum():
        return None, text
    if not rest:
        raise EngineSpecError(f"{text!r}: nothing follows the equals sign")
    return name, rest
