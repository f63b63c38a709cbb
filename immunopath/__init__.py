"""ImmunoPath: immune biomarkers of NSCLC from H&E, checked, governed by rules, in one report.

Research use only. The public names are loaded when they are first used, so that
``import immunopath`` stays cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from immunopath.api import analyze
    from immunopath.domain.case import Case
    from immunopath.domain.clinical import ClinicalContext
    from immunopath.domain.errors import ImmunoPathError
    from immunopath.domain.report import CaseReport
    from immunopath.guidelines.casefile import load_clinical
    from immunopath.pipeline.run import ImmunoPath

_HOME = {
    "Case": "immunopath.domain.case",
    "CaseReport": "immunopath.domain.report",
    "ClinicalContext": "immunopath.domain.clinical",
    "ImmunoPath": "immunopath.pipeline.run",
    "ImmunoPathError": "immunopath.domain.errors",
    "analyze": "immunopath.api",
    "load_clinical": "immunopath.guidelines.casefile",
}

__all__ = [
    "Case",
    "CaseReport",
    "ClinicalContext",
    "ImmunoPath",
    "ImmunoPathError",
    "__version__",
    "analyze",
    "load_clinical",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module attribute
    """Load a public name from its home (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'immunopath' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
