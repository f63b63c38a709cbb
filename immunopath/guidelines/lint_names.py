"""Lint: ids are unique and every name that one record uses for another resolves (MP-8)."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from immunopath.domain.guidance import Category
from immunopath.domain.molecular import Gene
from immunopath.guidelines.lint_source import LintProblem, Source, listed, problem
from immunopath.guidelines.schema import RuleSpec, TableFile
from immunopath.guidelines.stages import STAGES

_ENGINE_FLAGS = frozenset({"KNOWLEDGE_STALE", "NO_OPTION_LISTED", "ROUTE_NOT_COVERED"})
"""Flags that the engine itself raises."""


Place = tuple[str, str, str]
"""File, record and check of a problem."""


def unique_ids(source: Source) -> Iterator[LintProblem]:
    """Yield ids that two records share, within a kind; tables by their name."""
    named: list[tuple[str, str]] = [
        (name, f"table {file.table}")
        for name, file in source.files.items()
        if isinstance(file, TableFile)
    ]
    named += [(name, rule.id) for name, _, rule in source.rules()]
    yield from _twice(named)
    for kind, items, key in (
        ("regimens", "regimens", "id"),
        ("references", "references", "key"),
        ("tests", "tests", "code"),
        ("flags", "flags", "code"),
        ("questions", "questions", "id"),
        ("drugs", "drugs", "id"),
    ):
        records = getattr(source.file_of(kind), items)
        yield from _twice([(f"{kind}.yaml", getattr(record, key)) for record in records])
    drugs = [("drugs.yaml", drug.name) for drug in source.file_of("drugs").drugs]
    yield from (p for p in _twice(drugs) if p.record)


def _twice(named: list[tuple[str, str]]) -> Iterator[LintProblem]:
    count = Counter(name for _, name in named)
    for file, name in dict.fromkeys(named):
        if count[name] > 1:
            yield problem(file, name, "unique-ids", f"{name} stands {count[name]} times")


def tables(source: Source) -> Iterator[LintProblem]:
    """Yield tables that a stage of the engine runs and no file holds."""
    for _, names in STAGES:
        yield from _unknown(("", "", "resolves"), "table", names, source.kb.tables)


def resolves(source: Source) -> Iterator[LintProblem]:
    """Yield every name in a rule that no record has."""
    kb = source.kb
    classes = {token for tokens in kb.drug_classes.values() for token in tokens}
    removable = {"ALL", "ICI_MONO", *classes, *kb.drug_classes, *kb.regimens}
    questions = {q.id for q in kb.questions.questions}
    for file, _, rule in source.rules():
        for then in rule.thens:
            reranked = then.rerank.regimens if then.rerank else ()
            for kind, names, known in (
                ("regimen", {*listed(rule), *reranked}, kb.regimens),
                ("test", {*then.tests, *then.advance}, kb.tests),
                ("flag", {*then.flags}, kb.flags),
                ("drug, class or regimen", {*then.remove}, removable),
                ("question", {*then.asks}, questions),
            ):
                yield from _unknown((file, rule.id, "resolves"), kind, names, known)
        place = (file, rule.id, "resolves")
        yield from _unknown(place, "drug, class or regimen", rule.concerns, removable)
        yield from _unknown(place, "reference", rule.references, kb.references)
        yield from _in_conditions(source, file, rule, classes)


def _in_conditions(
    source: Source, file: str, rule: RuleSpec, classes: set[str]
) -> Iterator[LintProblem]:
    """Yield drugs, classes, regimens, flags and tests that a condition compares with."""
    kb = source.kb
    wanted: Mapping[str, tuple[str, Any]] = {
        "option_drugs": ("drug", kb.drug_classes),
        "prior_drugs": ("drug", kb.drug_classes),
        "option_classes": ("class", classes),
        "option_regimens": ("regimen", kb.regimens),
        "prior_regimens": ("regimen", kb.regimens),
        "flags_so_far": ("flag", kb.flags),
        "outstanding": ("test", kb.tests),
    }
    for when in (rule.when, *(case.when for case in rule.cases)):
        for fact, names in _compared(when):
            if fact in wanted:
                kind, known = wanted[fact]
                yield from _unknown((file, rule.id, "resolves"), kind, names, known)


def _compared(when: Mapping[str, Any]) -> Iterator[tuple[str, set[str]]]:
    """Yield each fact of a condition with the words it is compared with."""
    for key, value in when.items():
        if key in {"all", "any"}:
            for item in value:
                yield from _compared(item)
        elif key == "not":
            yield from _compared(value)
        elif key not in {"known", "unknown"}:
            yield key, set(_words(value))


def _words(value: Any) -> Iterator[str]:  # noqa: ANN401 - YAML content
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _words(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _words(item)


def regimens(source: Source) -> Iterator[LintProblem]:
    """Yield regimens without an indication, a resolving reference or curated drugs."""
    kb = source.kb
    for regimen in source.file_of("regimens").regimens:
        place = ("regimens.yaml", regimen.id, "regimens")
        if not regimen.indication.strip():
            yield problem(*place, "no indication")
        if not regimen.references:
            yield problem(*place, "no reference")
        if not regimen.all_drugs():
            yield problem(*place, "no drug")
        for kind, names, known in (
            ("reference", {*regimen.references}, kb.references),
            ("drug", {*regimen.all_drugs()}, kb.drug_classes),
            ("gene", {*regimen.excludes_genes}, {gene.value for gene in Gene}),
        ):
            yield from _unknown(place, kind, names, known)


def other_files(source: Source) -> Iterator[LintProblem]:
    """Yield names that do not resolve in the manifest, genes, staging and discordance files."""
    genes, manifest = source.file_of("genes"), source.file_of("manifest")
    known = {gene.value for gene in Gene}
    used = {*genes.gate, *genes.panel, *genes.adequate_negative, *genes.rna_preferred}
    used |= {gene for definition in genes.drivers.values() for gene in definition}
    yield from _unknown(("genes.yaml", "", "resolves"), "gene", used, known)
    drivers = {*genes.actionable, *genes.truncal, *genes.nonsquamous_only}
    yield from _unknown(("genes.yaml", "", "resolves"), "driver", drivers, genes.drivers)
    for what, found in (
        ("headlines", list(manifest.headlines)),
        ("category_priority", list(manifest.category_priority)),
    ):
        if sorted(found) != sorted(Category):
            yield problem("manifest.yaml", what, "resolves", "not every category stands once")
    references = source.kb.references
    cited = source.file_of("staging").references
    yield from _unknown(("staging.yaml", "", "resolves"), "reference", cited, references)
    for name, rule in source.file_of("discordance").rules.items():
        place = ("discordance.yaml", name, "resolves")
        yield from _unknown(place, "reference", rule.references, references)


def nothing_idle(source: Source) -> Iterator[LintProblem]:
    """Yield active regimens that no rule lists and flags that nothing raises."""
    in_rules = {name for _, _, rule in source.rules() for name in listed(rule)}
    for regimen in source.file_of("regimens").regimens:
        if regimen.status == "active" and regimen.id not in in_rules:
            yield problem(
                "regimens.yaml", regimen.id, "nothing-idle", "active, and no rule lists it"
            )
    raised = {flag for _, _, rule in source.rules() for then in rule.thens for flag in then.flags}
    for flag in source.file_of("flags").flags:
        if flag.code not in raised | _ENGINE_FLAGS:
            yield problem("flags.yaml", flag.code, "nothing-idle", "nothing raises it")


def _unknown(
    place: Place, kind: str, names: Iterable[str], known: Container[str]
) -> Iterator[LintProblem]:
    for name in sorted(set(names)):
        if name not in known:
            yield problem(*place, f"{kind} {name!r} does not exist")
