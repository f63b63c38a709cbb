"""Answer formats: the text, the number language, the digest, and what is refused."""

import json

import pytest

from immunopath.domain.errors import EngineSpecError
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.models.foundation.decoding.answer import (
    LAYOUTS,
    AnswerFormat,
    Layout,
    number_literals,
)

ANSWER = {
    "cd274_expression": "low",
    "msi_status": "MSI-H",
    "tme_subtype": "IE/F",
    "til_fraction": 0.29,
    "til_density": "low",
    "immune_phenotype": "desert",
    "cd8_infiltration": "low",
    "immune_score": 0.283,
}


@pytest.mark.parametrize(
    ("layout", "arguments"),
    [("indented", {"indent": 2}), ("single_line", {}), ("compact", {"separators": (",", ":")})],
)
def test_text_is_what_python_writes(layout: Layout, arguments: dict[str, object]) -> None:
    literals = [json.dumps(value) for value in ANSWER.values()]
    assert AnswerFormat(layout).render(literals) == json.dumps(ANSWER, **arguments)  # type: ignore[arg-type]


def test_default_keys_are_the_published_order() -> None:
    assert AnswerFormat().keys == tuple(ANSWER) == tuple(FIELD_VALUES)


def test_number_language_is_python_s_spelling_of_every_step() -> None:
    literals = number_literals()
    assert len(literals) == 1001
    assert literals[0] == "0.0"
    assert literals[-1] == "1.0"
    assert [float(text) for text in literals] == [i / 1000 for i in range(1001)]
    assert all(json.dumps(float(text)) == text for text in literals)
    inner = literals[1:-1]
    assert not any(text.endswith("0") for text in inner)
    assert {len(text) for text in inner} == {3, 4, 5}


def test_two_decimals_are_the_smaller_language() -> None:
    assert number_literals(2) == tuple(json.dumps(i / 100) for i in range(101))


def test_any_order_and_subset() -> None:
    answer = AnswerFormat("single_line", ("immune_score", "msi_status"))
    assert answer.render(["0.5", '"MSS"']) == '{"immune_score": 0.5, "msi_status": "MSS"}'


@pytest.mark.parametrize(
    "make",
    [
        lambda: AnswerFormat("pretty"),  # type: ignore[arg-type]
        lambda: AnswerFormat(keys=()),
        lambda: AnswerFormat(keys=("msi_status", "msi_status")),
        lambda: AnswerFormat(keys=("grade",)),
        lambda: AnswerFormat(keys=("a",), values={"a": ("only",)}),
        lambda: AnswerFormat(keys=("a",), values={"a": ("yes", "unknown")}),
        lambda: AnswerFormat(decimals=1),
    ],
)
def test_refuses_what_cannot_be_decoded(make) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    with pytest.raises(EngineSpecError):
        make()


def test_digest_follows_everything_that_shapes_an_answer() -> None:
    variants = [AnswerFormat(layout) for layout in LAYOUTS]
    variants += [
        AnswerFormat(keys=tuple(reversed(ANSWER))),
        AnswerFormat(decimals=2),
        AnswerFormat(unknown="none"),
        AnswerFormat(values={**FIELD_VALUES, "msi_status": ("MSS", "MSI-H")}),
    ]
    assert len({answer.digest for answer in variants}) == len(variants)
    assert AnswerFormat().digest == AnswerFormat("indented", tuple(ANSWER)).digest
