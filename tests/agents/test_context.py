"""What a run carries beside the state: shared by all agents of one case, by no two cases."""

from dataclasses import FrozenInstanceError, fields

import pytest
from agent_states import context, embedded
from engines_under_test import Handle

from immunopath.agents.context import EngineHandle, RunContext, Workspace
from immunopath.models.lazy import LazyEngine


def test_two_cases_never_share_pixels_nuclei_or_locks() -> None:
    one, two = context().workspace, context().workspace
    assert one is not two
    assert one.store is not two.store
    assert one.lock is not two.lock


def test_the_agents_of_one_case_share_their_workspace() -> None:
    ctx = context()
    assert ctx.workspace is ctx.workspace
    assert ctx.workspace.nuclei is None
    assert tuple(ctx.workspace.store.all_tiles) == ()


def test_engines_and_date_cannot_be_exchanged_during_a_run() -> None:
    ctx = context()
    for field in fields(RunContext):
        with pytest.raises(FrozenInstanceError):
            setattr(ctx, field.name, None)


def test_the_date_is_asked_for_and_no_engine_has_a_default() -> None:
    with pytest.raises(TypeError, match="as_of"):
        RunContext()  # type: ignore[call-arg]


def test_without_a_limit_an_engine_may_take_its_time() -> None:
    assert context().engine_timeout_s is None
    assert context().neighbours == 8


def test_a_lazy_engine_is_a_handle_and_says_nothing_before_it_is_loaded() -> None:
    handle: EngineHandle = embedded("drugs")
    assert isinstance(handle, LazyEngine)
    assert handle.loaded_info() is None
    handle.get()
    stand_in: EngineHandle = Handle()
    assert stand_in.loaded_info() is None


def test_a_workspace_is_made_empty() -> None:
    workspace = Workspace()
    assert workspace.nuclei is None
    with workspace.lock:
        assert not workspace.lock.acquire(blocking=False)
