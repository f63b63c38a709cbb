"""The parts of the guideline page that are no rules: regimens, vocabularies, staging, limits."""

import re
from collections.abc import Iterable, Sequence

from immunopath.guidelines.page_text import Block, table
from immunopath.guidelines.review import Source, regimen_drugs, regimen_limits, regimen_status
from immunopath.guidelines.wording import fact_name

Part = tuple[str, Sequence[Block]]

_HOLE = re.compile(r"\{[^}]*\}")
"""A place in a message that the case fills in."""


def regimens_part(source: Source) -> Part:
    """Return the catalogue of regimens."""
    note = [
        "Doses and schedules are reference text, never an order. Only a rule lists a regimen, "
        "and only within these limits."
    ]
    headers = (
        "Regimen", "Drugs", "Within", "US label", "Status", "Schedule", "Trial", "References",
        "Grade",
    )  # fmt: skip
    rows = [
        (
            f"{r.id}\n{r.name}",
            regimen_drugs(r),
            regimen_limits(r),
            r.indication,
            regimen_status(r),
            r.schedule,
            r.headline,
            ", ".join(r.references),
            r.grade,
        )
        for r in source.kb.regimens.values()
    ]
    return "Regimens", [note, table(headers, rows)]


def tests_part(source: Source) -> Part:
    """Return the vocabulary of tests."""
    rows = [
        (t.code, t.name, t.level, t.turnaround, "laboratory" if t.laboratory else "clinic")
        for t in source.kb.tests.values()
    ]
    headers = ("Test", "Name", "Priority", "Turnaround", "Where")
    return "Tests", [["Priority T0 is the most urgent."], table(headers, rows)]


def flags_part(source: Source) -> Part:
    """Return the vocabulary of flags, the serious ones first."""
    order = ("stop", "caution", "info")
    flags = sorted(source.kb.flags.values(), key=lambda flag: order.index(flag.severity))
    rows = [(flag.code, flag.severity, flag.meaning) for flag in flags]
    return "Flags", [table(("Flag", "Severity", "Meaning"), rows)]


def genes_part(source: Source) -> Part:
    """Return which genes gate, which methods exclude, and what counts as a driver."""
    genes = source.kb.genes
    facts = [
        ("Gate genes", ", ".join(genes.gate)),
        ("Panel", ", ".join(genes.panel)),
        ("Fusions of the gate", ", ".join(genes.fusions)),
        ("RNA preferred", ", ".join(genes.rna_preferred)),
        ("Actionable", _named(source, genes.actionable)),
        ("Truncal: two of them together are unusual", _named(source, genes.truncal)),
        ("Actionable in non-squamous disease only", _named(source, genes.nonsquamous_only)),
    ]
    adequate = [(gene, ", ".join(methods)) for gene, methods in genes.adequate_negative.items()]
    drivers = [(name, fact_name(source.kb, f"driver_{name}")) for name in genes.drivers]
    lists = [
        (kind.replace("_", " "), ", ".join(names))
        for found in (genes.comedication, genes.immune_events)
        for kind, names in found.items()
    ]
    return "Genes and drivers", [
        table(("What", "Which"), facts),
        ["A negative counts only by a method of this list."],
        table(("Gene", "Methods that exclude an alteration"), adequate),
        table(("Driver", "Alterations"), drivers),
        ["Words by which interacting drugs and immune-related events are known."],
        table(("Kind", "Words"), lists),
    ]


def _named(source: Source, names: Iterable[str]) -> str:
    return "; ".join(fact_name(source.kb, f"driver_{name}") for name in names)


def staging_part(source: Source) -> Part:
    """Return the stage groups of both editions."""
    staging = source.kb.staging
    small = ", ".join(f"{t} {group}" for t, group in staging.t1_n0.items())
    blocks: list[Block] = [[f"T1 without nodes, both editions: {small}."]]
    for edition, groups in (("AJCC 8", staging.AJCC8), ("AJCC 9", staging.AJCC9)):
        columns = sorted({n for t, row in groups.items() if t != "m" for n in row})
        rows = [(t, *(row.get(n, "") for n in columns)) for t, row in groups.items() if t != "m"]
        spread = ", ".join(f"{m} {group}" for m, group in groups["m"].items())
        blocks += [table((f"{edition}, M0", *columns), rows), [f"{edition}: {spread}."]]
    blocks.append([f"References: {', '.join(staging.references)}; grade {staging.grade}."])
    return "Stage groups", blocks


def trust_part(source: Source) -> Part:
    """Return the limits below which a prediction takes no part in triage, and why."""
    trust = source.kb.trust
    limits = [
        ("Validation", "external"),
        ("Cases in the validation, at least", str(trust.min_n)),
        ("Calibration error, at most", f"{trust.max_ece:g}"),
        ("Out-of-distribution score, at most", f"{trust.max_ood_score:g}"),
        ("Disagreement of tiles, at most", f"{trust.max_tile_disagreement:g}"),
        *((f"Lower bound of {k}, at least", f"{v:g}") for k, v in trust.lower_bounds.items()),
        ("Accuracy above chance, lower bound, at least", f"{trust.multiclass_margin:g}"),
        ("Lower bound of any metric", "above what cancer type and site alone reach, if known"),
    ]
    found = [spec.row() for spec in trust.bayes]
    bayes = [
        (
            r.target,
            *(f"{x:.3g}" for x in (r.prevalence, r.sensitivity, r.specificity, r.ppv, r.npv)),
        )
        for r in found
    ]
    headers = ("Target", "Prevalence", "Sensitivity", "Specificity", "PPV", "NPV")
    return "Trust gate of predictions", [
        [f"A prediction never treats. These limits are {trust.note}."],
        table(("Limit", "Value"), limits),
        ["Why a prediction is no result (Bayes' theorem):"],
        table(headers, bayes),
    ]


def discordance_part(source: Source) -> Part:
    """Return the checks of the engines against each other and against measurements."""
    content = source.raw.get("discordance.yaml", {})
    rows = [
        (
            f"{rule_id}\n{item.get('code', '')}",
            str(item.get("severity", "")),
            _HOLE.sub("...", str(item.get("message", ""))),
            str(item.get("action", "")),
            ", ".join(item.get("references", ())),
            str(item.get("grade", "")),
        )
        for rule_id, item in content.get("rules", {}).items()
    ]
    headers = ("Check", "Severity", "Says", "What to do", "References", "Grade")
    return "Discordance of predictions", [table(headers, rows)]
