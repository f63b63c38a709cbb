"""The thin call on a default instance."""

from datetime import date
from functools import cache
from pathlib import Path

from immunopath.domain.case import Case, named_after
from immunopath.pipeline.run import ImmunoPath
from immunopath.reporting.rendered import RenderedReport


@cache
def _default() -> ImmunoPath:
    return ImmunoPath()


def analyze(
    case: Case | str | Path, *, mpp: float | None = None, as_of: date | None = None
) -> RenderedReport:
    """Analyse a case, or one image path, with the embedded engines; returns the report.

    `mpp` (µm per pixel) goes with a path; a `Case` carries its own.
    """
    if not isinstance(case, Case):
        path = Path(case)
        case = Case(case_id=named_after(path), images=(path,), mpp=mpp)
    return _default().analyze(case, as_of=as_of)
