"""Records of the two published ImmunoPath adapters, which have no file of their own.

What they were trained with is read from the published project's code and printed outputs, not from
their model cards, which differ (`docs/decisions.md`). Their known collapse is part of the record.
"""

from typing import Final

from immunopath.domain.prediction import CutPoints, EngineCaution, Quantity
from immunopath.models.foundation.medgemma.prompts import V2_RUN, V31_RUN
from immunopath.models.foundation.medgemma.record import CheckpointRecord

BASE: Final = "google/medgemma-1.5-4b-it"
V31: Final = "hetanshwaghela/immunopath-medgemma-v3.1"
V2: Final = "hetanshwaghela/immunopath-medgemma-v2"

_NO_USE: Final = "Read no value of this engine as evidence for this patient."
_RESOLUTION: Final = EngineCaution(
    code="TRAINED_ON_MIXED_RESOLUTION",
    severity="caution",
    message="The adapter was trained on 512 px patches of 0.25 µm/px (40x slides) mixed with 0.5 "
    "µm/px (20x slides); it is shown 0.25 µm/px here, while its card says 0.5.",
    action="Give mpp=0.5 to follow the card instead; neither is what it saw throughout.",
)

PUBLISHED: Final = {
    V31: CheckpointRecord(
        base=BASE,
        prompt=V31_RUN.id,
        prompt_digest=V31_RUN.digest,
        images=2,
        format="indented",
        quantity=Quantity.rna_score_minmax.value,
        cut_points=CutPoints(low=0.310, high=0.522),
        mpp=0.25,
        cautions=(
            EngineCaution(
                code="CHECKPOINT_COLLAPSED",
                severity="serious",
                message="The v3.1 adapter answers nearly a constant: in its own test set it called "
                "93 of 94 patients CD274 low and 90 of 91 TME class D, below always saying D; its "
                "loss equals the entropy of the labels, so no use of the image is shown.",
                action=_NO_USE,
            ),
            _RESOLUTION,
        ),
    ),
    V2: CheckpointRecord(
        base=BASE,
        prompt=V2_RUN.id,
        prompt_digest=V2_RUN.digest,
        images=4,
        format="single_line",
        keys=(
            "cd274_expression",
            "msi_status",
            "tme_subtype",
            "immune_phenotype",
            "cd8_infiltration",
            "til_density",
            "til_fraction",
            "immune_score",
        ),
        quantity=Quantity.rna_score_sigmoid.value,
        cut_points=CutPoints(low=0.378, high=0.622),
        mpp=0.25,
        cautions=(
            EngineCaution(
                code="CHECKPOINT_COLLAPSED",
                severity="serious",
                message="The v2 adapter gave eight different patches the same class in every "
                "field; its TME accuracy (0.25) is below the most frequent class (0.36) and its "
                "CD274 balanced accuracy (0.56, 0.46 to 0.67) does not exclude guessing.",
                action=_NO_USE,
            ),
            _RESOLUTION,
        ),
    ),
}
"""By hub id, lower case."""
SHORT_NAMES: Final = {"v3.1": V31, "v2": V2}
"""What ``record=`` takes beside a file: for copies of the published adapters in local folders."""
