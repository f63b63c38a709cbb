"""The knowledge as one Markdown page, for a clinician who reviews tables and not code.

Deterministic: the same files give the same page. It carries the version and the date, not the
digest of the files, so that it changes only when something that it shows does.
"""

from collections.abc import Iterable, Iterator

from immunopath.guidelines.citations import citation
from immunopath.guidelines.page_parts import (
    Part,
    discordance_part,
    flags_part,
    genes_part,
    regimens_part,
    staging_part,
    tests_part,
    trust_part,
)
from immunopath.guidelines.page_text import anchor, cell, table
from immunopath.guidelines.review import ReviewRow, Source, read_source, rule_rows
from immunopath.guidelines.schema import Then
from immunopath.guidelines.stages import ordered_tables

COMMAND = "python scripts/export_guidelines.py"

_TITLES = {
    "pdl1": "Reading PD-L1",
    "pdl1_notes": "Notes on PD-L1 results",
    "validation": "Validation",
    "molecular_conflict": "Molecular conflicts",
    "scope": "Scope",
    "urgency": "Urgency and unstated basics",
    "router": "Router",
    "gate_drivers": "Completeness gate, drivers",
    "gate_pdl1": "Completeness gate, PD-L1",
    "driver": "Driver-positive disease",
    "first_line": "First line without a driver",
    "later_line": "Later lines",
    "stage_iii": "Stage III, unresectable",
    "perioperative": "Resectable, before surgery",
    "adjuvant": "After resection",
    "barriers": "Barriers and cautions",
    "ici_excluded": "First line when ICI is excluded",
    "fitness": "Fitness and age",
    "overlay_measured": "Measured overlays",
    "predicted": "Predicted overlay",
    "tests": "Which tests are asked for",
    "triage": "Triage",
}
_LABELS = (
    ("A1", "phase 3 randomised, longer overall survival"),
    ("A2", "phase 3 randomised, longer progression-, event- or disease-free survival"),
    ("B", "single-arm or phase 1-2, by response"),
    ("C", "retrospective, subgroup or consensus"),
    ("FDA-R, FDA-A, OFF", "US regular approval, US accelerated approval, off label in US NSCLC"),
    ("ASCO-S, ASCO-C", "strong or conditional in the ASCO living guidelines"),
    ("P-2, P-3", "a principle of the engine: not tested is not negative; drivers before ICI"),
    ("label", "from the US prescribing information"),
    ("rule", "a step of the procedure, not a claim of evidence"),
)
_READING = """\
* A row applies only when its whole condition is **known** to hold. What nobody measured or stated
  is unknown, and unknown never counts as negative.
* AND and OR in capitals join conditions; words in lower case belong to one condition.
* *First match*: the first row that holds decides. *All rows*: every row that holds applies.
* "rank 1: ..." lists regimens as options, consistent with the row; an option is not an order.
  Filters may remove a listed regimen later.
* "removes: ..." takes drugs, regimens or whole classes out of the options.
* Grade V: seen in a stored public source while the table was written. Grade M: from memory, to be
  verified before any use."""


def guideline_page(source: Source | None = None) -> str:
    """Return the page, with a trailing newline."""
    found = source or read_source()
    parts = [
        *_rule_parts(found),
        regimens_part(found),
        tests_part(found),
        flags_part(found),
        genes_part(found),
        staging_part(found),
        trust_part(found),
        discordance_part(found),
        _classes_part(found),
        _references_part(found),
    ]
    lines = [*_head(found), *_contents(parts)]
    for title, blocks in parts:
        lines += ["", f"## {title}", ""]
        lines += [line for block in blocks for line in (*block, "")]
        lines.pop()
    return "\n".join(lines) + "\n"


def _head(source: Source) -> list[str]:
    manifest = source.kb.manifest
    nccn = manifest.nccn_version_checked or "none"
    rows = [
        ("Version", manifest.version),
        ("Knowledge date", manifest.knowledge_date.isoformat()),
        ("Called stale after", f"{manifest.stale_after_days} days"),
        ("NCCN version checked", nccn),
        ("Rules", str(sum(len(t.rules) for t in source.kb.tables.values()))),
        ("Regimens", str(len(source.kb.regimens))),
    ]
    return [
        "# Guideline tables",
        "",
        "**Not reviewed by a clinician.** " + cell(manifest.research_use),
        "",
        f"Generated from the knowledge files by `{COMMAND}`; changes made here are lost. A sheet "
        "for sign-off: `immunopath guidelines review-sheet -o sheet.csv`.",
        "",
        *table(("", ""), rows),
        "",
        "## How to read the tables",
        "",
        _READING,
        "",
        *table(("Label", "Meaning"), _LABELS),
        "",
        *table(
            ("Category", "In one sentence"),
            [(c.value, manifest.headlines[c]) for c in manifest.category_priority],
        ),
        "",
        "When several categories apply, the one that stands higher in this table is given.",
    ]


def _contents(parts: Iterable[Part]) -> list[str]:
    links = [f"* [{title}](#{anchor(title)})" for title, _ in parts]
    return ["", "## Contents", "", *links]


def _rule_parts(source: Source) -> Iterator[Part]:
    rows: dict[str, list[ReviewRow]] = {}
    for row in rule_rows(source):
        rows.setdefault(row.table, []).append(row)
    for found in ordered_tables(source.kb):
        file = source.file_of(found.name)
        policy = "First match" if found.first_only else "All rows"
        note = (
            f"Section {found.section} of the specification. {policy}. Last reviewed "
            f"{source.head(file, 'last_reviewed')}; clinician review: "
            f"{source.head(file, 'clinician_review') or 'none'}."
        )
        title = _TITLES.get(found.name, found.name.replace("_", " ").capitalize())
        yield title, [[note], table(_RULE_COLUMNS, map(_rule_cells, rows[found.name]))]


_RULE_COLUMNS = ("Rule", "When", "What it does", "Strength", "References", "Grade")


def _rule_cells(row: ReviewRow) -> tuple[str, ...]:
    return (
        f"{row.id}\n{row.summary}",
        row.when,
        "\n".join(row.effects),
        row.strength,
        ", ".join(row.references),
        row.grade,
    )


def _classes_part(source: Source) -> Part:
    """Return the drugs behind each class token that a rule names."""
    tokens = {
        token for t in source.kb.tables.values() for r in t.rules for token in _named(r.spec.thens)
    }
    found = {
        token: [d for d, classes in sorted(source.kb.drug_classes.items()) if token in classes]
        for token in sorted(tokens)
    }
    rows = [(token, ", ".join(drugs)) for token, drugs in found.items() if drugs]
    rows += [("ICI_MONO", "one checkpoint inhibitor and nothing else")]
    rows += [("ALL", "every drug")]
    return "Drug classes that rules remove", [table(("Class", "Drugs"), rows)]


def _named(thens: Iterable[Then]) -> Iterator[str]:
    for then in thens:
        yield from then.remove
        if then.stop_ici:
            yield "ICI"


def _references_part(source: Source) -> Part:
    rows = [(row.key, citation(row), row.grade) for row in source.kb.references.values()]
    return "References", [table(("Key", "Reference", "Grade"), rows)]
