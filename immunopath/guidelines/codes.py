"""Codes for exchange with other systems, each with its status (`guidelines.md` section 5).

Only a verified code of a verified system may leave as a coding; for everything else `coded` gives
None and the text alone is sent. Displays are not sent with foreign codes either: a display that is
not the system's own wording is an error for a validator, and a reader has the text.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Literal, NamedTuple, Self

import yaml
from pydantic import model_validator

from immunopath.domain.base import Frozen
from immunopath.domain.errors import KnowledgeError
from immunopath.guidelines.loader import knowledge_texts
from immunopath.guidelines.schema import FileHead

FILE = "codes.yaml"
Status = Literal["verified", "unverified"]
STATUSES = frozenset({"verified", "unverified"})


class CodeSystem(Frozen):
    """A vocabulary and the URI that names it in FHIR."""

    key: str
    uri: str | None
    name: str
    local: bool = False
    """True for this project's own vocabularies."""
    status: Status
    source: str
    note: str = ""


class Code(Frozen):
    """One code. ``code`` None: there is none, or the sources contradict each other."""

    key: str
    system: str
    code: str | None
    display: str
    status: Status
    source: str
    note: str = ""
    profile: str = ""
    """The profile of a guide that uses it; conformance is not claimed."""

    @model_validator(mode="after")
    def _none_is_never_verified(self) -> Self:
        if self.code is None and (self.status == "verified" or not self.note):
            raise ValueError(f"{self.key}: no code is unverified and says why in its note")
        return self


class CodeFile(FileHead):
    """The whole file. Keys are unique and every system resolves."""

    systems: tuple[CodeSystem, ...]
    codes: tuple[Code, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        systems = [system.key for system in self.systems]
        keys = [code.key for code in self.codes]
        doubled = _doubled((*systems, *keys))
        if doubled:
            raise ValueError(f"keys appear twice: {', '.join(doubled)}")
        lost = sorted({code.system for code in self.codes} - set(systems))
        if lost:
            raise ValueError(f"unknown systems: {', '.join(lost)}")
        return self


class Coded(NamedTuple):
    """What may be sent: a verified code with the URI of its system."""

    system: str
    code: str


@cache
def load_codes() -> CodeFile:
    """Return the shipped codes, read once per process; raises `KnowledgeError`."""
    return read_codes(knowledge_texts()[FILE])


def read_codes(text: str) -> CodeFile:
    """Return the codes of a file's text; raises `KnowledgeError` when it is not consistent."""
    try:
        return CodeFile.model_validate(yaml.safe_load(text))
    except (ValueError, yaml.YAMLError) as error:
        raise KnowledgeError(f"{FILE}: {error}") from error


@cache
def _by_key() -> dict[str, Code]:
    return {code.key: code for code in load_codes().codes}


@cache
def _systems() -> dict[str, CodeSystem]:
    return {system.key: system for system in load_codes().systems}


def find_code(key: str) -> Code | None:
    """Return the code with this key, or None."""
    return _by_key().get(key)


def find_system(key: str) -> CodeSystem:
    """Return a vocabulary; raises `KnowledgeError` for an unknown key."""
    if key not in _systems():
        raise KnowledgeError(f"{FILE}: there is no system {key!r}")
    return _systems()[key]


def codes_of(system: str) -> tuple[Code, ...]:
    """Return all codes of a vocabulary, in file order."""
    return tuple(code for code in load_codes().codes if code.system == system)


def coded(key: str) -> Coded | None:
    """Return system URI and code when both are verified, else None: then only text is sent."""
    found = find_code(key)
    if found is None or found.code is None or found.status != "verified":
        return None
    system = find_system(found.system)
    if system.uri is None or system.status != "verified":
        return None
    return Coded(system.uri, found.code)


def loinc_check_digit_ok(code: str) -> bool:
    """Return True when the digit after the hyphen is the mod-10 check digit (Luhn) of a LOINC code.

    Codes of answer lists (``LA…``) and parts (``LP…``) follow another scheme and give False.
    """
    body, hyphen, check = code.partition("-")
    if not (hyphen and body.isascii() and body.isdigit() and len(check) == 1 and check.isdigit()):
        return False
    total = 0
    for place, digit in enumerate(reversed(body)):
        value = int(digit) * (1 if place % 2 else 2)
        total += value - 9 if value > 9 else value
    return (10 - total % 10) % 10 == int(check)


def code_problems(texts: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return what is wrong with the codes, one line each; empty when nothing is.

    Reads the text itself, so that every fault is listed where loading stops at the first.
    """
    text = (knowledge_texts() if texts is None else texts).get(FILE)
    if text is None:
        return (f"{FILE} is missing",)
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return (f"{FILE} is not YAML: {' '.join(str(error).split())}",)
    if not isinstance(content, dict):
        return (f"{FILE} does not hold a mapping",)
    rows = {part: _rows(content.get(part)) for part in ("systems", "codes")}
    found = [f"{FILE}: {part} holds no rows" for part, listed in rows.items() if not listed]
    found += _row_problems([*rows["systems"], *rows["codes"]])
    found += _loinc_problems(rows["codes"])
    known = {str(row.get("key")) for row in rows["systems"]}
    found += [
        f"{FILE}: {row.get('key')}: unknown system {row.get('system')!r}"
        for row in rows["codes"]
        if str(row.get("system")) not in known
    ]
    return tuple(found)


def _rows(value: object) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _row_problems(rows: list[dict[str, Any]]) -> list[str]:
    found = [
        f"{FILE}: key {key} appears twice" for key in _doubled(str(row.get("key")) for row in rows)
    ]
    for row in rows:
        name = row.get("key")
        if row.get("status") not in STATUSES:
            found.append(f"{FILE}: {name}: status is verified or unverified")
        if "code" in row and row["code"] is None and row.get("status") == "verified":
            found.append(f"{FILE}: {name}: a missing code cannot be verified")
    return found


def _loinc_problems(rows: list[dict[str, Any]]) -> list[str]:
    numbers = [str(row["code"]) for row in rows if row.get("system") == "loinc" and row.get("code")]
    found = [
        f"{FILE}: LOINC {number} fails its check digit"
        for number in numbers
        if not number.startswith("LA") and not loinc_check_digit_ok(number)
    ]
    return found + [f"{FILE}: LOINC {number} has two keys" for number in _doubled(numbers)]


def _doubled(names: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    twice: dict[str, None] = {}
    for name in names:
        if name in seen:
            twice[name] = None
        seen.add(name)
    return list(twice)
