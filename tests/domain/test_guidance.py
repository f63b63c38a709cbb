from datetime import date

import pytest
from pydantic import ValidationError

from immunopath.domain.guidance import (
    WITHOUT_OPTIONS,
    Category,
    ConditionalBranch,
    Guidance,
    Option,
)


def option(regimen: str = "RX-OSI", drug: str = "osimertinib") -> Option:
    return Option(
        rank=1,
        regimen_id=regimen,
        name=drug,
        components=((drug,),),
        drugs=(drug,),
        reason="r",
        strength="A1",
        rule_ids=("DR-1",),
        evidence=("FLA",),
        regulatory="FDA-R",
        label="l",
        schedule="s",
        headline="h",
        grade="M",
        counter_indications_checked=(),
    )


def guidance(category: Category, options: tuple[Option, ...], **more: object) -> Guidance:
    return Guidance.model_validate(
        {
            "category": category,
            "headline": "h",
            "options": options,
            "knowledge_version": "v",
            "knowledge_date": date(2026, 1, 1),
            "as_of": date(2026, 1, 2),
            "research_use": "r",
            **more,
        }
    )


@pytest.mark.parametrize("category", sorted(WITHOUT_OPTIONS))
def test_no_options_by_construction(category: Category) -> None:
    with pytest.raises(ValidationError, match="cannot list options"):
        guidance(category, (option(),))
    assert guidance(category, ()).options == ()


def test_named_drugs_lists_options_before_conditional_branches() -> None:
    inner = ConditionalBranch(
        question="q", condition="c", options=(option("RX-CRIZ", "crizotinib"),)
    )
    branch = ConditionalBranch(question="q", condition="c", branches=(inner,), options=(option(),))
    made = guidance(Category.DRIVER_DIRECTED, (option(),), conditional=(branch,))
    assert made.named_drugs() == ("osimertinib", "crizotinib")
    assert made.option_drugs() == ("osimertinib",)
    assert made.regimen_ids() == ("RX-OSI",)
    assert set(made.conditional_drugs()) == {"osimertinib", "crizotinib"}


def test_rank_starts_at_one() -> None:
    with pytest.raises(ValidationError):
        Option.model_validate(option().model_dump() | {"rank": 0})
