"""Instances of any domain model, made by hypothesis from the model's own fields.

Fields are read from the pydantic definition, so a new field or model needs no line here; only
models whose fields depend on each other are spelled out.
"""

import types
from collections.abc import Callable
from datetime import date
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from immunopath.domain.case import Case
from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.drug import InSilicoFact, InSilicoPanel
from immunopath.domain.guidance import WITHOUT_OPTIONS, ConditionalBranch, Guidance
from immunopath.domain.measured import Measured, State
from immunopath.domain.molecular import ALTERATIONS, NEGATIVE, Gene, GeneResult
from immunopath.domain.outcome import Abstained, Failed, Ok, Outcome, Unavailable
from immunopath.domain.prediction import (
    FIELD_VALUES,
    BiomarkerProfile,
    FieldPrediction,
    PhenotypeScores,
)
from immunopath.domain.provenance import Provenance

M = TypeVar("M", bound=BaseModel)
Strategy = st.SearchStrategy[Any]
Made = dict[str, Any]

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
WORD = st.text("abcdefghij-_ µ≥<", min_size=1, max_size=8)
NUMBER = st.floats(-1e6, 1e6, allow_nan=False)
SHARE = st.floats(0, 1)


def shares_over(names: tuple[str, ...]) -> Strategy:
    """Return tables over `names` whose values lie in [0, 1] and sum to 1."""

    def table(parts: list[int]) -> dict[str, float]:
        return {name: part / sum(parts) for name, part in zip(names, parts, strict=True)}

    parts = st.lists(st.integers(0, 50), min_size=len(names), max_size=len(names))
    return parts.filter(any).map(table)


def predictions(name: str | None = None) -> Strategy:
    """Return predictions of the named profile field, or of some field of words."""
    allowed = FIELD_VALUES[name] if name else ("high", "low")
    value = st.sampled_from(allowed) if allowed else SHARE
    table = shares_over(allowed) if allowed else st.none()
    kind = FieldPrediction[str] if allowed else FieldPrediction[float]

    def built(made: Made, pick: Any, probabilities: Any, prior: Any, ends: list[float]) -> Any:
        gone = made["abstained"]
        return kind(
            **made
            | {
                "value": None if gone else pick,
                "raw_value": None if gone else pick,
                "reason": made["reason"] or "because",
                "probabilities": None if gone else probabilities,
                "prior": prior if gone else None,
                "interval": None if gone or allowed else tuple(sorted(ends)),
            }
        )

    skip = {"value", "raw_value", "probabilities", "prior", "interval"}
    return st.builds(
        built, fields_of(kind, skip), value, st.none() | table, st.none() | table,
        st.lists(SHARE, min_size=2, max_size=2),
    )  # fmt: skip


def measured(value: Strategy, kind: Any = Measured) -> Strategy:
    """Return measurements that hold a value exactly when their state says so."""

    def built(made: Made, state: State, found: Any) -> Any:
        return kind(**made, state=state, value=found if state is State.measured else None)

    return st.builds(built, fields_of(Measured, {"state", "value"}), st.sampled_from(State), value)


def _scores() -> Strategy:
    names = FIELD_VALUES["immune_phenotype"] or ()

    def built(made: Made, table: dict[str, float]) -> PhenotypeScores:
        value = None if made["abstained"] else max(table, key=lambda name: table[name])
        return PhenotypeScores(**made, scores=table, value=value)

    return st.builds(built, fields_of(PhenotypeScores, {"scores", "value"}), shares_over(names))


def _gene() -> Strategy:
    def result(gene: Gene) -> Strategy:
        values = st.sampled_from((NEGATIVE, *ALTERATIONS[gene]))
        return st.builds(
            lambda made, found: GeneResult(gene=gene, result=found, **made),
            fields_of(GeneResult, {"gene", "result"}), measured(values, Measured[str]),
        )  # fmt: skip

    return st.sampled_from(Gene).flatmap(result)


def _guidance() -> Strategy:
    def built(made: Made) -> Guidance:
        options = () if made["category"] in WITHOUT_OPTIONS else made["options"]
        return Guidance(**made | {"options": options})

    return fields_of(Guidance, set()).map(built)


def _branches() -> Strategy:
    leaf = st.builds(
        lambda made: ConditionalBranch(**made), fields_of(ConditionalBranch, {"branches"})
    )
    return leaf | st.builds(
        lambda made, inner: ConditionalBranch(**made, branches=(inner,)),
        fields_of(ConditionalBranch, {"branches"}), leaf,
    )  # fmt: skip


def _case() -> Strategy:
    """Regions are of one image and lie apart: these do, in a row."""
    corners = st.lists(st.integers(0, 9), max_size=3, unique=True)
    row = corners.map(lambda found: tuple((100 * x, 0, 100, 50) for x in found))
    one_image = fields_of(Case, {"regions"}).map(lambda made: made | {"images": made["images"][:1]})
    plain = fields_of(Case, {"regions"}).map(lambda made: Case(**made))
    return plain | st.builds(lambda made, boxes: Case(**made, regions=boxes), one_image, row)


def _clinical() -> Strategy:
    """Each context states a handful of its many facts; all stated at once teaches no more."""
    names = st.sets(st.sampled_from(sorted(ClinicalContext.model_fields)), max_size=6)
    return names.flatmap(
        lambda kept: fields_of(ClinicalContext, set(ClinicalContext.model_fields) - kept)
    ).map(lambda made: ClinicalContext(**made))


def _in_silico_fact() -> Strategy:
    def built(made: Made, letter: str | None, rank: int, reason: str) -> InSilicoFact:
        answered = made["state"] == "answered"
        return InSilicoFact(
            **made
            | {
                "answer": letter if answered else None,
                "rank": rank if answered and letter is None else None,
                "reason": "" if answered else reason,
            }
        )

    return st.builds(
        built, fields_of(InSilicoFact, {"answer", "rank", "reason"}),
        st.sampled_from(["A", "B", None]), st.integers(0, 1000), st.text(min_size=1, max_size=9),
    )  # fmt: skip


def _in_silico_panel() -> Strategy:
    asked = st.builds(
        lambda facts, source, reason: InSilicoPanel(
            status="ok", facts=tuple(facts), source=source, reason=reason
        ),
        st.lists(instances(InSilicoFact), max_size=2), instances(Provenance), st.text(max_size=9),
    )  # fmt: skip
    return asked | st.builds(
        lambda status, reason: InSilicoPanel(status=status, reason=reason),
        st.sampled_from(["not_applicable", "unavailable"]), st.text(min_size=1, max_size=9),
    )  # fmt: skip


_SPELLED: dict[type, Callable[[], Strategy]] = {
    BiomarkerProfile: lambda: st.fixed_dictionaries(
        {name: predictions(name) for name in FIELD_VALUES}
    ).map(lambda made: BiomarkerProfile(**made)),
    Case: _case,
    ClinicalContext: _clinical,
    ConditionalBranch: _branches,
    GeneResult: _gene,
    InSilicoFact: _in_silico_fact,
    InSilicoPanel: _in_silico_panel,
    Guidance: _guidance,
    PhenotypeScores: _scores,
}


@cache
def instances(model: type[M]) -> st.SearchStrategy[M]:
    """Return instances of a domain model."""
    return st.deferred(lambda: _instances(model))


@cache
def _instances(model: type[Any]) -> Strategy:
    if model in _SPELLED:
        return _SPELLED[model]()
    if issubclass(model, FieldPrediction):
        return predictions()
    if issubclass(model, Measured):
        value = model.model_fields["value"].annotation
        return measured(of(value).filter(lambda found: found is not None), model)
    return fields_of(model, set()).map(lambda made: model(**made))


def fields_of(model: type[BaseModel], skip: set[str]) -> Strategy:
    """Return keyword arguments for every field of `model` but those in `skip`."""
    wanted = {name: f for name, f in model.model_fields.items() if name not in skip}
    return st.fixed_dictionaries({name: _field(name, field) for name, field in wanted.items()})


def _field(name: str, field: FieldInfo) -> Strategy:
    if name == "mpp":
        plain = st.floats(0.05, 20)
        return plain if field.annotation is float else st.none() | plain
    return of(field.annotation, tuple(field.metadata))


def of(kind: Any, limits: tuple[Any, ...] = ()) -> Strategy:  # noqa: PLR0911
    """Return values of an annotation within pydantic's limits."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Outcome:
        return of(Union[Ok[args[0]], Abstained, Unavailable, Failed])  # noqa: UP007
    if origin is Annotated:
        found = [limit for each in args[1:] for limit in getattr(each, "metadata", [each])]
        return of(args[0], (*limits, *found))
    if origin is Literal:
        return st.sampled_from(args)
    if origin in (Union, types.UnionType):
        return st.one_of([of(each, limits) for each in args])
    if origin is tuple and args[-1] is Ellipsis:
        return st.lists(of(args[0]), min_size=_limit(limits, MinLen, 0), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(of, args))
    if origin is dict:
        return st.dictionaries(of(args[0]), of(args[1]), max_size=2)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return instances(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    return _plain(kind, limits)


def _plain(kind: Any, limits: tuple[Any, ...]) -> Strategy:
    low = _limit(limits, Ge, _limit(limits, Gt, None))
    high = _limit(limits, Le, _limit(limits, Lt, None))
    open_ends = (_limit(limits, Gt, None), _limit(limits, Lt, None))
    if kind is int:
        bounded: Strategy = st.integers(
            -1000 if low is None else low, 1000 if high is None else high
        )
        return bounded.filter(lambda n: n not in open_ends)
    if kind is float:
        bounded = st.floats(-1e6 if low is None else low, 1e6 if high is None else high)
        return bounded.filter(lambda x: x not in open_ends)
    if kind is str:
        return WORD if _limit(limits, MinLen, 0) else TEXT
    plain: dict[Any, Strategy] = {
        bool: st.booleans(),
        date: st.dates(),
        Path: WORD.map(lambda name: Path(name + ".png")),
        types.NoneType: st.none(),
        Any: st.integers(),
    }
    return plain[kind]


def _limit(limits: tuple[Any, ...], kind: type, default: Any) -> Any:
    names = {Ge: "ge", Gt: "gt", Le: "le", Lt: "lt", MinLen: "min_length", MaxLen: "max_length"}
    found = [getattr(limit, names[kind]) for limit in limits if isinstance(limit, kind)]
    return found[0] if found else default
