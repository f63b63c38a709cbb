"""What limits every answer of a MIL head, and what limits those on a case."""

from collections.abc import Iterator
from typing import Final

from immunopath.domain.prediction import EngineCaution
from immunopath.models.mil.record import EXTERNAL, SYNTHETIC, MilRecord

STRANGE_LIMIT: Final = 0.5
"""The same share as `max_ood_score` of the trust gate."""
UNCALIBRATED: Final = EngineCaution(
    code="UNCALIBRATED",
    severity="note",
    message="The predictor's probabilities and intervals are the head's own: no calibration is "
    "beside it.",
    action="Calibrate it on validation patients with 'immunopath calibrate'.",
)
ON_SYNTHETIC: Final = EngineCaution(
    code="TRAINED_ON_SYNTHETIC",
    severity="serious",
    message="The predictor was trained on rendered images with set labels: nothing is known of "
    "what its values are worth for tissue.",
    action="Train a head on patients with 'immunopath train-mil' before any use.",
)


def cautions_of(
    record: MilRecord, n_tiles: int, strange: float | None
) -> tuple[EngineCaution, ...]:
    """Return what limits the answers of a head on a case.

    n_tiles: its squares; strange: share of them unlike those of training, None without any.
    """
    return (*_of_training(record), *_of_case(record, n_tiles, strange))


def _of_training(record: MilRecord) -> Iterator[EngineCaution]:
    if record.origin == SYNTHETIC:
        yield ON_SYNTHETIC
    if record.embedder == EXTERNAL:
        yield EngineCaution(
            code="ENCODER_AS_DECLARED",
            severity="caution",
            message=f"The head was trained on imported vectors whose encoder ({record.encoder}) "
            "is as declared: nobody checked here that the embedder makes the same ones.",
            action="Embed tiles of the training slides again and compare, before any use.",
        )
    if set(record.stain) != {"none"}:
        yield EngineCaution(
            code="TRAINED_ON_NORMALISED_STAIN",
            severity="caution",
            message=f"The head was trained on tiles with {', '.join(record.stain)} as stain "
            "normalisation; what is cut here is not normalised.",
            action="Cut tiles with the same normalisation, or train without.",
        )


def _of_case(record: MilRecord, n_tiles: int, strange: float | None) -> Iterator[EngineCaution]:
    if strange is not None and strange > STRANGE_LIMIT:
        yield EngineCaution(
            code="UNLIKE_TRAINING",
            severity="serious",
            message=f"{strange:.0%} of the tiles lie further from those of the predictor's "
            "training than 99 % of those did: its values and intervals mean nothing here.",
            action="Check stain, scanner and resolution; train on images like these.",
        )
    if 0 < n_tiles < record.tiles_low:
        yield EngineCaution(
            code="FEWER_TILES_THAN_TRAINED",
            severity="caution",
            message=f"The case has {n_tiles} squares of {record.px} px; the head was trained on "
            f"patients with {record.tiles_low} to {record.tiles_high}.",
            action="Give more fields of the tumour.",
        )
