"""Shares of 1 mm² cells by phenotype: only with enough cells, only from the first round."""

from collections.abc import Sequence

import pytest
from sampled_slides import calls, intake

from immunopath.domain.prediction import ImageCall
from immunopath.guidelines.phenotype_shares import phenotype_shares


def phenotypes(values: Sequence[str | None]) -> list[ImageCall]:
    return [
        call.model_copy(update={"phenotype": value})
        for call, value in zip(calls([0.2] * len(values)), values, strict=True)
    ]


def test_shares_of_ten_cells() -> None:
    given: list[str | None] = ["inflamed"] * 2 + ["excluded"] * 3 + ["desert"] * 4 + [None]
    (found,), notes = phenotype_shares(intake([5] * 10), phenotypes(given))
    assert (found.n_cells, found.n_unjudged) == (9, 1)
    assert found.shares == {"inflamed": 2 / 9, "excluded": 3 / 9, "desert": 4 / 9}
    assert found.seen_mm2 == pytest.approx(0.262)
    assert found.inflamed_interval[0] < 2 / 9 < found.inflamed_interval[1]
    assert notes == ()


def test_regions_of_further_rounds_do_not_count() -> None:
    given: list[str | None] = ["desert"] * 10 + ["inflamed"] * 5
    (found,), _ = phenotype_shares(intake([5] * 15, first=10), phenotypes(given))
    assert found.shares["inflamed"] == 0
    assert found.n_cells == 10


def test_too_few_cells_are_said_and_not_shared() -> None:
    shares, (note,) = phenotype_shares(intake([5] * 9), phenotypes(["desert"] * 7 + [None] * 2))
    assert shares == ()
    assert note == "S.svs: 7 cells of 1 mm² with a phenotype (2 without); their shares need 8."


def test_two_regions_in_one_cell_are_one_cell() -> None:
    case = intake([5] * 10)
    near = tuple(
        image.model_copy(update={"region": (1024 * (i % 2), 2000 * (i // 2), 900, 900)})
        for i, image in enumerate(case.images)
    )
    shares, (note,) = phenotype_shares(
        case.model_copy(update={"images": near}), phenotypes(["desert"] * 10)
    )
    assert shares == ()
    assert "5 cells" in note


def test_plain_images_have_none() -> None:
    case = intake([5] * 10).model_copy(update={"sampling": None})
    assert phenotype_shares(case, phenotypes(["desert"] * 10)) == ((), ())
