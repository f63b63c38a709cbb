"""One set of answers measured against truth, baselines and controls: the whole evaluation."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from immunopath.domain.base import Frozen
from immunopath.domain.errors import CaseFileError, InputError
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.domain.words import counted
from immunopath.models.validation import SYNTHETIC
from immunopath.training.evaluation import baselines
from immunopath.training.evaluation.alarm import Alarm, alarm, field_alarm
from immunopath.training.evaluation.collect import collect
from immunopath.training.evaluation.compare import Difference, differences
from immunopath.training.evaluation.compliance import Compliance, compliance
from immunopath.training.evaluation.groups import GroupScore, group_scores
from immunopath.training.evaluation.resample import DEFAULT, Plan
from immunopath.training.evaluation.score import Drawn, FieldScore, score
from immunopath.training.predictions import PredictionSet
from immunopath.training.samples import Sample, Split

MIL: Final = "mil"
ZERO_SHOT: Final = "zero_shot"
BLANK: Final = "blank"
SHUFFLED: Final = "shuffled"
CONTROLS: Final = (BLANK, SHUFFLED)
EXPECTED: Final = (
    baselines.CONSTANT,
    baselines.MAJORITY,
    baselines.CLINICAL,
    MIL,
    ZERO_SHOT,
    BLANK,
    SHUFFLED,
    baselines.SWAPPED,
)
"""What stands beside every number; one that was not run is shown as not run."""


class SetScore(Frozen):
    """All fields of one set of answers; the first keys are those of `PredictionSet`."""

    engine: str
    digest: str
    control: str
    conditioning: str | None
    calibrated: bool
    calibrator: str | None
    preprocess: str
    n_tiles: float
    """Mean tiles per patient."""
    fields: dict[str, FieldScore]


class Evaluation(Frozen):
    """Everything that was measured.

    origin: of the labels (``synthetic`` = rendered images, never tissue); others: baselines and
    controls by name; not_run: why an expected one is missing; differences: predictor minus other
    on the patients that both answered; splits: patients of the cohort by split; cautions: what
    these figures take on somebody's word.
    """

    schema_version: int = 1
    cohort: str
    split: str
    origin: str
    n: int
    splits: dict[str, int]
    draws: int
    seed: int
    main: SetScore
    others: dict[str, SetScore]
    not_run: dict[str, str]
    differences: tuple[Difference, ...]
    groups: tuple[GroupScore, ...]
    alarm: Alarm
    compliance: Compliance | None = None
    cautions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The bytes of ``evaluation.json``, by whose digest cards name it."""
        return self.model_dump_json(indent=1) + "\n"

    def value(self, field: str, metric: str, of: str | None = None) -> float | None:
        """Return one number of the predictor (or of the baseline `of`); None when there is none."""
        scored = self.main if of is None else self.others.get(of)
        found = None if scored is None else scored.fields[field].metrics.get(metric)
        return None if found is None else found.value


def evaluate_sets(  # noqa: PLR0913 - the names that callers write
    samples: Sequence[Sample],
    predicted: PredictionSet,
    others: Mapping[str, PredictionSet] | None = None,
    *,
    split: Split | None = "test",
    cohort: str = "",
    not_run: Mapping[str, str] | None = None,
    cautions: Sequence[str] = (),
    plan: Plan = DEFAULT,
) -> Evaluation:
    """Return the evaluation of `predicted` on one split of `samples`.

    `others`: baselines and controls by name (``mil``, ``zero_shot``, ``blank``, ``shuffled`` or any
    other); constant, majority and clinical are made here from the samples unless given. `split`
    None = all samples (then nothing is fitted on training patients). `not_run` says why an
    expected set is missing; `cautions` are kept as they are. Raises `InputError` when no patient of
    the split was answered.
    """
    scored = [s for s in samples if split is None or s.split == split]
    _require_overlap(scored, predicted, split)
    made, missing = _made(samples, scored, split)
    made[baselines.SWAPPED] = baselines.swapped(predicted, scored, plan.seed)
    given = made | dict(others or {})
    missing = {k: v for k, v in missing.items() if k not in given}
    missing |= {k: "not given" for k in EXPECTED if k not in given and k not in missing}
    missing |= {k: v for k, v in (not_run or {}).items() if k not in given}
    drawn = _drawn(scored, predicted, plan)
    beside = {who: _drawn(scored, found, plan) for who, found in given.items()}
    main = _set_score(predicted, drawn)
    return Evaluation(
        cohort=cohort,
        split=split or "all",
        origin=origin_of(scored),
        n=len(scored),
        splits=dict(Counter(s.split or "none" for s in samples)),
        draws=plan.draws,
        seed=plan.seed,
        main=main,
        others={w: _set_score(given[w], beside[w]) for w in _in_order(given)},
        not_run={k: missing[k] for k in _in_order(missing)},
        differences=tuple(
            found for who in _in_order(given) for found in differences(drawn, beside[who], who)
        ),
        groups=group_scores(scored, drawn),
        alarm=_alarm(drawn, beside, main, plan),
        compliance=compliance(predicted, [s.patient_id for s in scored]),
        cautions=tuple(cautions),
    )


def _drawn(scored: Sequence[Sample], found: PredictionSet, plan: Plan) -> dict[str, Drawn]:
    return {name: Drawn(collect(scored, found, name), plan) for name in FIELD_VALUES}


def _made(
    samples: Sequence[Sample], scored: Sequence[Sample], split: Split | None
) -> tuple[dict[str, PredictionSet], dict[str, str]]:
    made = {baselines.CONSTANT: baselines.constant(scored)}
    if split not in {"val", "test"}:
        why = "it is fitted on the training patients, and they are scored here"
        return made, dict.fromkeys(baselines.FITTED, why)
    train = [s for s in samples if s.split == "train"]
    missing = {}
    for name, fit in baselines.FITTED.items():
        try:
            made[name] = fit(train, scored)
        except InputError as error:
            missing[name] = str(error)
    return made, missing


def _alarm(
    drawn: Mapping[str, Drawn],
    beside: Mapping[str, Mapping[str, Drawn]],
    main: SetScore,
    plan: Plan,
) -> Alarm:
    found = [
        field_alarm(
            own.data,
            {control: beside[control][name].data for control in CONTROLS if control in beside},
            plan,
        )
        for name, own in drawn.items()
    ]
    evaluable = [name for name, field in main.fields.items() if field.evaluable]
    return alarm([field for field in found if field is not None], evaluable)


def _set_score(found: PredictionSet, drawn: Mapping[str, Drawn]) -> SetScore:
    tiles = [answer.n_tiles for answer in found.answers]
    return SetScore(
        engine=found.engine,
        digest=found.digest,
        control=found.control,
        conditioning=found.conditioning,
        calibrated=found.calibrated,
        calibrator=found.calibrator,
        preprocess=found.preprocess,
        n_tiles=sum(tiles) / len(tiles) if tiles else 0.0,
        fields={name: score(own) for name, own in drawn.items()},
    )


def _in_order(names: Mapping[str, object]) -> list[str]:
    return [n for n in EXPECTED if n in names] + [n for n in names if n not in EXPECTED]


def origin_of(scored: Sequence[Sample]) -> str:
    """Return where the labels come from; one rendered patient makes the whole synthetic."""
    kinds = sorted({sample.origin for sample in scored})
    return SYNTHETIC if SYNTHETIC in kinds else " and ".join(kinds)


def _require_overlap(scored: Sequence[Sample], predicted: PredictionSet, split: str | None) -> None:
    if not scored:
        raise InputError(f"the cohort has no patient in the split {split!r}; choose another")
    known = {sample.patient_id for sample in scored}
    if not any(answer.patient_id in known for answer in predicted.answers):
        raise CaseFileError(
            f"{predicted.engine}: answers none of the {counted(len(known), 'patient')} "
            "of the split "
            f"{split or 'all'!r}; the predictions belong to another cohort or split"
        )
