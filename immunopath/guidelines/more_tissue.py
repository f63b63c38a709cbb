"""Does a case with slides need more tissue, and where? A pure function of what is known."""

from collections.abc import Sequence
from dataclasses import dataclass

from immunopath.domain.finding import Adjudication
from immunopath.domain.quality import IntakeResult
from immunopath.domain.sampling import (
    SamplingBudget,
    SamplingDecision,
    SamplingLog,
    StopCode,
    Stratum,
    Wanted,
)
from immunopath.domain.words import counted

WIDTH_LIMIT = 0.12
"""Interval of the slide's lymphocyte share that is narrow enough: as wide as the lowest density
class of the embedded engine (0 to 0.12)."""
DISAGREEMENT_LIMIT = 0.5
"""Share of tiles with another density class than the case's above which tiles contradict it.

It asks for one further round only: tissue that varies goes on to vary, however much is read."""
LEAST_GAIN = 0.05
"""A round that changes the width by less than this share of it is the last one. A wider interval
is news too: the round has met tissue that the ones before had not."""


@dataclass(frozen=True)
class _Known:
    """wants: why more tissue would help; width: of the widest interval."""

    wants: tuple[str, ...]
    width: float | None


def more_tissue(
    judged: Adjudication,
    intake: IntakeResult,
    budget: SamplingBudget,
    late: Sequence[str] = (),
    limit: float = WIDTH_LIMIT,
) -> SamplingDecision | None:
    """Return what to read next or why to stop; None for a case without slides.

    Asked for when the interval of a slide's share is wider than `limit`, when engines differ
    on the phenotype, or when most tiles contradict the case. `late` names engines that ran out of
    time: they may still be at work on the pixels, and asking again would not be faster.
    A round gives at most its even share of the region budget, placed where one more region takes
    most off the variance of the estimate (Neyman's allocation, region by region).
    """
    log = intake.sampling
    if log is None:
        return None
    width = max((estimate.width for estimate in judged.estimates), default=None)
    known = _Known(_wants(judged, width, limit, first=len(log.rounds) == 1), width)
    stop = _stop(log, budget, known, late)
    if stop is not None:
        return SamplingDecision(reason=stop[1], stop=stop[0], width=width)
    count = min(-(-budget.regions // budget.rounds), budget.regions - _added(log))
    return SamplingDecision(
        wanted=_allocate(log, judged, count), reason="; ".join(known.wants), width=width
    )


def _wants(
    judged: Adjudication, width: float | None, limit: float, *, first: bool
) -> tuple[str, ...]:
    """Return why more tissue would help; `first`: only the first round was read."""
    found = []
    if width is not None and width > limit:
        found.append(f"the interval of the slide's share is {width:.3f} wide (limit {limit})")
    rows = [row for row in judged.agreement if row.field == "immune_phenotype"]
    if any(row.state == "disagree" for row in rows):
        found.append("the engines differ on the immune phenotype")
    apart = judged.profile.til_fraction.tile_disagreement
    if first and apart is not None and apart > DISAGREEMENT_LIMIT:
        found.append(f"{apart:.0%} of the tiles contradict the case's density class")
    return tuple(found)


def _stop(
    log: SamplingLog, budget: SamplingBudget, known: _Known, late: Sequence[str]
) -> tuple[StopCode, str] | None:
    """Return the first reason to end the rounds, or None."""
    further, added = len(log.rounds) - 1, _added(log)
    unmet, before, width = "; ".join(known.wants), log.rounds[-1].width_before, known.width
    gained = before is None or width is None or abs(width - before) >= LEAST_GAIN * before
    left = any(len(slide.strata) < slide.candidates for slide in log.slides)
    rules: tuple[tuple[bool, StopCode, str], ...] = (
        (bool(log.fault), "unreadable", f"a further round could not be read: {log.fault}"),
        (width is None, "no_estimate", "no slide has four regions with a value by the predictor"),
        (not unmet, "settled", "the interval is narrow enough and no engine contradicts another"),
        (not budget.rounds or not budget.regions, "off", "further rounds are switched off"),
        (bool(late), "late_engine", f"{', '.join(late)} ran out of time"),
        (further >= budget.rounds, "rounds", f"{_rounds(further)}, as many as allowed"),
        (
            added >= budget.regions,
            "budget",
            f"{counted(added, 'further region')}, as many as allowed",
        ),
        (not left, "no_tissue_left", "all tissue was read"),
        (not gained, "no_gain", f"the last round changed the width by less than {LEAST_GAIN:.0%}"),
    )
    for holds, code, reason in rules:
        if holds:
            return code, f"{reason}; {unmet}" if unmet and code != "unreadable" else reason
    return None


def _rounds(further: int) -> str:
    """Return ``1 further round`` or ``2 further rounds``."""
    return f"{further} further round{'' if further == 1 else 's'}"


def _added(log: SamplingLog) -> int:
    """Return how many regions the further rounds have read."""
    return sum(len(visit.images) for visit in log.rounds[1:])


def _allocate(log: SamplingLog, judged: Adjudication, count: int) -> tuple[Wanted, ...]:
    """Return where `count` regions go: one after the other to where it gains most."""
    variance = {e.sha256: e.variances for e in judged.estimates}
    rows = [
        (stratum, (stratum.places / slide.candidates) ** 2, variance.get(slide.sha256, {}))
        for slide in log.slides
        for stratum in slide.strata
    ]
    given = dict.fromkeys((stratum.image for stratum, _, _ in rows), 0)
    for _ in range(count):
        open_rows = [row for row in rows if row[0].places - 1 > given[row[0].image]]
        if not open_rows:
            break
        best = max(open_rows, key=lambda row: _gain(row[0], row[1], row[2], given[row[0].image]))
        given[best[0].image] += 1
    return tuple(Wanted(image=image, count=n) for image, n in given.items() if n)


def _gain(
    stratum: Stratum, weight: float, variances: dict[int, float], given: int
) -> tuple[float, float]:
    """Return by how much one more region lowers the variance; size decides where nothing does."""
    taken = weight / (given + 1) - weight / (given + 2)
    return variances.get(stratum.image, 0.0) * taken, taken
