"""TCGA barcodes of every length, from the participant down to the aliquot or the slide.

Grammar: ``TCGA-TSS-participant[-sample vial[-portion analyte[-plate-center]]]`` for molecular
material, ``…-sample vial-portion-slide`` (``TS1``, ``BS2``, ``MS1``, ``DX1``) for slides. The
documentation of the NCI's Genomic Data Commons lists the codes.
"""

import re
from typing import Final, Literal

from immunopath.domain.base import Frozen
from immunopath.domain.errors import CohortError

Level = Literal["participant", "sample", "portion", "analyte", "slide", "aliquot"]
SlideKind = Literal["DX", "TS", "MS", "BS"]

SAMPLE_TYPES: Final[dict[str, str]] = {
    "01": "primary solid tumour",
    "02": "recurrent solid tumour",
    "03": "primary blood-derived cancer",
    "04": "recurrent blood-derived cancer, marrow",
    "05": "additional new primary",
    "06": "metastasis",
    "07": "additional metastasis",
    "08": "human tumour original cells",
    "09": "primary blood-derived cancer, marrow",
    "10": "blood-derived normal",
    "11": "solid tissue normal",
    "12": "buccal cell normal",
    "13": "EBV-immortalised normal",
    "14": "bone marrow normal",
    "15": "sample type 15",
    "16": "sample type 16",
    "20": "control analyte",
    "40": "recurrent blood-derived cancer, blood",
    "50": "cell line",
    "60": "primary xenograft",
    "61": "cell-line-derived xenograft",
    "99": "sample type 99",
}
PRIMARY: Final = "01"
_NORMAL: Final = frozenset({"10", "11", "12", "13", "14"})
_METASTASIS: Final = frozenset({"06", "07"})

_BARCODE = re.compile(
    r"TCGA-(?P<tss>[0-9A-Z]{2})-(?P<participant>[0-9A-Z]{4})"
    r"(?:-(?P<sample>[0-9]{2})(?P<vial>[A-Z])?"
    r"(?:-(?P<portion>[0-9]{2})"
    r"(?:-(?P<kind>DX|TS|MS|BS)(?P<slide>[0-9A-Z])"
    r"|(?P<analyte>[A-Z])(?:-(?P<plate>[0-9A-Z]{4})(?:-(?P<center>[0-9]{2}))?)?)?)?)?",
    re.ASCII,
)


class Barcode(Frozen):
    """A parsed TCGA barcode; parts that it does not reach are "".

    tss: tissue-source site, the unit of site-preserved splits; sample: sample type code, ``01``
    for the primary tumour; kind: of a slide, ``DX`` diagnostic (formalin-fixed), ``TS``, ``MS``
    and ``BS`` top, middle and bottom section of the frozen portion.
    """

    project: Literal["TCGA"] = "TCGA"
    tss: str
    participant: str
    sample: str = ""
    vial: str = ""
    portion: str = ""
    analyte: str = ""
    plate: str = ""
    center: str = ""
    kind: SlideKind | None = None
    slide: str = ""

    @property
    def patient_id(self) -> str:
        """The first twelve characters, which name the patient."""
        return f"{self.project}-{self.tss}-{self.participant}"

    @property
    def level(self) -> Level:
        """How far down the barcode reaches."""
        if self.kind is not None:
            return "slide"
        if self.plate:
            return "aliquot"
        if self.analyte:
            return "analyte"
        if self.portion:
            return "portion"
        return "sample" if self.sample else "participant"

    @property
    def sample_type(self) -> str:
        """The sample type in words; "" for a participant."""
        return SAMPLE_TYPES.get(self.sample, f"sample type {self.sample}") if self.sample else ""

    @property
    def is_primary(self) -> bool:
        """True for the primary solid tumour (01)."""
        return self.sample == PRIMARY

    @property
    def is_normal(self) -> bool:
        """True for normal tissue or blood (10 to 14)."""
        return self.sample in _NORMAL

    @property
    def is_metastasis(self) -> bool:
        """True for a metastasis (06, 07)."""
        return self.sample in _METASTASIS

    def __str__(self) -> str:
        """The barcode as it is written."""
        slide = f"{self.kind}{self.slide}" if self.kind else self.plate
        parts = (self.sample + self.vial, self.portion + self.analyte, slide, self.center)
        return "-".join((self.patient_id, *filter(None, parts)))


def parse_barcode(text: str) -> Barcode:
    """Parse a whole barcode of any length; raises `CohortError` for anything else."""
    match = _BARCODE.fullmatch(text.strip().upper())
    if match is None:
        raise CohortError(
            f"{text[:60]!r} is no TCGA barcode (TCGA-TSS-participant, then sample, portion, "
            "plate or slide)"
        )
    return _barcode(match)


def is_barcode(text: str) -> bool:
    """True for a whole barcode of any length."""
    return _BARCODE.fullmatch(text.strip().upper()) is not None


def barcode_in(file_name: str) -> Barcode | None:
    """Return the barcode that a file name begins with, as slide files have it; None without one."""
    text = file_name.strip().upper()
    match = _BARCODE.match(text)
    if match is None or text[match.end() : match.end() + 1].isalnum():
        return None
    return _barcode(match)


def patient_key(text: str) -> str:
    """Return the patient that an id names: twelve characters for a TCGA barcode, else `text`.

    ``TCGA-05-4244`` and ``TCGA-05-4244-01A`` are the same patient.
    """
    found = barcode_in(text)
    return text.strip() if found is None else found.patient_id


def _barcode(match: re.Match[str]) -> Barcode:
    return Barcode.model_validate({k: v for k, v in match.groupdict().items() if v is not None})
