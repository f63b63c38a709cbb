"""What made the report: versions, digests and how each agent ended."""

from immunopath.domain.report import CaseReport
from immunopath.reporting.document import Pair, Pairs, Section


def provenance_section(report: CaseReport) -> Section:
    """Return digests of input and configuration, images, and each agent with its engine."""
    made = report.provenance
    rows = [
        Pair("ImmunoPath", made.package_version, f"schema {made.schema_version}"),
        Pair("Input digest", made.input_digest),
        Pair("Configuration digest", made.configuration_digest),
        Pair("Knowledge", made.knowledge_version or "none used"),
        Pair("Atlas", made.atlas_id or "none used"),
    ]
    rows += [
        Pair("Image", shown.name, f"{shown.format}, sha256 {shown.sha256}")
        for shown in report.images
    ]
    for row in report.engines:
        engine = " ".join(part for part in (row.engine, row.revision) if part)
        digest = f"weights {row.weights_digest}" if row.weights_digest else ""
        detail = "; ".join(part for part in (engine, digest, row.reason) if part)
        rows.append(Pair(f"Agent {row.agent}", row.status, detail))
    return Section("provenance", "Provenance", (Pairs(tuple(rows)),))
