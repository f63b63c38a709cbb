"""What a language model says of each image alone, for estimates over a whole slide."""

from collections.abc import Sequence

from immunopath.domain.prediction import BiomarkerProfile, ImageCall
from immunopath.domain.quality import TileSummary
from immunopath.models.foundation.decoding.decoded import DecodedAnswer, SlotReading
from immunopath.models.foundation.medgemma.aggregate import best
from immunopath.models.foundation.medgemma.medgemma_fields import rounded

TIL, PHENOTYPE = "til_fraction", "immune_phenotype"


def image_calls(
    answers: Sequence[DecodedAnswer],
    shown: Sequence[Sequence[str]],
    tiles: Sequence[TileSummary],
    profile: BiomarkerProfile,
) -> tuple[ImageCall, ...]:
    """Return mean lymphocyte fraction and leading phenotype of the prompts of each image.

    shown: ids of the tiles behind each answer. A prompt with tiles of several images says nothing
    of one of them and is left out; so is everything when the case's own fraction is no answer.
    """
    if profile.til_fraction.abstained:
        return ()
    image_of = {tile.tile_id: tile.image_index for tile in tiles}
    by_image: dict[int, list[DecodedAnswer]] = {}
    for answer, tile_ids in zip(answers, shown, strict=True):
        owners = {image_of[tile_id] for tile_id in tile_ids}
        if len(owners) == 1:
            by_image.setdefault(owners.pop(), []).append(answer)
    calls = []
    for index, mine in sorted(by_image.items()):
        values = [r.expectation for r in _readings(mine, TIL) if r.expectation is not None]
        if values:
            til = rounded(sum(values) / len(values))
            phenotype = None if profile.immune_phenotype.abstained else _leading(mine)
            calls.append(ImageCall(image_index=index, til=til, weight=1.0, phenotype=phenotype))
    return tuple(calls)


def _readings(answers: Sequence[DecodedAnswer], key: str) -> list[SlotReading]:
    return [r for answer in answers for r in answer.readings if r.key == key]


def _leading(answers: Sequence[DecodedAnswer]) -> str | None:
    tables = [reading.probabilities for reading in _readings(answers, PHENOTYPE)]
    if not tables:
        return None
    return best({value: sum(table[value] for table in tables) for value in tables[0]})
