"""Published calls (MSI, microenvironment subtype) from tables as they are downloaded.

Read as they are: the annotation table of Bagaev 2021 (first column unnamed, MFP, MSI), cBioPortal
``data_clinical_sample.txt`` (PATIENT_ID, MSI_SCORE_MANTIS, MSI_SENSOR_SCORE), and any table with a
patient column and columns named as below.
"""

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from immunopath.domain.base import Frozen
from immunopath.domain.errors import CohortError, DuplicatePatient
from immunopath.training.cohort.barcodes import barcode_in, patient_key
from immunopath.training.labels.msi import MsiCall, MsiEvidence, call_msi
from immunopath.training.tables import first_of, number_of, read_table

Tme = Literal["IE", "IE/F", "F", "D"]

PATIENT: Final = ("patient_id", "case", "patient", "submitter_id", "sample", "")
MANTIS: Final = ("msi_mantis", "msi_score_mantis", "mantis")
SENSOR: Final = ("msi_sensor", "msi_sensor_score", "msisensor")
PUBLISHED_MSI: Final = ("msi_status", "msi")
TME: Final = ("mfp", "tme_subtype", "tme")
_TME_WORDS: Final[dict[str, Tme]] = {
    "ie": "IE",
    "ie/f": "IE/F",
    "ie_f": "IE/F",
    "ie-f": "IE/F",
    "f": "F",
    "d": "D",
}


class Calls(Frozen):
    """What is published of one patient; unread: words that mean nothing here, by column."""

    msi: MsiCall
    tme: Tme | None = None
    unread: dict[str, str] = Field(default_factory=dict)


NO_CALLS: Final = Calls(msi=call_msi(MsiEvidence()))


def read_calls(paths: Sequence[Path], only: Container[str] | None = None) -> dict[str, Calls]:
    """Return the calls by patient, gathered from several tables; the first that speaks counts.

    only: patients to read, so that a fault of another cohort in the table stops nothing; None
    reads all. Rows of TCGA samples that are no primary tumour are left out. Raises
    `DuplicatePatient` for a patient with two rows in one table that say different things, and
    `CohortError` for a table without patient column or without any column of calls, and
    when no patient is named at all.
    """
    evidence: dict[str, MsiEvidence] = {}
    subtypes: dict[str, str] = {}
    for path in paths:
        for patient, (msi, tme) in _table(path, only).items():
            known = evidence.get(patient, MsiEvidence())
            evidence[patient] = MsiEvidence(
                published=known.published or msi.published,
                mantis=msi.mantis if known.mantis is None else known.mantis,
                sensor=msi.sensor if known.sensor is None else known.sensor,
            )
            subtypes[patient] = subtypes.get(patient, "") or tme
    if paths and not evidence:
        raise CohortError(f"{', '.join(map(str, paths))}: names no patient of the cohort")
    return {p: _calls(evidence[p], subtypes[p]) for p in sorted(evidence)}


def _calls(msi: MsiEvidence, word: str) -> Calls:
    tme = _TME_WORDS.get(word.lower())
    call = call_msi(msi)
    unread = {"msi": call.unread} if call.unread else {}
    if word and tme is None:
        unread["tme"] = word
    return Calls(msi=call, tme=tme, unread=unread)


def _table(path: Path, only: Container[str] | None) -> dict[str, tuple[MsiEvidence, str]]:
    rows = read_table(path, "a table of published calls")
    columns = rows[0][1]
    patient_at = next((name for name in PATIENT if name in columns), None)
    if patient_at is None:
        raise CohortError(f"{path}: has no patient column ({', '.join(filter(None, PATIENT))})")
    known = (*MANTIS, *SENSOR, *PUBLISHED_MSI, *TME)
    if not any(name in columns for name in known):
        raise CohortError(f"{path}: has no column of calls ({', '.join(known)})")
    found: dict[str, tuple[MsiEvidence, str]] = {}
    lines: dict[str, int] = {}
    for number, row in rows:
        where = f"{path}: line {number}"
        patient = patient_key(row[patient_at])
        if (only is not None and patient not in only) or _other_sample(row[patient_at]):
            continue
        entry = (
            MsiEvidence(
                published=first_of(row, PUBLISHED_MSI),
                mantis=number_of(row, MANTIS, where),
                sensor=number_of(row, SENSOR, where),
            ),
            first_of(row, TME),
        )
        if patient in found and found[patient] != entry:
            raise DuplicatePatient(
                f"{where}: patient {patient} says another thing than on line {lines[patient]}; "
                "keep one row a patient"
            )
        found[patient] = entry
        lines.setdefault(patient, number)
    return found


def _other_sample(text: str) -> bool:
    """True for a TCGA sample that is not the primary tumour."""
    found = barcode_in(text)
    return found is not None and bool(found.sample) and not found.is_primary
