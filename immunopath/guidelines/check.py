"""Runs a file of vignettes (`guidelines.md` 6.1) and says where the engine differs."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from immunopath.domain.base import Frozen
from immunopath.domain.errors import CaseFileError
from immunopath.domain.guidance import Category, Guidance
from immunopath.guidelines.casefile import read_yaml
from immunopath.guidelines.engine import evaluate
from immunopath.guidelines.loader import Knowledge, load_knowledge
from immunopath.guidelines.must_not import MUST_NOT, violates
from immunopath.guidelines.overlay import PredictedFacts, overlay
from immunopath.guidelines.vocabulary import parse_inputs

__all__ = [
    "check_file",
    "check_vignette",
    "load_vignettes",
    "run_inputs",
    "vignettes_of",
    "violates",
]

_PRED_KEYS = frozenset({"cd274", "msi", "tme", "phenotype", "til_fraction", "p", "informative"})


class Expectation(Frozen):
    """What a vignette expects; absent keys are not checked."""

    category: Category | None = None
    rule: str | None = None
    regimens_all: tuple[str, ...] = ()
    regimens_any: tuple[str, ...] = ()
    regimens_none: bool = False
    required_tests: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    must_not: tuple[str, ...] = ()


class Vignette(Frozen):
    """One case with its expectation."""

    id: str
    title: str = ""
    tricky: bool = False
    inputs: dict[str, Any]
    expect: Expectation


class Aspect(Frozen):
    """One checked aspect: passed, or what is wrong."""

    name: str
    passed: bool
    detail: str = ""


class VignetteResult(Frozen):
    """A vignette with its aspects."""

    id: str
    title: str
    tricky: bool
    category: Category
    aspects: tuple[Aspect, ...] = Field(min_length=1)

    @property
    def passed(self) -> bool:
        """True when every aspect passed."""
        return all(aspect.passed for aspect in self.aspects)


def load_vignettes(path: Path) -> tuple[Vignette, ...]:
    """Return the vignettes of a file; raises `CaseFileError` when it is not one."""
    return vignettes_of(path, read_yaml(path))


def vignettes_of(path: Path, content: object) -> tuple[Vignette, ...]:
    """Return the vignettes that the content of a file states; raises as `load_vignettes`."""
    if not isinstance(content, list) or not content:
        raise CaseFileError(f"{path}: expected a list of vignettes with id, inputs and expect")
    found: list[Vignette] = []
    for n, item in enumerate(content, start=1):
        try:
            found.append(Vignette.model_validate(item))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise CaseFileError(f"{path}: vignette {n}: {where}: {first['msg']}") from error
    ids = [v.id for v in found]
    twice = sorted({i for i in ids if ids.count(i) > 1})
    if twice:
        raise CaseFileError(f"{path}: vignette id {twice[0]!r} appears twice")
    return tuple(found)


def check_file(path: Path | str, *, as_of: date) -> tuple[VignetteResult, ...]:
    """Run all vignettes of a file."""
    file = Path(path)
    try:
        return tuple(check_vignette(v, as_of=as_of) for v in load_vignettes(file))
    except CaseFileError as error:
        text = str(error)
        raise CaseFileError(text if str(file) in text else f"{file}: {text}") from error


def check_vignette(vignette: Vignette, *, as_of: date) -> VignetteResult:
    """Evaluate one vignette with the defaults of 6.1 and compare."""
    kb = load_knowledge()
    _check_codes(kb, vignette)
    try:
        guidance = run_inputs(vignette.inputs, as_of=as_of)
    except CaseFileError as error:
        raise CaseFileError(f"vignette {vignette.id}: {error}") from error
    return VignetteResult(
        id=vignette.id,
        title=vignette.title,
        tricky=vignette.tricky,
        category=guidance.category,
        aspects=_aspects(kb, vignette, guidance),
    )


def run_inputs(inputs: Mapping[str, Any], *, as_of: date) -> Guidance:
    """Evaluate vignette inputs: the tables first, then the predicted overlay if there is one."""
    context = parse_inputs(inputs, defaults=True)
    guidance = evaluate(context, as_of=as_of)
    predicted = parse_pred(inputs.get("pred"))
    return guidance if predicted is None else overlay(guidance, predicted)


def parse_pred(block: object) -> PredictedFacts | None:
    """Return the predicted block of a vignette."""
    if block is None:
        return None
    if not isinstance(block, Mapping) or set(block) - _PRED_KEYS:
        raise CaseFileError(f"pred takes the keys {', '.join(sorted(_PRED_KEYS))}")
    names = {
        "cd274": "cd274_expression",
        "msi": "msi_status",
        "tme": "tme_subtype",
        "phenotype": "immune_phenotype",
        "til_fraction": "til_fraction",
    }
    passed = frozenset(f for k, f in names.items() if k in block and block.get("informative"))
    return PredictedFacts(informative=passed, **{k: block[k] for k in names if k in block})


def _check_codes(kb: Knowledge, vignette: Vignette) -> None:
    """An expectation in an unknown code can never fail on its own: refuse it by name."""
    expect = vignette.expect
    tokens = {*MUST_NOT, *kb.regimens}
    rules = {rule.spec.id for table in kb.tables.values() for rule in table.rules}
    checks: Sequence[tuple[str, Sequence[str], Mapping[str, object] | set[str]]] = (
        ("regimen", (*expect.regimens_all, *expect.regimens_any), kb.regimens),
        ("test", expect.required_tests, kb.tests),
        ("flag", expect.flags, kb.flags),
        ("must_not token", expect.must_not, tokens),
        ("rule", (expect.rule,) if expect.rule else (), rules),
    )
    for kind, codes, known in checks:
        for code in codes:
            if code not in known:
                raise CaseFileError(f"vignette {vignette.id}: unknown {kind} {code!r}")


def _aspects(kb: Knowledge, vignette: Vignette, guidance: Guidance) -> tuple[Aspect, ...]:
    expect = vignette.expect
    listed = set(guidance.regimen_ids())
    tests = {test.code for test in guidance.tests}
    found: list[Aspect] = []
    if expect.category is not None:
        same = guidance.category is expect.category
        found.append(_aspect("category", same, f"{guidance.category}, not {expect.category}"))
    if expect.rule is not None:
        fired = guidance.rule_ids()
        found.append(_aspect("rule", expect.rule in fired, f"{expect.rule} not in {fired}"))
    lists = (
        ("regimens_all", expect.regimens_all, listed),
        ("tests", expect.required_tests, tests),
        ("flags", expect.flags, guidance.flag_codes()),
    )
    for name, wanted, have in lists:
        if wanted:
            absent = [code for code in wanted if code not in have]
            found.append(_aspect(name, not absent, f"missing {', '.join(absent)}"))
    if expect.regimens_any:
        hit = bool(listed & set(expect.regimens_any))
        found.append(_aspect("regimens_any", hit, f"none of {', '.join(expect.regimens_any)}"))
    if expect.regimens_none:
        found.append(_aspect("regimens_none", not listed, f"lists {', '.join(sorted(listed))}"))
    if expect.must_not:
        broken = [t for t in expect.must_not if violates(kb, t, vignette.inputs, guidance)]
        found.append(_aspect("must_not", not broken, f"violates {', '.join(broken)}"))
    return tuple(found) or (Aspect(name="category", passed=False, detail="nothing is expected"),)


def _aspect(name: str, passed: bool, detail: str) -> Aspect:
    return Aspect(name=name, passed=passed, detail="" if passed else detail)
