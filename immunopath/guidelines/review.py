"""The knowledge as rows for review, and the sign-off sheet (CSV) made of them."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from immunopath.guidelines.loader import Knowledge, build_knowledge, knowledge_texts, parsed
from immunopath.guidelines.schema import Component, Regimen
from immunopath.guidelines.stages import ordered_tables
from immunopath.guidelines.wording import rule_condition, rule_effects

COLUMNS = (
    "kind", "id", "section", "summary", "when", "effect", "strength", "references", "grade",
    "last_reviewed",
)  # fmt: skip
TO_FILL = ("reviewer", "date", "decision (agree/change/remove)", "comment")
"""Left empty: a person fills them in, and only a person."""
_FORMULA = ("=", "+", "-", "@")
_CONTROL = ("\t", "\r", "\n")
_REGIMEN_FILE = "regimens.yaml"
_HISTOLOGY = {"nonsquamous": "non-squamous", "squamous": "squamous"}


@dataclass(frozen=True)
class ReviewRow:
    """One rule or regimen, in words."""

    kind: str
    id: str
    table: str
    section: str
    summary: str
    when: str
    effects: tuple[str, ...]
    strength: str
    references: tuple[str, ...]
    grade: str
    last_reviewed: str
    clinician_review: str


@dataclass(frozen=True)
class Source:
    """The knowledge with what its files say of themselves."""

    kb: Knowledge
    raw: Mapping[str, Mapping[str, Any]]
    """Files by name, as read."""

    def head(self, file: str, key: str) -> str:
        """Return a line of a file's head, or an empty string."""
        return str(self.raw.get(file, {}).get(key, ""))

    def file_of(self, table: str) -> str:
        """Return the file that holds a table."""
        return next((n for n, content in self.raw.items() if content.get("table") == table), "")


def read_source(texts: Mapping[str, str] | None = None) -> Source:
    """Return the knowledge of the given files, by default the shipped ones."""
    found = knowledge_texts() if texts is None else texts
    raw = parsed(found)
    return Source(build_knowledge(found, raw), raw)


def rule_rows(source: Source) -> tuple[ReviewRow, ...]:
    """Return every rule, tables in the order of the stages, rules in the order of their table."""
    rows = []
    for table in ordered_tables(source.kb):
        file = source.file_of(table.name)
        dated = {
            str(item.get("id")): str(item["last_reviewed"])
            for item in source.raw.get(file, {}).get("rules", ())
            if "last_reviewed" in item
        }
        for rule in table.rules:
            spec = rule.spec
            row = ReviewRow(
                kind="rule",
                id=spec.id,
                table=table.name,
                section=table.section,
                summary=spec.summary,
                when=rule_condition(source.kb, spec),
                effects=rule_effects(source.kb, spec),
                strength=spec.strength,
                references=spec.references,
                grade=spec.grade,
                last_reviewed=dated.get(spec.id, source.head(file, "last_reviewed")),
                clinician_review=source.head(file, "clinician_review"),
            )
            rows.append(row)
    return tuple(rows)


def regimen_rows(source: Source) -> tuple[ReviewRow, ...]:
    """Return every regimen of the catalogue."""
    return tuple(
        ReviewRow(
            kind="regimen",
            id=regimen.id,
            table="regimens",
            section=source.head(_REGIMEN_FILE, "section"),
            summary=regimen.name,
            when=regimen_limits(regimen),
            effects=(
                f"drugs: {regimen_drugs(regimen)}",
                f"label: {regimen.indication}",
                f"schedule: {regimen.schedule}",
                f"trial: {regimen.headline}",
            ),
            strength=regimen_status(regimen),
            references=regimen.references,
            grade=regimen.grade,
            last_reviewed=source.head(_REGIMEN_FILE, "last_reviewed"),
            clinician_review=source.head(_REGIMEN_FILE, "clinician_review"),
        )
        for regimen in source.kb.regimens.values()
    )


def regimen_limits(regimen: Regimen) -> str:
    """Return where a regimen may be listed at all."""
    parts = [" or ".join(_HISTOLOGY[h] for h in regimen.histologies), f"{regimen.setting} setting"]
    if regimen.tps_min:
        parts.append(f"TPS at least {regimen.tps_min}")
    if regimen.label_assays:
        parts.append(f"label names the PD-L1 assays {', '.join(regimen.label_assays)}")
    if regimen.excludes_genes:
        parts.append(f"no {'/'.join(regimen.excludes_genes)} alteration known")
    return "; ".join(parts)


def regimen_drugs(regimen: Regimen) -> str:
    """Return the components; drugs that may replace each other are joined by ``or``."""
    return " + ".join(_component(part) for part in regimen.components)


def _component(part: Component) -> str:
    if isinstance(part, dict):
        return " / ".join(f"{' or '.join(d)} ({_HISTOLOGY[h]})" for h, d in part.items())
    return " or ".join(part)


def regimen_status(regimen: Regimen) -> str:
    """Return the regulatory state; a regimen that is not active can never be listed."""
    listed = "" if regimen.status == "active" else "; pending, unverified: never listed"
    return f"{regimen.regulatory}{listed}"


def review_sheet(source: Source | None = None) -> str:
    """Return the sign-off sheet: a row per rule and per regimen, four columns left empty."""
    found = source or read_source()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*COLUMNS, *TO_FILL))
    for row in (*rule_rows(found), *regimen_rows(found)):
        writer.writerow((*map(defused, _cells(row)), *("" for _ in TO_FILL)))
    return text.getvalue()


def _cells(row: ReviewRow) -> Iterator[str]:
    yield from (row.kind, row.id, row.section, row.summary, row.when)
    yield "\n".join(row.effects)
    yield from (row.strength, "; ".join(row.references), row.grade, row.last_reviewed)


def defused(cell: str) -> str:
    """Return a cell that no spreadsheet runs as a formula, also behind leading white space."""
    risky = cell.startswith(_CONTROL) or cell.lstrip().startswith(_FORMULA)
    return f"'{cell}" if risky else cell
