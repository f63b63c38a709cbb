"""What must be said of regions that a person picked."""

from typing import Final

from immunopath.domain.finding import Finding, Severity
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.domain.quality import IntakeResult

UNLIKE_VALIDATION: Final = "regions were picked by hand, which no validation covers"
"""Why no trust gate is open: validation reads tiles that a rule has chosen, and who picks a region
may know what it shows."""


def picked_findings(intake: IntakeResult) -> tuple[Finding, ...]:
    """Return a caution where regions were picked by hand: they speak for themselves only."""
    count = sum(image.picked for image in intake.images)
    if not count:
        return ()
    what = "1 region was" if count == 1 else f"{count} regions were"
    return (
        Finding(
            code="REGIONS_PICKED",
            severity=Severity.caution,
            message=(
                f"{what} picked by hand and nothing else of the slide was read: the predicted "
                "fields are of that tissue and are no estimate of the slide."
            ),
            action=(
                "For the slide, run the case without picked regions: they are then spread over "
                "its tissue by a fixed rule."
            ),
            fields=tuple(FIELD_VALUES),
        ),
    )
