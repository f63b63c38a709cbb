"""The linter of the knowledge files: what a reviewer cannot see by reading one table.

`lint` lists every fault; an empty tuple means that every check of `CHECKS` that could run found
nothing. A check that could not run is in `skipped` or `waiting`, never silently passed.
"""

import operator
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import groupby
from types import MappingProxyType

from immunopath.guidelines import lint_drugs, lint_names, lint_rules
from immunopath.guidelines.codes import code_problems
from immunopath.guidelines.grid import check_grids
from immunopath.guidelines.lint_source import LintProblem, Source, read_source
from immunopath.guidelines.loader import knowledge_texts

__all__ = ["CHECKS", "LintProblem", "lint", "skipped", "waiting"]

CHECKS: Mapping[str, str] = MappingProxyType(
    {
        "files": "every file is there, is YAML and has a known kind",
        "schema": "every file obeys its model; unknown keys are refused",
        "conditions": "every condition compiles",
        "unique-ids": "no two tables, rules, regimens, references, tests, flags, questions or "
        "drugs share an id",
        "resolves": "every name that a rule or a file uses for another record exists",
        "regimens": "every regimen has an indication, a reference that resolves and curated drugs",
        "nothing-idle": "every active regimen is listed by a rule and every flag is raised",
        "facts-exist": "conditions and questions use facts that something sets",
        "reviewed": "every file has a day of review, every rule a section, a summary, a strength",
        "predictions-read": "no rule outside section 3 reads a prediction (MP-10)",
        "predictions-inert": "a rule on predictions only orders tests and raises flags (P-1)",
        "pending": "nothing pending, unverified or graded ? is reachable from a rule",
        "wording": "no text about options sounds like an order or a promise (RG-6)",
        "synonyms": "no name is shared by two drugs",
        "drug-records": "drug facts are there; ids and structures claim no more than is known",
        "structures": "every SMILES gives the stored InChIKey (needs RDKit)",
        "codes": "codes are unique and pass their check digit",
        "grid": "tables are complete and free of overlap on the enumerated grids (MP-11)",
    }
)
"""Name to meaning, in the order in which they run. References and grades are part of `schema`."""

Check = Callable[[Source], Iterator[LintProblem]]
_STATIC: tuple[tuple[str, Check], ...] = (
    ("unique-ids", lint_names.unique_ids),
    ("resolves", lint_names.tables),
    ("resolves", lint_names.resolves),
    ("resolves", lint_names.other_files),
    ("regimens", lint_names.regimens),
    ("nothing-idle", lint_names.nothing_idle),
    ("reviewed", lint_rules.reviewed),
    ("predictions-read", lint_rules.predictions_read),
    ("predictions-inert", lint_rules.predictions_inert),
    ("pending", lint_rules.pending),
    ("wording", lint_rules.wording),
    ("synonyms", lint_drugs.synonyms),
    ("drug-records", lint_drugs.records),
    ("structures", lint_drugs.structures),
)
_RUNNING: tuple[tuple[str, Check], ...] = (
    ("facts-exist", lint_rules.facts_exist),
    ("facts-exist", lint_rules.questions),
)
"""Checks that run the tables, which needs every name to resolve."""
_NEEDED = frozenset({"unique-ids", "resolves", "regimens"})
_READING = frozenset({"files", "schema", "conditions"})


def lint(
    texts: Mapping[str, str] | None = None,
    *,
    only: Collection[str] | None = None,
    grid_step: int = 1,
) -> tuple[LintProblem, ...]:
    """Return every fault of the knowledge texts (the shipped ones by default).

    ``only`` names checks of `CHECKS` to run; reading the files always runs, and faults there
    leave little for the other checks to look at. With ``grid_step`` n, the grid looks at every
    n-th cell: exhaustive (and about a minute long) is 1.
    """
    given = knowledge_texts() if texts is None else texts
    source, problems = read_source(given)
    wanted = set(CHECKS if only is None else only)
    found = list(problems)
    found += _codes(given) if "codes" in wanted else ()
    if source is not None:
        found += _checked(source, wanted, grid_step)
    return tuple(sorted(dict.fromkeys(found), key=_place))


def skipped() -> dict[str, str]:
    """Return the checks that cannot run here, with the reason."""
    if lint_drugs.rdkit_key() is None:
        return {"structures": "RDKit is not installed"}
    return {}


def waiting(problems: Collection[LintProblem]) -> dict[str, str]:
    """Return the checks that these problems of `lint` kept from running, with the reason."""
    found = {problem.check for problem in problems}
    if found & _READING:
        held = [name for name in CHECKS if name not in _READING | {"codes"}]
        return dict.fromkeys(held, "the files cannot be read")
    if found & _NEEDED:
        return dict.fromkeys((*dict(_RUNNING), "grid"), "another check failed")
    return {}


def _codes(texts: Mapping[str, str]) -> Iterator[LintProblem]:
    for line in code_problems(texts):
        yield LintProblem(file="codes.yaml", record="", check="codes", message=line)


def _checked(source: Source, wanted: set[str], step: int) -> Iterator[LintProblem]:
    """Run the checks; those that run the tables wait until every name resolves."""
    runs = True
    for name, check in _STATIC:
        if name in wanted | _NEEDED:
            problems = list(check(source))
            runs = runs and not (problems and name in _NEEDED)
            yield from problems if name in wanted else ()
    if not runs:
        return
    for name, check in _RUNNING:
        yield from check(source) if name in wanted else ()
    yield from _grid(source, step) if "grid" in wanted else ()


def _grid(source: Source, step: int) -> Iterator[LintProblem]:
    """Yield one problem for all cells of a grid that fail in the same way."""
    violations = check_grids(source.kb, step=step).violations
    key = operator.attrgetter("grid", "check", "detail")
    for (grid, check, detail), group in groupby(sorted(violations, key=key), key=key):
        cells = [violation.cell for violation in group]
        message = f"{check}: {detail}; {len(cells)} cells, e.g. {cells[0]}"
        yield LintProblem(file="", record=f"grid {grid}", check="grid", message=message)


def _place(problem: LintProblem) -> tuple[str, str, str, str]:
    return problem.file, problem.record, problem.check, problem.message
