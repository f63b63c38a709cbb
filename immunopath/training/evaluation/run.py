"""``immunopath evaluate``: from engines and files to sets of answers, and what is written."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from immunopath.domain.errors import EngineError, EngineSpecError, InputError
from immunopath.domain.files import require_place
from immunopath.imaging.tile_manifest import read_tiles
from immunopath.models.protocols import Predictor
from immunopath.models.registry import build_engine, check_spec, close_engine
from immunopath.models.spec import EngineSpec
from immunopath.models.validation import FILE as VALIDATION
from immunopath.training.evaluation import baselines
from immunopath.training.evaluation.evaluate import CONTROLS, MIL, ZERO_SHOT, evaluate_sets
from immunopath.training.evaluation.held_out import on_their_word, require_held_out
from immunopath.training.evaluation.request import (
    MAIN,
    WITHOUT_IMAGE,
    Asked,
    Request,
    Result,
)
from immunopath.training.evaluation.runner import Shown, predict
from immunopath.training.evaluation.write import ANSWERS, EVALUATION, why_no_validation, write_all
from immunopath.training.leakage import placed, require_no_leak
from immunopath.training.predictions import PredictionSet, read_predictions, write_predictions
from immunopath.training.samples import SAMPLES, TILES, Sample, read_samples
from immunopath.training.tile_source import Control, selected_tiles


def run(request: Request) -> Result:
    """Run what is asked for, write every set of answers, measure, and write what was found.

    Raises `InputError` and its kin before any engine is loaded for what can be known then.
    """
    files = {name: read_predictions(path) for name, path in request.files}
    require_sensible(request, files)
    _require_own_folder(request)
    _require_places(request)
    samples = read_samples(request.cohort / SAMPLES)
    scored = [sample for sample in samples if sample.split == request.split]
    if not scored:
        raise InputError(
            f"{request.cohort / SAMPLES}: no patient is in the split {request.split!r}; make the "
            "splits first or choose another"
        )
    manifest = request.cohort / TILES
    asks = bool(request.engines) or request.predictor not in {None, *WITHOUT_IMAGE}
    rows = read_tiles(manifest) if asks or manifest.is_file() else ()
    require_no_leak(placed(samples, rows))
    require_held_out(request, samples, scored)
    tiles = selected_tiles(request.cohort, samples, rows) if asks else {}
    shown = Shown(request.cohort, tiles, seed=request.plan.seed, notify=request.notify)
    asked = _ask_all(request, files, samples, scored, shown)
    evaluation = evaluate_sets(
        samples,
        asked.sets[MAIN],
        {name: found for name, found in asked.sets.items() if name != MAIN},
        split=request.split,
        cohort=request.cohort.resolve().name,
        not_run=_why_not(request) | dict(asked.failed),
        cautions=on_their_word(request, files),
        plan=request.plan,
    )
    return write_all(request, evaluation, asked, scored)


def _require_own_folder(request: Request) -> None:
    """The scored patients are written as ``samples.jsonl``: never over those of a cohort."""
    out = request.out
    same = out.exists() and request.cohort.exists() and out.samefile(request.cohort)
    if same or ((out / SAMPLES).exists() and not (out / EVALUATION).exists()):
        raise InputError(f"{out}: is a cohort's folder; name another one for the evaluation")


def _require_places(request: Request) -> None:
    require_place(request.out / EVALUATION)
    require_place(request.out / ANSWERS / f"{MAIN}.json")
    if request.checkpoint is not None:
        require_place(request.checkpoint / VALIDATION)


def _ask_all(
    request: Request,
    files: Mapping[str, PredictionSet],
    samples: Sequence[Sample],
    scored: Sequence[Sample],
    shown: Shown,
) -> Asked:
    """Return the sets of answers that are asked for; what an engine says is written at once."""
    sets, info, place = dict(files), None, None
    if request.predictor is not None and request.predictor in WITHOUT_IMAGE:
        sets[MAIN] = _without_image(request.predictor, samples, scored)
    elif request.predictor is not None:
        main = _asked(request, MAIN, request.predictor, scored, shown)
        sets, info, place = sets | main.sets, main.info, main.validation
    failed = {}
    for name, text in request.engines:
        try:
            sets |= _asked(request, name, text, scored, shown).sets
        except EngineError as error:  # the predictor's own answers are not lost for a baseline
            failed[name] = str(error)
    if request.checkpoint is not None:
        place = request.checkpoint / VALIDATION
    return Asked(sets, info, place, failed)


def require_sensible(request: Request, sets: dict[str, PredictionSet]) -> None:
    """Raise `InputError` or `EngineSpecError` for a request that cannot be run as it stands."""
    if (request.predictor is None) == (MAIN not in sets):
        raise InputError(
            "give the predictor either as an engine (--predictor) or as a file of answers "
            "(--predictions FILE), and once"
        )
    names = [name for name, _ in (*request.files, *request.engines)]
    names += [MAIN, *request.controls] if request.predictor is not None else []
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
    shown: Shown,
) -> Asked:
    """Return what one engine answers, the predictor's answers to controls under their own names."""
    main = name == MAIN
    controls: tuple[Control, ...] = ("none", *request.controls) if main else ("none",)
    spec = EngineSpec.parse(text)
    engine = cast("Predictor", build_engine("predictor", spec, request.device))
    found = {}
    try:
        place = _validation_path(engine, spec)
        if main and place is not None and not why_no_validation(request):
            require_place(request.checkpoint / VALIDATION if request.checkpoint else place)
        for control in controls:
            texts = request.free_texts if main and control == "none" else 0
            own = replace(shown, control=control, free_texts=texts)
            key = name if control == "none" else control
            found[key] = predict(engine, str(spec), scored, own)
            write_predictions(request.out / ANSWERS / f"{key}.json", found[key])
        return Asked(found, engine.info, place)
    finally:
        close_engine(engine)


def _validation_path(engine: Predictor, spec: EngineSpec) -> Path | None:
    """Return where the cards of an engine belong; None for one without a checkpoint."""
    own: Path | None = getattr(engine, "validation_path", None)
    if own is None and spec.source is not None and Path(spec.source).expanduser().is_dir():
        return Path(spec.source).expanduser() / VALIDATION
    return own


def _without_image(name: str, samples: Sequence[Sample], scored: Sequence[Sample]) -> PredictionSet:
    if name == baselines.CONSTANT:
        return baselines.constant(scored)
    train = [sample for sample in samples if sample.split == "train"]
    return baselines.FITTED[name](train, scored)


def _why_not(request: Request) -> dict[str, str]:
    """Return why the expected sets that were not asked for are missing, and how to ask for them."""
    found = {
        MIL: "give a head with --baseline mil:FOLDER",
        ZERO_SHOT: "give the base model with --baseline zero_shot=ENGINE",
    }
    if request.predictor is not None and EngineSpec.parse(request.predictor).name == MIL:
        found[MIL] = "the predictor is a MIL head itself"
    if request.predictor in WITHOUT_IMAGE:
        why = "this predictor is shown no image"
    elif request.predictor is not None:
        why = "switched off (--controls)"
    else:
        why = "give its answers with --predictions FILE"
    return found | dict.fromkeys(CONTROLS, why)


def named(text: str) -> tuple[str | None, str]:
    """Return name and rest of ``NAME=REST``; no name where there is none before the first sign."""
    name, equals, rest = text.partition("=")
    if not equals or not name.replace("_", "").replace("-", "").isalnum():
        return None, text
    if not rest:
        raise EngineSpecError(f"{text!r}: nothing follows the equals sign")
    return name, rest
