"""What is named in the settings of a run is looked at before its first case."""

from immunopath.models.atlas_bundle import read_header
from immunopath.models.foundation.sources import judge
from immunopath.models.registry import ROLES
from immunopath.pipeline.settings import Settings


def require_usable(settings: Settings) -> None:
    """Raise an `ImmunoPathError` for engines or an atlas that no case could be analysed with.

    That is: options that do not exist, and named folders and files that are not there or not what
    they must be. What only loading shows, and what is missing on this machine (a package, weights
    of the hub, a GPU), is found by the case that needs it, and is told in its report.
    """
    for role in ROLES:
        judge(role, settings.spec(role), settings.device)
    if settings.atlas is not None:
        read_header(settings.atlas)
