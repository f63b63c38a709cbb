"""The way to a guidance: fired rules by stage with their citations, and what is missing."""

from collections.abc import Mapping

from immunopath.domain.guidance import FiredRule, Guidance
from immunopath.guidelines.citations import citation
from immunopath.guidelines.stages import by_stage
from immunopath.reporting.document import Entry, Pair
from immunopath.reporting.text import plain_name


def path_steps(guidance: Guidance) -> dict[str, tuple[Entry, ...]]:
    """Return the fired rules by stage; stages in which no rule fired are absent.

    A reference stands in full where the path cites it first.
    """
    unseen = {row.key: citation(row) for row in guidance.references}
    known = frozenset(unseen)
    grouped = by_stage((rule.table, rule) for rule in guidance.fired)
    return {
        stage: tuple(_rule(rule, known, unseen) for rule in rules)
        for stage, rules in grouped.items()
    }


def _rule(rule: FiredRule, known: frozenset[str], unseen: dict[str, str]) -> Entry:
    tags = (f"section {rule.section}", rule.strength, graded(rule.grade))
    return Entry(
        head=rule.summary,
        mark=rule.rule_id,
        tags=tuple(tag for tag in tags if tag),
        lines=tuple(Pair(key, _cited(key, known, unseen)) for key in rule.references),
    )


def _cited(key: str, known: frozenset[str], unseen: dict[str, str]) -> str:
    if key not in known:
        return "not in the reference list"
    return unseen.pop(key, "cited above")


def graded(grade: str) -> str:
    """Return the words for a source grade."""
    return f"source grade {grade}" if grade else ""


def missing_rows(
    guidance: Guidance, open_results: tuple[Pair, ...] = (), words: Mapping[str, str] | None = None
) -> tuple[Pair, ...]:
    """Return what is rejected, unknown, open, conflicting or stale; it stands before options."""
    names = words or {}
    rows = [Pair("Rejected input", f"{p.field}: {p.message}", p.code) for p in guidance.problems]
    if guidance.missing:
        rows.append(Pair("Unknown", _by_weight(guidance.missing, names), known=False))
    rows += [Pair(f"{r.label} result", r.value, r.detail, known=False) for r in open_results]
    rows += [
        Pair(label, flag.meaning, flag.code)
        for flag in guidance.flags
        if (label := flag_label(flag.code))
    ]
    return tuple(rows)


_ROUTE = ("stage", "histology", "primary_site", "driver", "gene", "tps", "line", "ecog")
_SAFETY = (
    "transplant", "autoimmune", "ild", "ipf", "prednisone", "active_infection", "viral_infection",
    "bleeding", "brain_mets", "docetaxel", "crcl", "lvef", "qtc", "neuropathy", "hearing",
    "pregnancy", "last_ici",
)  # fmt: skip


def _by_weight(missing: tuple[str, ...], names: Mapping[str, str]) -> str:
    """Return the missing facts: what gates the route, then safety, then the rest."""
    route = sorted((m for m in missing if m.startswith(_ROUTE)), key=_route_rank)
    safety = [m for m in missing if m.startswith(_SAFETY) and m not in route]
    rest = [m for m in missing if m not in route and m not in safety]
    parts = (("", route), ("for safety: ", safety), ("also: " if route or safety else "", rest))
    return "; ".join(
        lead + ", ".join(names.get(name, plain_name(name)) for name in group)
        for lead, group in parts
        if group
    )


def _route_rank(name: str) -> int:
    return next(rank for rank, start in enumerate(_ROUTE) if name.startswith(start))


def flag_label(code: str) -> str:
    """Return whether a flag tells of a conflict or of something stale; empty for any other."""
    if code.startswith("DISCORD") or code.endswith("_INCONSISTENT"):
        return "Conflict"
    return "Stale" if "STALE" in code else ""
