"""Reads a user's clinical YAML file: safe, bounded, strict. Absent keys stay unknown."""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from immunopath.domain.clinical import ClinicalContext, InputProblem
from immunopath.domain.errors import CaseFileError
from immunopath.domain.files import read_bounded, require_file
from immunopath.guidelines.pdl1 import parse_tps
from immunopath.guidelines.vocabulary import parse_inputs

MAX_BYTES = 256 * 1024
"""A case file is a page; anything larger is a mistake or an attack."""


class StrictLoader(yaml.SafeLoader):
    """Plain data only: no tags, no aliases, no duplicate keys, no numbers but decimal ones.

    YAML 1.1 reads ``060`` as 48 and ``1:00`` as 60; a TPS of either kind is a mistake to name.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 - PyYAML's own types
        """Refuse aliases: they can expand without bound."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.events.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed", None)
        if getattr(event, "tag", None) is not None:
            raise yaml.composer.ComposerError(None, None, "tags are not allowed", event.start_mark)
        return super().compose_node(parent, index)

    def construct_yaml_int(self, node: Any) -> int:  # noqa: ANN401
        """Refuse octal, hexadecimal, binary and sexagesimal numbers."""
        text = str(self.construct_scalar(node))
        if not _DECIMAL.fullmatch(text):
            raise yaml.constructor.ConstructorError(
                None, None, f"{text[:40]!r} is not a plain decimal number", node.start_mark
            )
        return int(text)

    def construct_yaml_float(self, node: Any) -> float:  # noqa: ANN401
        """Refuse sexagesimal numbers."""
        text = str(self.construct_scalar(node))
        if ":" in text or "_" in text:
            raise yaml.constructor.ConstructorError(
                None, None, f"{text[:40]!r} is not a plain decimal number", node.start_mark
            )
        return super().construct_yaml_float(node)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:  # noqa: ANN401
        """Refuse duplicate keys."""
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable) or key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} appears twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


_LONE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
StrictLoader.add_constructor("tag:yaml.org,2002:int", StrictLoader.construct_yaml_int)
StrictLoader.add_constructor("tag:yaml.org,2002:float", StrictLoader.construct_yaml_float)


def read_yaml(path: Path) -> object:
    """Return the content of a YAML file; raises `CaseFileError` with one line and the file name."""
    try:
        require_file(path, "a YAML file")
        if path.stat().st_size > MAX_BYTES:
            raise CaseFileError(f"{path}: larger than {MAX_BYTES // 1024} KiB, not a case file")
        text = read_bounded(path, MAX_BYTES).decode("utf-8")
    except OSError as error:
        raise CaseFileError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CaseFileError(f"{path}: not UTF-8 text") from error
    return yaml_of(text, path)


def yaml_of(text: str, path: Path) -> object:
    """Return the content of YAML `text`; `path` is what a `CaseFileError` names as its origin."""
    if _LONE_SURROGATE.search(text):
        raise CaseFileError(f"{path}: holds an escape of half a character (\\uD800 to \\uDFFF)")
    try:
        return yaml.load(text, Loader=StrictLoader)  # noqa: S506 - a SafeLoader, stricter
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise CaseFileError(f"{path}: not valid YAML: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error) or type(error).__name__
    where = f" (line {mark.line + 1})" if mark is not None else ""
    return f"{' '.join(str(problem).split())}{where}"


def load_clinical(path: Path | str) -> ClinicalContext:
    """Return the clinical context of a case file in the vocabulary of `vocabulary.KEYS`.

    Raises `CaseFileError` (one line, with the file's name) on unknown keys, wrong types,
    impossible values, duplicate keys, aliases, or a file that is not a mapping.
    """
    file = Path(path)
    return clinical_of(file, read_yaml(file))


def clinical_of(file: Path, content: object) -> ClinicalContext:
    """Return the clinical context that the content of `file` states; raises as `load_clinical`."""
    if not isinstance(content, dict):
        raise CaseFileError(f"{file}: expected 'key: value' lines, e.g. 'histology: squamous'")
    if "pred" in content:
        raise CaseFileError(f"{file}: 'pred' is no clinical fact; remove it")
    try:
        context = parse_inputs(content, defaults=False)
    except CaseFileError as error:
        raise CaseFileError(f"{file}: {error}") from error
    problems = [*context.problems, *_tps_problems(context)]
    if problems:
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise CaseFileError(f"{file}: {first.field}: {first.message}{more}")
    return context


def _tps_problems(context: ClinicalContext) -> list[InputProblem]:
    """PDL-1 and PDL-2 at the door of the command line."""
    found: list[InputProblem] = []
    for result in context.pdl1:
        value = result.tps.value
        if value is None:
            continue
        parsed = parse_tps(value)
        if parsed is None or parsed[0] < 0 or parsed[1] > 100:
            text = f"{value!r} is not a percentage from 0 to 100"
            found.append(InputProblem(field="pdl1_tps", code="TPS_RANGE", message=text))
        elif result.unit == "missing" and parsed[0] == parsed[1] and 0 < parsed[0] < 1:
            text = f"{value!r} without a unit may be a fraction; state pdl1_unit: percent"
            found.append(InputProblem(field="pdl1_tps", code="TPS_UNIT_AMBIGUOUS", message=text))
    return found
