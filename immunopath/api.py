"""The thin call on a default instance."""

from collections.abc import Sequence
from datetime import date
from functools import cache
from pathlib import Path

from immunopath.domain.case import Case, named_after
from immunopath.domain.region import Region
from immunopath.pipeline.run import ImmunoPath
from immunopath.reporting.rendered import RenderedReport


@cache
def _default() -> ImmunoPath:
    return ImmunoPath()


def analyze(
    case: Case | str | Path,
    *,
    mpp: float | None = None,
    regions: Sequence[Region] = (),
    as_of: date | None = None,
) -> RenderedReport:
    """Analyse a case, or one image path, with the embedded engines; returns the report.

    `mpp` (µm per pixel) and `regions` (x, y, width, height in level-0 pixels: what is read of a
    slide in place of regions spread over it) go with a path; a `Case` carries its own.
    """
    if not isinstance(case, Case):
        path = Path(case)
        case = Case(case_id=named_after(path), images=(path,), mpp=mpp, regions=tuple(regions))
    return _default().analyze(case, as_of=as_of)
