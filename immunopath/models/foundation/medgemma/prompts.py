"""The prompts that published checkpoints were trained or shown with: constants, never edited.

A prompt that changes is a new entry with a new id. The texts are those of the published project
(model card of the v3.1 adapter; its data notebooks for v3.1 and v2, MIT licence) and are kept
to the byte, because an adapter answers the prompt that it was trained with.
"""

import hashlib
from typing import Final

from pydantic import computed_field

from immunopath.domain.base import Frozen
from immunopath.domain.errors import EngineSpecError

CANCER_TYPE: Final = "{cancer_type}"


class Prompt(Frozen):
    """One user turn; images stand before the text.

    `text` may hold ``{cancer_type}`` once. No other brace is special.
    """

    id: str
    text: str
    origin: str

    @computed_field  # type: ignore[prop-decorator]
    @property
    def digest(self) -> str:
        """Return the SHA-256 of the text before anything is filled in."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def asks_cancer_type(self) -> bool:
        """Return whether the text names the cancer type."""
        return CANCER_TYPE in self.text

    def filled(self, cancer_type: str | None) -> str:
        """Return the text for one case; an unknown cancer type reads ``lung cancer``."""
        return self.text.replace(CANCER_TYPE, cancer_type or UNKNOWN_CANCER_TYPE)


UNKNOWN_CANCER_TYPE: Final = "lung cancer"
CANCER_TYPES: Final = {
    "adenocarcinoma": "lung adenocarcinoma",
    "squamous": "lung squamous cell carcinoma",
}
"""What the v2 and v3.1 runs called the two histologies that they were trained on."""

CARD: Final = Prompt(
    id="card-v1",
    origin="model card of the v2 and v3.1 adapters",
    text="""\
Analyze this H&E histopathology patch from a lung cancer biopsy.
Predict the tumor immune microenvironment and return a JSON object with these fields:
- cd274_expression: "high" or "low"
- msi_status: "MSI-H" or "MSS"
- tme_subtype: one of "IE", "IE/F", "F", "D"
- til_fraction: float 0-1
- til_density: "high", "moderate", or "low"
- immune_phenotype: "inflamed", "excluded", or "desert"
- cd8_infiltration: "high", "moderate", or "low"
- immune_score: float 0-1""",
)

V31_RUN: Final = Prompt(
    id="v3.1-run",
    origin="training data of the v3.1 adapter",
    text="""\
Analyze these H&E-stained histopathology images from a {cancer_type} tumor.

Extract the following **H&E-inferred immune signals** as a *research* output (not diagnostic):
1. **CD274 (PD-L1) RNA proxy level** (high/low)
2. **MSI status** (MSI-H or MSS)
3. **TIL fraction** (0.0-1.0) + density bucket (low/moderate/high)
4. **TME subtype** (IE / IE/F / F / D)
5. **Immune phenotype** (inflamed/excluded/desert)
6. **CD8+ T-cell infiltration** (low/moderate/high)
7. **Overall immune score** (0.0-1.0)

Rules:
- If a field is not inferable, output "unknown".
- CD274 is an RNA proxy — NOT clinical PD-L1 IHC TPS.

Provide your analysis as a JSON object.""",
)

V2_RUN: Final = Prompt(
    id="v2-run",
    origin="training data of the v2 adapter",
    text="""\
Analyze these H&E histopathology patches from a {cancer_type} biopsy.

Predict the tumor immune microenvironment as JSON:
- cd274_expression: "high" or "low" (RNA proxy, not IHC)
- msi_status: "MSI-H" or "MSS"
- tme_subtype: "IE", "IE/F", "F", or "D"
- immune_phenotype: "inflamed", "excluded", or "desert"
- cd8_infiltration: "low", "moderate", or "high"
- til_density: "low", "moderate", or "high"
- til_fraction: float 0.0-1.0
- immune_score: float 0.0-1.0

Output ONLY the JSON object.""",
)

PROMPTS: Final = {prompt.id: prompt for prompt in (CARD, V31_RUN, V2_RUN)}


def prompt_of(name: str) -> Prompt:
    """Return a shipped prompt; raises `EngineSpecError` for an unknown id."""
    try:
        return PROMPTS[name]
    except KeyError:
        raise EngineSpecError(
            f"prompt {name!r} does not exist; choose {', '.join(PROMPTS)}"
        ) from None
