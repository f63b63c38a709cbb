"""What a language model says of each image alone."""

from collections.abc import Mapping

import pytest
import samples

from immunopath.domain.prediction import BiomarkerProfile
from immunopath.domain.quality import TileSummary
from immunopath.guidelines.adjudication import empty_profile
from immunopath.models.foundation.decoding.decoded import DecodedAnswer, SlotReading
from immunopath.models.foundation.medgemma.image_calls import image_calls

INFLAMED = {"inflamed": 0.8, "excluded": 0.1, "desert": 0.1}
DESERT = {"inflamed": 0.1, "excluded": 0.2, "desert": 0.7}


def answer(til: Mapping[str, float], layout: Mapping[str, float]) -> DecodedAnswer:
    mean = sum(float(number) * share for number, share in til.items())
    readings = tuple(
        SlotReading(key, None, table, expectation, None, 0.0, 0.0, "")
        for key, table, expectation in (
            ("til_fraction", til, mean),
            ("immune_phenotype", layout, None),
        )
    )
    return DecodedAnswer(readings, "{}", -1.0, conditional=False, conditioning="greedy")


def tile(name: str, image_index: int) -> TileSummary:
    return samples.tiles()[0].model_copy(update={"tile_id": name, "image_index": image_index})


TILES = [tile("a", 0), tile("b", 0), tile("c", 3)]
ANSWERS = [
    answer({"0.20": 0.5, "0.40": 0.5}, INFLAMED),
    answer({"0.50": 1.0}, INFLAMED),
    answer({"0.10": 1.0}, DESERT),
]


def profile(*, silent: tuple[str, ...] = ()) -> BiomarkerProfile:
    """Return a profile in which fraction and phenotype are answers, but for the silent ones."""
    full, empty = samples.full().profile, empty_profile("silent")
    told = full.immune_phenotype.model_copy(
        update={"value": "inflamed", "abstained": False, "reason": ""}
    )
    changes = {"immune_phenotype": told} | {name: getattr(empty, name) for name in silent}
    assert not full.til_fraction.abstained
    return full.model_copy(update=changes)


def test_prompts_of_an_image_are_averaged() -> None:
    one, two = image_calls(ANSWERS, [["a"], ["b"], ["c"]], TILES, profile())
    assert (one.image_index, two.image_index) == (0, 3)
    assert one.til == pytest.approx(0.4)
    assert two.til == pytest.approx(0.1)
    assert (one.phenotype, two.phenotype) == ("inflamed", "desert")


def test_a_prompt_over_two_images_speaks_of_neither() -> None:
    (one,) = image_calls(ANSWERS, [["a"], ["b", "c"], ["b"]], TILES, profile())
    assert one.til == pytest.approx((0.3 + 0.1) / 2)


def test_what_is_no_answer_for_the_case_is_none_for_an_image() -> None:
    shown = [["a"], ["b"], ["c"]]
    assert image_calls(ANSWERS, shown, TILES, profile(silent=("til_fraction",))) == ()
    calls = image_calls(ANSWERS, shown, TILES, profile(silent=("immune_phenotype",)))
    assert [call.phenotype for call in calls] == [None, None]
