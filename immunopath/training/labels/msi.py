"""MSI status from published calls and scores; what is not known stays unknown (None)."""

from collections import Counter
from collections.abc import Iterable
from typing import Final, Literal

from immunopath.domain.base import Frozen

Msi = Literal["MSI-H", "MSS"]

MANTIS_ABOVE: Final = 0.4
"""MSI-H above this average stepwise difference (Kautto 2017, Oncotarget 8:7452)."""
SENSOR_FROM: Final = 3.5
"""MSI-H from this percentage of unstable sites on (Niu 2014, Bioinformatics 30:1015)."""

_TEXT: Final[dict[str, Msi]] = {
    "msi-h": "MSI-H",
    "msi_h": "MSI-H",
    "msih": "MSI-H",
    "msi-high": "MSI-H",
    "msi": "MSI-H",
    "mss": "MSS",
    "msi-l": "MSS",
    "msi_l": "MSS",
    "msi-low": "MSS",
    "stable": "MSS",
}
"""Published words. Any other word is unknown: it is not a reason to call a tumour stable."""


class MsiEvidence(Frozen):
    """What is known of one patient: a published word and the two scores, each may be missing."""

    published: str = ""
    mantis: float | None = None
    sensor: float | None = None


class MsiCall(Frozen):
    """The status with what each source says; value is None when none speaks or two differ."""

    value: Msi | None
    sources: dict[str, Msi]
    conflict: bool = False
    unread: str = ""
    """A published word that means neither status."""


class MsiCounts(Frozen):
    """How a cohort's calls came about."""

    n: int
    msi_h: int
    mss: int
    unknown: int
    mantis_msi_h: int
    mantis_known: int
    sensor_msi_h: int
    sensor_known: int
    published_known: int
    conflicts: int
    unread_words: dict[str, int]


def call_msi(evidence: MsiEvidence) -> MsiCall:
    """Call MSI: MSI-H for MANTIS > 0.4, MSIsensor ≥ 3.5 or a published MSI-H.

    Sources that differ give no call, as one wrong positive weighs much in a class of a few
    patients; they are counted as conflicts.
    """
    word = evidence.published.strip()
    sources: dict[str, Msi] = {}
    read = _TEXT.get(word.lower())
    if read is not None:
        sources["published"] = read
    if evidence.mantis is not None:
        sources["mantis"] = "MSI-H" if evidence.mantis > MANTIS_ABOVE else "MSS"
    if evidence.sensor is not None:
        sources["msisensor"] = "MSI-H" if evidence.sensor >= SENSOR_FROM else "MSS"
    said = set(sources.values())
    return MsiCall(
        value=next(iter(said)) if len(said) == 1 else None,
        sources=sources,
        conflict=len(said) > 1,
        unread=word if read is None else "",
    )


def count_msi(calls: Iterable[MsiCall]) -> MsiCounts:
    """Count the calls of a cohort."""
    calls = tuple(calls)
    values = Counter(call.value for call in calls)
    said = Counter((name, value) for call in calls for name, value in call.sources.items())
    known = Counter(name for call in calls for name in call.sources)
    return MsiCounts(
        n=len(calls),
        msi_h=values["MSI-H"],
        mss=values["MSS"],
        unknown=values[None],
        mantis_msi_h=said["mantis", "MSI-H"],
        mantis_known=known["mantis"],
        sensor_msi_h=said["msisensor", "MSI-H"],
        sensor_known=known["msisensor"],
        published_known=known["published"],
        conflicts=sum(call.conflict for call in calls),
        unread_words=dict(sorted(Counter(c.unread for c in calls if c.unread).items())),
    )
