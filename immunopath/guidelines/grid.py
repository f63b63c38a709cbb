"""MP-11: the tables are complete and free of overlap on exhaustive grids of facts.

Every cell runs the engine's own `decide` on facts, so the grid tests what cases meet, not a copy
of the tables. Pure: no clock, no randomness; the same knowledge gives the same report.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

from immunopath.domain.base import Frozen
from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.molecular import NEGATIVE
from immunopath.guidelines import grid_axes as axes
from immunopath.guidelines import grid_routes as routes
from immunopath.guidelines.decide import decide
from immunopath.guidelines.facts import empty_case
from immunopath.guidelines.facts_history import history_facts
from immunopath.guidelines.grid_checks import COMMON, Check, Outcome
from immunopath.guidelines.loader import Knowledge, load_knowledge
from immunopath.guidelines.predicates import Value


class Violation(Frozen):
    """A cell in which something does not hold."""

    grid: str
    cell: str
    """The cell's value on each axis, e.g. ``histology=squamous, tps=low``."""
    check: str
    detail: str


class GridReport(Frozen):
    """The result of one grid."""

    name: str
    cells: int
    categories: dict[str, int]
    violations: tuple[Violation, ...]


class GridSummary(Frozen):
    """All grids."""

    grids: tuple[GridReport, ...]

    @property
    def cells(self) -> int:
        """Return the number of cells of all grids."""
        return sum(grid.cells for grid in self.grids)

    @property
    def violations(self) -> tuple[Violation, ...]:
        """Return the violations of all grids."""
        return tuple(v for grid in self.grids for v in grid.violations)

    def sentence(self) -> str:
        """Return ``N cells in M grids, K violations``."""
        return (
            f"{self.cells:,} cells in {len(self.grids)} grids, {len(self.violations):,} violations"
        )


@dataclass(frozen=True)
class Grid:
    """The axes of one route, what all its cells share and what must hold on it alone."""

    name: str
    axes: Mapping[str, axes.Axis]
    shared: Mapping[str, Any]
    check: Check


_EGFR_STATES = axes.only(
    axes.DRIVER, "negative", "unknown", "DR-1", "DR-2", "DR-3", "DR-4", "DR-5", "DR-6", "DR-9",
    "DR-12",
)  # fmt: skip
_FEW_BARRIERS = axes.only(axes.BARRIER, "none", "CI-1", "CI-6", "CI-15")
GRIDS: Mapping[str, Grid] = {
    grid.name: grid
    for grid in (
        Grid(
            "first_line",
            {"histology": axes.HISTOLOGY, "tps": axes.TPS, "driver": axes.DRIVER,
             "ecog": axes.ECOG, "barrier": axes.BARRIER},
            {},
            routes.first_line,
        ),
        Grid(
            "later_line",
            {"histology": axes.HISTOLOGY, "tps": axes.TPS, "driver": axes.DRIVER,
             "ecog": axes.only(axes.ECOG, "1", "2", "3", "4"), "history": axes.HISTORY,
             "barrier": axes.only(axes.BARRIER, "none", "CI-1", "CI-9")},
            {"line": 2},
            routes.later_line,
        ),
        Grid(
            "stage_iii",
            {"histology": axes.HISTOLOGY, "driver": _EGFR_STATES, "crt": axes.CRT,
             "progression": axes.PROGRESSION, "lung": axes.LUNG,
             "ecog": axes.only(axes.ECOG, "1", "2", "4"),
             "barrier": axes.only(axes.BARRIER, "none", "CI-1")},
            {"stage": "IIIB", "resectability": "unresectable", "operated": False},
            routes.stage_iii,
        ),
        Grid(
            "perioperative",
            {"histology": axes.HISTOLOGY, "driver": _EGFR_STATES, "stage": axes.EARLY_STAGE,
             "tps": axes.only(axes.TPS, "neg", "high", "unobtainable"),
             "resectability": axes.RESECTABLE, "ecog": axes.ECOG, "barrier": _FEW_BARRIERS},
            {"operated": False},
            routes.perioperative,
        ),
        Grid(
            "adjuvant",
            {"histology": axes.HISTOLOGY, "driver": _EGFR_STATES, "stage": axes.EARLY_STAGE,
             "tps": axes.only(axes.TPS, "neg", "low", "unobtainable"), "chemo": axes.CHEMO,
             "neoadjuvant": axes.NEOADJUVANT, "ecog": axes.only(axes.ECOG, "1", "3"),
             "barrier": axes.only(axes.BARRIER, "none", "CI-1")},
            {"operated": True, "margin": "R0"},
            routes.adjuvant,
        ),
    )
}  # fmt: skip
"""The five routes that can list a regimen."""


def check_grids(
    kb: Knowledge | None = None, names: tuple[str, ...] = (), *, step: int = 1
) -> GridSummary:
    """Check the named grids (all by default); with ``step`` n, every n-th cell of each only."""
    knowledge = kb or load_knowledge()
    return GridSummary(
        grids=tuple(check_grid(knowledge, GRIDS[n], step=step) for n in names or GRIDS)
    )


def check_grid(kb: Knowledge, grid: Grid, *, step: int = 1) -> GridReport:
    """Decide every cell of a grid and list what does not hold."""
    count = 0
    categories: Counter[str] = Counter()
    violations: list[Violation] = []
    for labels, facts in islice(cells(kb, grid), 0, None, step):
        outcome = Outcome(kb, labels, decide(kb, facts))
        count += 1
        categories[outcome.decision.category.value] += 1
        violations += _violations(grid, outcome)
    return GridReport(
        name=grid.name,
        cells=count,
        categories=dict(sorted(categories.items())),
        violations=tuple(violations),
    )


def _violations(grid: Grid, outcome: Outcome) -> Iterator[Violation]:
    for check in (*COMMON, grid.check):
        for detail in check(outcome):
            yield Violation(
                grid=grid.name,
                cell=", ".join(f"{name}={value}" for name, value in outcome.labels.items()),
                check=check.__name__,
                detail=detail,
            )


def cells(kb: Knowledge, grid: Grid) -> Iterator[tuple[dict[str, str], dict[str, Value]]]:
    """Yield the labels and the base facts of each cell."""
    start = {**_stated(kb), **grid.shared}
    histories = _histories(kb, int(grid.shared.get("line", 1)))
    start |= histories[()]
    for values in product(*(axis.items() for axis in grid.axes.values())):
        facts = dict(start)
        for _, changes in values:
            for name, value in changes.items():
                if name == "all_gate":
                    facts |= dict.fromkeys((f"gene_{g}" for g in kb.genes.gate), value)
                elif name == "regimens":
                    facts |= histories[value]
                else:
                    facts[name] = value
        yield dict(zip(grid.axes, (label for label, _ in values), strict=True)), facts


def _stated(kb: Knowledge) -> dict[str, Value]:
    """Return the facts of an empty case, the stated ones filled in, every panel gene negative."""
    facts = empty_case(kb)
    facts |= axes.STATED
    return facts | dict.fromkeys((f"gene_{g}" for g in (*kb.genes.panel, "NRG1")), NEGATIVE)


def _histories(kb: Knowledge, line: int) -> dict[tuple[str, ...] | None, dict[str, Value]]:
    """Return the facts of each history of the grids, read as a case's history is read."""
    wanted = [(), *(changes["regimens"] for changes in axes.HISTORY.values())]
    found: dict[tuple[str, ...] | None, dict[str, Value]] = {}
    for regimens in wanted:
        given = None if regimens is None else [{"regimen": name} for name in regimens]
        context = ClinicalContext.model_validate({"line": line, "prior_therapies": given})
        found[regimens] = history_facts(kb, context, kb.manifest.knowledge_date)
    return found
