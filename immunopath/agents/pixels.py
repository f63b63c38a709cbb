"""Access to the pixels of a case, decoded again when a run resumes from a checkpoint."""

from immunopath.agents.context import RunContext
from immunopath.agents.state import CaseState, read_case
from immunopath.imaging.intake import take_in
from immunopath.imaging.tiles import TileStore


def tiles_of(state: CaseState, context: RunContext) -> TileStore:
    """Return the run's tile store; raises `ImageReadError` when the files are gone."""
    workspace = context.workspace
    with workspace.lock:
        if not workspace.store.all_tiles:
            case = read_case(state)
            take_in(case.images, case.mpp, workspace.store)
    return workspace.store
