"""Prompts: constants to the byte."""

import pytest

from immunopath.domain.errors import EngineSpecError
from immunopath.models.foundation.medgemma.prompts import (
    CANCER_TYPES,
    CARD,
    PROMPTS,
    V2_RUN,
    V31_RUN,
    prompt_of,
)

DIGESTS = {
    "card-v1": "73b609ccab81c671d9f1bb58408aa0c16cd00dce678c9239194f613691e0c6b7",
    "v3.1-run": "b043cf75068dcaa636a55536edd6b1e41353c3955adf625a7cde3999278a98d6",
    "v2-run": "9c932cf388679cd3636d55f3c0cf9d2825cb434357ac37748cee3967e84d1c06",
}


@pytest.mark.parametrize("name", DIGESTS)
def test_a_shipped_prompt_never_changes(name: str) -> None:
    assert prompt_of(name).digest == DIGESTS[name]


def test_every_prompt_is_pinned() -> None:
    assert set(PROMPTS) == set(DIGESTS)


def test_the_card_prompt_names_the_keys_and_the_run_prompt_does_not() -> None:
    assert "cd274_expression" in CARD.text
    assert "cd274_expression" not in V31_RUN.text
    assert not CARD.asks_cancer_type
    assert CARD.filled(None) == CARD.text


@pytest.mark.parametrize("prompt", [V31_RUN, V2_RUN], ids=lambda p: p.id)
def test_the_run_prompts_name_the_cancer_type(prompt: object) -> None:
    assert isinstance(prompt, type(CARD))
    assert prompt.asks_cancer_type
    filled = prompt.filled(CANCER_TYPES["squamous"])
    assert "a lung squamous cell carcinoma " in filled.splitlines()[0]
    assert "{" not in filled
    assert "a lung cancer " in prompt.filled(None).splitlines()[0]


def test_an_unknown_prompt_is_a_named_error() -> None:
    with pytest.raises(EngineSpecError, match=r"card-v1, v3\.1-run, v2-run"):
        prompt_of("mine")
