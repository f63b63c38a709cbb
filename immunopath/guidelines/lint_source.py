"""The knowledge as the linter reads it: every file against its model, before any table is built.

The loader stops at the first fault and folds records of one id together; the linter must list
every fault and see both records, so it keeps the typed files beside the built knowledge.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from immunopath.domain.base import Frozen
from immunopath.domain.errors import KnowledgeError
from immunopath.guidelines import schema
from immunopath.guidelines.codes import CodeFile
from immunopath.guidelines.consistency import DiscordanceTable
from immunopath.guidelines.loader import Knowledge, build_knowledge
from immunopath.guidelines.predicates import compile_condition
from immunopath.models.embedded.drug_knowledge import DrugFile

KINDS: Mapping[str, type[BaseModel]] = {
    "codes": CodeFile,
    "discordance": DiscordanceTable,
    "drugs": DrugFile,
    "flags": schema.FlagFile,
    "genes": schema.GeneFile,
    "manifest": schema.Manifest,
    "questions": schema.QuestionFile,
    "references": schema.ReferenceFile,
    "regimens": schema.RegimenFile,
    "rules": schema.TableFile,
    "staging": schema.StagingFile,
    "tests": schema.TestFile,
    "trust": schema.TrustFile,
}
"""The model of each kind of file; `docs/schema/knowledge` is exported from here."""

_RULES = "rules_"


class LintProblem(Frozen):
    """One fault of the knowledge."""

    file: str
    record: str
    """The rule, regimen, drug or other record; empty when the file as a whole is meant."""
    check: str
    """A name of `CHECKS`."""
    message: str


def problem(file: str, record: str, check: str, message: str) -> LintProblem:
    """Return a fault, its four parts in their order."""
    return LintProblem(file=file, record=record, check=check, message=message)


@dataclass(frozen=True)
class Source:
    """Files that are each valid, and the knowledge built from them."""

    texts: Mapping[str, str]
    files: Mapping[str, BaseModel]
    kb: Knowledge

    def rules(self) -> Iterator[tuple[str, schema.TableFile, schema.RuleSpec]]:
        """Yield the file name, the table and each rule."""
        for name, file in self.files.items():
            if isinstance(file, schema.TableFile):
                yield from ((name, file, rule) for rule in file.rules)

    def file_of(self, kind: str) -> Any:  # noqa: ANN401 - the model of the kind, see KINDS
        """Return the one file of a kind."""
        return self.files[f"{kind}.yaml"]


def listed(rule: schema.RuleSpec) -> frozenset[str]:
    """Return the regimens that a rule can list."""
    return frozenset(r for then in rule.thens for o in then.options for r in o.regimens)


def kind_of(name: str) -> str:
    """Return the kind of a file by its name."""
    return "rules" if name.startswith(_RULES) else name.removesuffix(".yaml")


def read_source(texts: Mapping[str, str]) -> tuple[Source | None, tuple[LintProblem, ...]]:
    """Return the typed files, or None and every reason why there are none."""
    problems: list[LintProblem] = []
    files: dict[str, BaseModel] = {}
    for name in sorted(texts):
        try:
            files[name] = _validated(name, texts[name])
        except _FileFault as fault:
            problems += fault.problems
    missing = {f"{kind}.yaml" for kind in KINDS if kind != "rules"} - set(texts)
    problems += [
        LintProblem(file=name, record="", check="files", message="the file is missing")
        for name in sorted(missing)
    ]
    problems += _conditions(files)
    if problems:
        return None, tuple(problems)
    try:
        return Source(texts, files, build_knowledge(texts)), ()
    except (KnowledgeError, KeyError) as error:
        message = f"the tables cannot be built: {error}"
        return None, (LintProblem(file="", record="", check="files", message=message),)


class _FileFault(Exception):
    """A file that cannot be read; carries its problems."""

    def __init__(self, *problems: LintProblem) -> None:
        super().__init__()
        self.problems = problems


def _validated(name: str, text: str) -> BaseModel:
    model = KINDS.get(kind_of(name))
    if model is None:
        raise _FileFault(_fault(name, "", "no kind of file has this name"))
    try:
        content = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except yaml.YAMLError as error:
        raise _FileFault(_fault(name, "", f"not YAML: {' '.join(str(error).split())}")) from error
    if not isinstance(content, dict):
        raise _FileFault(_fault(name, "", "does not hold a mapping"))
    wanted = kind_of(name)
    if "kind" in content and content["kind"] != wanted:
        raise _FileFault(_fault(name, "", f"kind is {content['kind']!r}, not {wanted!r}"))
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise _FileFault(*_invalid(name, content, error)) from error


def _invalid(name: str, content: Any, error: ValidationError) -> list[LintProblem]:  # noqa: ANN401
    return [
        LintProblem(
            file=name,
            record=_record(content, fault["loc"]),
            check="schema",
            message=f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}",
        )
        for fault in error.errors()
    ]


def _record(content: Any, place: tuple[int | str, ...]) -> str:  # noqa: ANN401
    """Return the id of the record that a fault lies in: its own, or its key in a mapping."""
    if len(place) > 1 and isinstance(place[1], str):
        return place[1]
    for part in place[:2]:
        try:
            content = content[part]
        except (KeyError, IndexError, TypeError):
            return ""
    if not isinstance(content, dict):
        return ""
    return str(next((content[k] for k in ("id", "key", "code") if k in content), ""))


def _fault(name: str, record: str, message: str) -> LintProblem:
    return problem(name, record, "files", message)


def _conditions(files: Mapping[str, BaseModel]) -> Iterator[LintProblem]:
    """Yield the conditions that do not compile."""
    for name, file in files.items():
        for rule in file.rules if isinstance(file, schema.TableFile) else ():
            for when in (rule.when, *(case.when for case in rule.cases)):
                try:
                    compile_condition(when)
                except (KnowledgeError, AttributeError, TypeError) as error:
                    yield LintProblem(
                        file=name, record=rule.id, check="conditions", message=str(error)
                    )
