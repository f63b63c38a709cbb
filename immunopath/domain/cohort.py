"""How one case of a cohort ended: what the tables, the worklist and a comparison are made of."""

from datetime import date
from typing import Final, Literal

from pydantic import Field

from immunopath.domain.base import Frozen
from immunopath.domain.files import safe_name

SHARE_UNIT: Final = "share from 0 to 1"


class FieldSummary(Frozen):
    """One field of one case, as the tidy table shows it.

    value: text or number, None when abstained; probability: of `value`, None where there is none;
    low, high: the interval of a number; prediction_set: values joined by ``|``, empty when none
    was made; informative: what the trust gate says.
    """

    field: str
    quantity: str
    value: str | float | None
    probability: float | None = None
    low: float | None = None
    high: float | None = None
    prediction_set: str = ""
    coverage: float | None = None
    calibrated: bool
    informative: bool
    abstained: bool
    reason: str = ""
    n_tiles: int
    tile_disagreement: float | None = None
    agreement: str = ""
    """``agree``, ``disagree``, ``single`` or ``none``; empty when the field is not compared."""


class SlideSummary(Frozen):
    """One number about one whole slide of a case, as the tidy table shows it.

    field: ``slide_til_share``, ``slide_inflamed_share_1mm2`` or kin, with ``_all_tiles`` when a
    dense pass counted it; value, low, high: in `unit`, None when there is none and `reason` says
    why; interval_of: what the interval covers; first_round: the value from the evenly spread
    regions of the first round alone; n_places: regions, tiles or cells it rests on.
    """

    slide: str
    """File name of the slide."""
    slide_sha256: str
    field: str
    quantity: str
    value: float | None
    low: float | None = None
    high: float | None = None
    coverage: float | None = None
    interval_of: str = ""
    first_round: float | None = None
    n_places: int | None = None
    unit: str = SHARE_UNIT
    engine: str
    """Name and revision of the predictor whose counts or answers it rests on."""
    reason: str = ""


class QueueFacts(Frozen):
    """What the place of a case in the laboratory queue depends on (`guidelines.md` 3.3).

    changing_probability: probability that the result changes the option set, of a field that passed
    the trust gate (its calibration error is bounded there) and whose test is wanted. exploratory:
    unvalidated numbers by what they are, the first the best to rank by.
    """

    case_id: str
    level: str | None
    reasons: tuple[str, ...] = ()
    diagnosed_on: date | None = None
    scant: bool = False
    changing_probability: float | None = None
    exploratory: dict[str, float] = Field(default_factory=dict)


class CaseRecord(Frozen):
    """One case of a cohort, written last: without it the case was not done.

    key: digest of everything that the result depends on; files: name below the output folder ->
    SHA-256, so that a resumed run can tell a whole file from a damaged one; status: ``ok``,
    ``partial``, ``refused`` or ``failed``.
    """

    version: Literal["1", "2"] = "2"
    """Records of version 1 know nothing of slides: they are read, and a resumed run redoes them."""
    case_id: str
    patient_id: str | None = None
    row: int = Field(ge=0)
    """Line of the manifest, 1 for the first case; 0 without a manifest."""
    key: str = ""
    status: Literal["ok", "partial", "refused", "failed"]
    reason: str = ""
    files: dict[str, str] = Field(default_factory=dict)
    category: str | None = None
    tests: tuple[str, ...] = ()
    """Laboratory tests that the guideline asks for, most urgent first."""
    queue: QueueFacts | None = None
    fields: tuple[FieldSummary, ...] = ()
    slides: tuple[SlideSummary, ...] = ()
    """What is estimated of each slide of which regions were read; empty for other images."""
    findings: tuple[str, ...] = ()
    """Codes of the findings."""
    quality: tuple[str, ...] = ()
    """Verdict of every image, in order."""
    n_tiles: int = 0
    engines: dict[str, str] = Field(default_factory=dict)
    """Agent -> how it ended."""

    def file(self, suffix: str) -> str | None:
        """Return the name of the file with the suffix, e.g. ``.json``; None without one.

        ``.fhir.json`` is a suffix of its own and no ``.json``.
        """
        end = f"{safe_name(self.case_id)}{suffix}"
        return next((name for name in self.files if name.endswith(f"/{end}")), None)
