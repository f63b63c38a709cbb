"""What engines see in the image, as rows and cards. Nothing here may look like a measurement."""

from dataclasses import replace

from immunopath.domain.finding import TrustRow
from immunopath.domain.prediction import (
    BiomarkerProfile,
    Morphometry,
    Quantity,
)
from immunopath.domain.report import CaseReport
from immunopath.reporting.card_view import (
    MEASUREMENT,
    field_card,
    interval_text,
    phenotype_card,
    value_text,
)
from immunopath.reporting.document import Cards as CardBlock
from immunopath.reporting.document import Grid, Pair, Section
from immunopath.reporting.text import number
from immunopath.reporting.words import field_name

AGREEMENT = (
    "Opinions of the engines, field by field; that they agree is weak evidence "
    "(their errors correlate, see docs/evidence.md)"
)
_INTERVAL = (
    "The {}interval covers sampling and the stated correction, not classifier error or the choice "
    "of field."
)
_NO_STIL = "The share of nuclei is not the stromal TIL score (sTIL)."


def summary_notes(profile: BiomarkerProfile) -> str:
    """Return what the numbers of the predicted box do not mean; said once, beside it."""
    found = profile.til_fraction
    if found.abstained:
        return ""
    said = []
    if found.interval is not None and found.source.kind == MEASUREMENT:
        cover = "" if found.coverage is None else f"{100 * found.coverage:g} % "
        said.append(_INTERVAL.format(cover))
    if found.quantity == Quantity.lymphocyte_share_of_nuclei:
        said.append(_NO_STIL)
    return " ".join(said)


def predicted_rows(profile: BiomarkerProfile) -> tuple[Pair, ...]:
    """Return the rows of the predicted box in contract order, abstentions together at the end."""
    rows = tuple(
        Pair(field_name(key), value_text(field), interval_text(field))
        for key, field in profile.items()
        if not field.abstained
    )
    silent = tuple(field_name(key) for key, field in profile.items() if field.abstained)
    return (*rows, Pair("Abstains", ", ".join(silent), known=False)) if silent else rows


def trust_note(trust: tuple[TrustRow, ...]) -> str:
    """Return one sentence on which fields passed the trust gate."""
    if not trust:
        return "The trust gate was not evaluated."
    trusted = tuple(field_name(row.field) for row in trust if row.informative)
    if not trusted:
        return "Trust gate: no field is informative; none takes part in triage."
    return f"Trust gate: only {', '.join(trusted)} passed; the others take no part in triage."


def prediction_section(report: CaseReport) -> Section:
    """Return the section with one card per field and the second opinion on the phenotype."""
    gate = {row.field: row for row in report.trust}
    cards = tuple(field_card(key, field, gate.get(key)) for key, field in report.profile.items())
    shared = tuple(row for row in cards[0].lines if all(row in card.lines for card in cards))
    fields = tuple(
        replace(card, lines=tuple(row for row in card.lines if row not in shared)) for card in cards
    )
    return Section(
        "predictions",
        "Predictions in detail",
        (CardBlock((*fields, phenotype_card(report)), shared),),
        "Read from the image by the engines named. Not results: confirm with a validated assay.",
    )


def morphometry_rows(counts: Morphometry) -> tuple[Pair, ...]:
    """Return what was counted, with units."""
    per_mm2 = (
        ("Lymphocyte-like nuclei per mm² of tissue", counts.lymphocytes_per_mm2),
        ("… per mm² inside nests", counts.lymphocytes_per_mm2_in_nests),
        ("… per mm² outside nests", counts.lymphocytes_per_mm2_outside),
    )
    rows = [
        Pair("Nuclei", str(counts.n_nuclei)),
        Pair("Lymphocyte-like nuclei", str(counts.n_lymphocytes)),
        Pair("Tissue", f"{counts.tissue_mm2:.3f} mm²"),
        *(_optional(label, value) for label, value in per_mm2),
        _optional("Share of nuclei as counted", counts.raw_share),
        _optional("Share of nuclei after correction", counts.corrected_share),
        _optional("Median nuclear area", counts.median_nuclear_area_um2, " µm²"),
        _optional("Nests", counts.nest_mm2, " mm²"),
        _optional("Overlap of lymphocytes and nests (Morisita-Horn)", counts.morisita_horn),
        _plausible(counts.mpp_plausible),
    ]
    return tuple(rows)


def _optional(label: str, value: float | None, unit: str = "") -> Pair:
    if value is None:
        return Pair(label, "not determined", known=False)
    return Pair(label, number(value, 3 if "mm²" in unit else 2) + unit)


def _plausible(value: bool | None) -> Pair:
    words = {
        True: "nuclear size fits the resolution",
        False: "nuclear size speaks against the resolution: check µm per pixel",
        None: "not determined",
    }
    return Pair("Resolution check", words[value], known=value is not None)


def agreement_grid(report: CaseReport) -> Grid:
    """Return the agreement table: one row per field and opinion."""
    words = {
        "agree": "agree",
        "disagree": "DISAGREE",
        "single": "one opinion only: nothing is confirmed",
        "none": "no opinion",
    }
    rows = tuple(
        (
            field_name(row.field),
            "; ".join(
                f"{o.engine}: {o.value}"
                if o.value is not None
                else f"{o.engine}: no opinion" + (f" ({o.reason})" if o.reason else "")
                for o in row.opinions
            ),
            words[row.state],
        )
        for row in report.agreement
    )
    return Grid(AGREEMENT, ("Field", "Opinions", "State"), rows)
