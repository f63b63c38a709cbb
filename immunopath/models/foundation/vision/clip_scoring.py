"""From image-text cosines to phenotype scores: pooled, uncalibrated unless a file says otherwise.

With cosines c of V views and S prompt sets over three phenotypes, logits are ``scale * c + bias``.
Each set has its own softmax over the exclusive set; the score of a phenotype is the mean over sets
and views. The sigmoid of a single logit is another thing (how well one prompt fits, by itself): it
is returned beside the scores, only for models that were trained with a sigmoid loss.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from immunopath.domain.base import Frozen, first_fault
from immunopath.domain.errors import CaseFileError, CheckpointError, EngineMismatch
from immunopath.domain.files import read_small
from immunopath.models.foundation.vision.phenotype_prompts import PHENOTYPES, PromptEnsemble

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
MIN_MARGIN: Final = 0.1
"""The leader must be this much above the next class. A declared limit, not a fitted one."""
MIN_AGREEMENT: Final = 0.6
"""Share of prompt sets whose own leader must be the case's leader. Declared, not fitted."""


class PhenotypeCalibration(Frozen):
    """Temperature and shifts fitted on cases with known phenotype, for one encoder and prompts.

    Scores become ``softmax((logits + shift) / temperature)``, set by set.
    """

    format: Literal["immunopath-phenotype-calibration-1"]
    weights_digest: str
    prompt_digest: str
    preprocess: str
    temperature: float = Field(gt=0)
    shift: dict[Literal["inflamed", "excluded", "desert"], float] = Field(default_factory=dict)
    cohort: str = Field(min_length=1)
    """On which cases it was fitted."""
    n: int = Field(gt=0)

    def check(self, weights_digest: str, prompt_digest: str, preprocess: str) -> None:
        """Raise `EngineMismatch` when it was fitted for another model, prompts or preprocessing."""
        pairs = (
            ("weights", self.weights_digest, weights_digest),
            ("prompts", self.prompt_digest, prompt_digest),
            ("preprocessing", self.preprocess, preprocess),
        )
        for name, fitted, used in pairs:
            if fitted != used:
                raise EngineMismatch(
                    f"the calibration was fitted with other {name} ({fitted[:40]!r}, here "
                    f"{used[:40]!r}): fit it again or leave calibration= out"
                )


def load_calibration(path: str) -> PhenotypeCalibration:
    """Return the calibration at `path`; raises `CheckpointError` naming the file."""
    try:
        found = read_small(Path(path), "a phenotype calibration")
        return PhenotypeCalibration.model_validate_json(found)
    except CaseFileError as error:
        raise CheckpointError(str(error)) from error
    except ValidationError as error:
        raise CheckpointError(
            f"{path}: not a phenotype calibration ({first_fault(error)})"
        ) from error


@dataclass(frozen=True)
class Pooled:
    """What a case's views say.

    scores: over the phenotypes, sum 1; agreement: share of prompt sets that lead with the same
    class; view_agreement: the same over views; sigmoid: mean over views of each prompt's own
    probability, in the order of the ensemble, or None for a model without a sigmoid loss.
    """

    scores: dict[str, float]
    agreement: float
    view_agreement: float
    sigmoid: tuple[float, ...] | None

    @property
    def leader(self) -> str:
        """The phenotype with the highest score."""
        return max(self.scores, key=lambda name: self.scores[name])

    @property
    def margin(self) -> float:
        """The leader's score minus the next one's."""
        first, second, *_ = sorted(self.scores.values(), reverse=True)
        return first - second


def pool(
    cosines: F32,
    ensemble: PromptEnsemble,
    scale: float,
    bias: float | None,
    calibration: PhenotypeCalibration | None = None,
) -> Pooled:
    """Return the pooled scores of cosines (views, prompts), prompts in the ensemble's order.

    `scale` multiplies cosines, `bias` is added and given only for a sigmoid model. The bias moves
    all logits alike and so changes no softmax. Raises `EngineMismatch` for another shape.
    """
    if cosines.ndim != 2 or not len(cosines) or cosines.shape[1] != len(ensemble.prompts):
        raise EngineMismatch(
            f"cosines have shape {cosines.shape}, not (views, {len(ensemble.prompts)})"
        )
    logits = cosines.astype(np.float64) * scale + (bias or 0.0)
    split = logits.reshape(len(logits), len(ensemble.sets), len(PHENOTYPES))
    shares = _softmax(split, calibration)
    scores = shares.mean(axis=(0, 1))
    leader = int(scores.argmax())
    return Pooled(
        scores=dict(zip(PHENOTYPES, map(_rounded, scores), strict=True)),
        agreement=float((shares.mean(axis=0).argmax(axis=-1) == leader).mean()),
        view_agreement=float((shares.mean(axis=1).argmax(axis=-1) == leader).mean()),
        sigmoid=None if bias is None else tuple(map(_rounded, _sigmoid(logits).mean(axis=0))),
    )


def why_abstain(pooled: Pooled, min_margin: float, min_agreement: float) -> str:
    """Return why the scores name no phenotype, or an empty string."""
    if pooled.agreement < min_agreement:
        return (
            f"the prompts disagree: {pooled.agreement:.0%} of the prompt sets lead with "
            f"{pooled.leader}, {min_agreement:.0%} needed"
        )
    if pooled.margin < min_margin:
        return (
            f"the scores are too close: {pooled.leader} leads by {pooled.margin:.2f}, "
            f"{min_margin:g} needed"
        )
    return ""


def _softmax(logits: F64, calibration: PhenotypeCalibration | None) -> F64:
    if calibration is not None:
        shift = np.array([calibration.shift.get(name, 0.0) for name in PHENOTYPES])  # type: ignore[call-overload]
        logits = (logits + shift) / calibration.temperature
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def _rounded(value: float) -> float:
    """Return six decimals: what else shares a batch moves the seventh, and reports are compared."""
    return round(float(value), 6)


def _sigmoid(logits: F64) -> F64:
    return np.asarray(0.5 * (1 + np.tanh(logits / 2)))
