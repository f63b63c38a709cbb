"""What every resource of the FHIR bundle shares: ids, tags, codings, text.

Resources are plain dicts in FHIR's own key names; `fhir` has them validated as a whole. Ids are
UUIDs of name (RFC 4122, version 5) over the digest of the report and the role of the resource, so
that the same report gives the same bytes and no text of the input can reach an id.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from immunopath.domain.report import CaseReport
from immunopath.guidelines.codes import coded, find_code, find_system
from immunopath.reporting.markdown import escape
from immunopath.reporting.text import cleaned

Json = dict[str, Any]

EXTENSION = "urn:immunopath:extension"
IDENTIFIER = "urn:immunopath:identifier"
_ROOT = uuid5(NAMESPACE_URL, "urn:immunopath:fhir")
_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/+-]{0,127}")
_BLANK = "(blank)"


class Draft:
    """A bundle being filled. Adding a resource gives the reference that others use."""

    def __init__(self, report: CaseReport) -> None:
        digest = hashlib.sha256(report.model_dump_json().encode("utf-8", "surrogatepass"))
        self.namespace = uuid5(_ROOT, digest.hexdigest())
        self.report = cleaned(report)
        """Every string on one line, control characters spelled out."""
        self.raw_ids = (report.case_id, report.patient_id)
        self.entries: list[Json] = []
        self.without_value: set[str] = set()
        """Roles of observations that say why there is no value."""
        self._urls: dict[str, str] = {}

    @property
    def day(self) -> str:
        """The day of the question: the only date of this bundle that no laboratory gave."""
        return self.report.as_of.isoformat()

    def add(self, kind: str, role: str, body: Json, *, shared: str | None = None) -> Json:
        """Add a resource under a role that is unique in the bundle; return its reference.

        shared: a name under which the same thing has the same id in bundles of other reports.
        """
        if role in self._urls:
            raise ValueError(f"role {role!r} is taken")
        found = uuid5(_ROOT, shared) if shared else uuid5(self.namespace, f"{kind}|{role}")
        self._urls[role] = _url(found)
        resource = {"resourceType": kind, "id": str(found), "meta": meta(), **pruned(body)}
        self.entries.append({"fullUrl": self._urls[role], "resource": resource})
        return {"reference": self._urls[role]}

    def has(self, role: str) -> bool:
        """Return True when a resource was added under this role."""
        return role in self._urls

    def ref(self, role: str) -> Json:
        """Return the reference of a resource that was added before."""
        return {"reference": self._urls[role]}

    def refs(self, roles: Sequence[str]) -> list[Json]:
        """Return the references of those roles that exist, once each, in order."""
        return [self.ref(role) for role in dict.fromkeys(roles) if self.has(role)]

    def roles(self, prefix: str) -> list[str]:
        """Return the roles that start with `prefix`, in the order of adding."""
        return [role for role in self._urls if role.startswith(prefix)]

    def bundle(self) -> Json:
        """Return the bundle of all that was added."""
        own = uuid5(self.namespace, "Bundle")
        return {
            "resourceType": "Bundle",
            "id": str(own),
            "meta": meta(),
            "identifier": {"system": "urn:ietf:rfc:3986", "value": _url(own)},
            "type": "collection",
            "entry": self.entries,
        }


def _url(found: UUID) -> str:
    return f"urn:uuid:{found}"


def meta() -> Json:
    """Return the tag and the label that mark every resource as research, never as care."""
    label = find_code("research_use")
    tag = local_coding("ours_tag", "research-use") | {"display": label.display if label else ""}
    return {"security": codings("healthcare_research"), "tag": [tag]}


def codings(*keys: str) -> list[Json]:
    """Return the codings of those keys that are verified; the others are left to the text."""
    found = (coded(key) for key in keys)
    return [{"system": code.system, "code": code.code} for code in found if code]


def local_coding(system: str, code: str) -> Json:
    """Return a coding of this project's own vocabulary, or nothing when `code` is no token."""
    if not _TOKEN.fullmatch(code):
        return {}
    return {"system": find_system(system).uri, "code": code}


def concept(text: str, *found: Json, keys: Sequence[str] = ()) -> Json:
    """Return a CodeableConcept: always a text, codings where there are verified ones."""
    return {"coding": [*codings(*keys), *found], "text": plain(text)}


def plain(text: str) -> str:
    """Return `text` as a FHIR string: never empty, no white space around it."""
    return text.strip() or _BLANK


def note(*texts: str) -> list[Json]:
    """Return annotations. Their text is markdown in FHIR, so markup and HTML are escaped."""
    return [{"text": escape(text.strip())} for text in texts if text.strip()]


def identifier(kind: str, value: str) -> Json:
    """Return an identifier in a namespace of this project."""
    return {"system": f"{IDENTIFIER}:{kind}", "value": plain(value)}


def quantity(value: float, unit_key: str = "") -> Json:
    """Return a Quantity, with a unit only when it is a verified code."""
    found, label = coded(unit_key), find_code(unit_key)
    if found is None or label is None:
        return {"value": decimal(value)}
    unit = {"unit": label.display, "system": found.system, "code": found.code}
    return {"value": decimal(value), **unit}


def decimal(value: float) -> float | int:
    """Return a number for JSON: six decimals at most, whole numbers without a point."""
    rounded = round(float(value), 6)
    return int(rounded) if rounded.is_integer() else rounded


def extension(name: str, **value: object) -> Json:
    """Return an extension of this project with one ``value…`` key."""
    return {"url": f"{EXTENSION}:{name}", **value}


def pruned(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return JSON without empty strings, lists, objects and nulls: FHIR forbids them."""
    if isinstance(value, Mapping):
        kept = {key: pruned(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if not _empty(item)}
    if isinstance(value, list | tuple):
        return [item for item in map(pruned, value) if not _empty(item)]
    return value


def _empty(value: object) -> bool:
    return value is None or (isinstance(value, str | list | dict) and not value)
