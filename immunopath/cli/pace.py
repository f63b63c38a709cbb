"""Progress in words: how fast it goes, and whether it waits on reading or on computing."""

from collections.abc import Callable
from typing import Any


def pace(tiles: int, seconds: float, read_s: float, work_s: float) -> str:
    """Return tiles per second and what the time of the processes went to."""
    spent = read_s + work_s
    share = read_s / spent if spent > 0 else 0.0
    waits = "reading" if share >= 0.5 else "computing"
    rate = tiles / max(seconds, 1e-9)
    return f"{rate:.0f} tiles/s, waits on {waits} (reading {share:.0%} of the time)"


class EventWords:
    """The events of a case as one line."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock`: seconds, for the pace of a slide."""
        self._clock = clock
        self._start = clock()

    def of(self, event: dict[str, Any]) -> str:
        """Return the line that an event puts on the screen."""
        if event["event"] != "progress":
            return f"{event['agent']} {event['event']}"
        place = f"{event['agent']} {event['slide']}: {event['done']}/{event['total']} tiles"
        if not event["done"]:
            self._start = self._clock()
            return place
        seconds = self._clock() - self._start
        return f"{place}, {pace(event['done'], seconds, event['read_s'], event['work_s'])}"
