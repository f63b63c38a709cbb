"""Access to the pixels of a case, decoded again when a run resumes from a checkpoint."""

from immunopath.agents.context import RunContext
from immunopath.agents.state import INTAKE, CaseState, read_case
from immunopath.imaging.intake import take_in
from immunopath.imaging.more import take_again
from immunopath.imaging.tiles import TileStore


def tiles_of(state: CaseState, context: RunContext) -> TileStore:
    """Return the run's tile store; raises `ImageReadError` when the files are gone."""
    workspace = context.workspace
    with workspace.lock:
        if not workspace.store.all_tiles:
            case, store = read_case(state), TileStore()
            take_in(case.images, case.mpp, store, regions=case.regions)
            kept = INTAKE.value(state)
            if kept is not None:
                take_again(kept, store)
            workspace.store = store  # only whole: half a case must not pass for all of it
    return workspace.store
