"""Real H&E that comes with the package, two patches and a slide, and an invented patient."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final


@dataclass(frozen=True)
class Example:
    """An image of `SOURCES.md`.

    mpp: None where the file states it; patient_id: leaves the patient's own patches out of
    retrieval; picture: what a browser can show of a slide.
    """

    name: str
    file: str
    title: str
    mpp: float | None
    patient_id: str
    picture: str = ""

    def content(self) -> bytes:
        """Return the bytes of the image."""
        return files(__name__).joinpath(self.file).read_bytes()

    def shown(self) -> bytes:
        """Return a PNG of it."""
        return files(__name__).joinpath(self.picture or self.file).read_bytes()


EXAMPLES: Final[Mapping[str, Example]] = {
    example.name: example
    for example in (
        Example(
            "lymphocyte-rich", "lung_lymphocyte_rich.png", "Lung, rich in lymphocytes", 0.5,
            "TCGA-05-4244",
        ),
        Example(
            "lymphocyte-poor", "lung_lymphocyte_poor.png", "Lung, poor in lymphocytes", 0.5,
            "TCGA-05-4244",
        ),
        Example(
            "slide", "skin_slide_part.svs", "Part of a slide, of skin: to try picking regions",
            None, "", "skin_slide_part.png",
        ),
    )
}  # fmt: skip

INVENTED: Final[Mapping[str, str]] = {
    "histology": "adenocarcinoma",
    "stage": "IVB",
    "question": "first_line_metastatic",
    "line": "1",
    "age": "64",
    "sex": "male",
    "ecog": "1",
    "smoking": "former",
    "brain_mets": "none",
    "drivers": "all_neg",
    "drivers_method": "NGS_DNA_RNA",
    "pdl1_tps": "60",
    "pdl1_assay": "22C3",
    "pdl1_score_type": "TPS",
    "msi": "MSS",
    "specimen_type": "core",
    "jurisdiction": "US",
}
"""Facts of an invented patient, to try the form with."""
