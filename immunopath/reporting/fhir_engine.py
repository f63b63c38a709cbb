"""Who made the report: Devices for the software and its engines, and the Provenance.

``Provenance.recorded`` wants an instant; the report knows a day only (`as_of`, no clock is read),
so it is midnight UTC of that day.
"""

from immunopath.domain.provenance import Provenance
from immunopath.reporting.fhir_base import Draft, Json, concept, identifier, note, plain
from immunopath.reporting.text import plain_name


def add_software(draft: Draft) -> None:
    """Add the Device that stands for this package, with its versions."""
    made = draft.report.provenance
    versions = {
        "package": made.package_version,
        "schema": made.schema_version,
        "knowledge": made.knowledge_version,
        "atlas": made.atlas_id,
    }
    body = {
        "status": "active",
        "deviceName": [{"name": "ImmunoPath", "type": "model-name"}],
        "type": concept("research software"),
        "version": _versions(versions),
        "note": note(draft.report.research_use),
    }
    draft.add("Device", "software", body)


def add_engine(draft: Draft, source: Provenance) -> Json:
    """Add the Device of an engine once; return its reference."""
    digests = {
        "revision": source.revision,
        "weights sha256": source.weights_digest,
        "prompt sha256": source.prompt_digest,
        "knowledge": source.knowledge_version,
    }
    role = f"engine/{source.engine}/{'/'.join(str(value) for value in digests.values())}"
    if draft.has(role):
        return draft.ref(role)
    body = {
        "status": "active",
        "deviceName": [{"name": plain(source.engine), "type": "model-name"}],
        "type": concept(f"engine, {plain_name(source.kind)}"),
        "version": _versions(digests),
        "parent": draft.ref("software"),
    }
    return draft.add("Device", role, body)


def _versions(found: dict[str, str | None]) -> list[Json]:
    return [
        {"type": concept(name), "value": plain(value)} for name, value in found.items() if value
    ]


def add_provenance(draft: Draft) -> None:
    """Add where everything in the bundle came from, by digest."""
    made = draft.report.provenance
    sources = {
        "input-sha256": made.input_digest,
        "configuration-sha256": made.configuration_digest,
        "knowledge-version": made.knowledge_version,
        "atlas": made.atlas_id,
    }
    named = [{"identifier": identifier(kind, value)} for kind, value in sources.items() if value]
    targets = [role for role in draft.roles("") if not role.startswith(("software", "engine/"))]
    body = {
        "target": draft.refs(targets),
        "occurredDateTime": draft.day,
        "recorded": f"{draft.day}T00:00:00Z",
        "activity": concept("research report made from H&E images and stated facts"),
        "agent": [{"type": concept("assembler"), "who": draft.ref("software")}],
        "entity": [
            {"role": "source", "what": what}
            for what in (*named, *draft.refs(draft.roles("image/")))
        ],
    }
    draft.add("Provenance", "provenance", body)
