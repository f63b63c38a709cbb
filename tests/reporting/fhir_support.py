"""Reading a bundle in tests: resources by type, references by target, every coding."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import samples
import samples_guidance

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.guidance import Guidance
from immunopath.domain.outcome import Ok
from immunopath.guidelines.engine import evaluate
from immunopath.reporting.fhir import fhir_bundle
from immunopath.reporting.rendered import RenderedReport

LOINC = "http://loinc.org"


def resources(bundle: dict[str, Any], kind: str = "") -> list[dict[str, Any]]:
    found = [entry["resource"] for entry in bundle["entry"]]
    return [item for item in found if not kind or item["resourceType"] == kind]


def only(bundle: dict[str, Any], kind: str) -> dict[str, Any]:
    (found,) = resources(bundle, kind)
    return found


def by_url(bundle: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["fullUrl"]: entry["resource"] for entry in bundle["entry"]}


def dicts(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object at any depth."""
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from dicts(item)
    elif isinstance(value, list):
        for item in value:
            yield from dicts(item)


def observation(bundle: dict[str, Any], text: str) -> dict[str, Any]:
    """Return the one Observation whose code has this text."""
    (found,) = [r for r in resources(bundle, "Observation") if r["code"]["text"] == text]
    return found


def with_clinical(context: ClinicalContext, **change: Any) -> RenderedReport:
    """Return the full sample with these facts and the tables' real answer to them."""
    answer = evaluate(context, as_of=change.pop("as_of", date(2026, 7, 1)))
    update = {"clinical": context, "guidance": Ok[Guidance](value=answer)} | change
    return samples.full().model_copy(update=update)


def bundle_of(context: ClinicalContext) -> dict[str, Any]:
    return fhir_bundle(with_clinical(context))


def with_guidance(answer: Guidance) -> dict[str, Any]:
    return fhir_bundle(samples.full().model_copy(update={"guidance": Ok[Guidance](value=answer)}))


MONO = samples_guidance.MONO
