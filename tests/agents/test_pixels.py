"""Pixels of a resumed case: decoded again, once, and never half of them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from agent_states import PATCH, asked, context, run

from immunopath.agents.intake import intake_agent
from immunopath.agents.pixels import tiles_of
from immunopath.domain.errors import ImageReadError


@pytest.fixture
def patch(shared_images: Path) -> Path:
    return shared_images / PATCH


def test_what_intake_decoded_is_not_decoded_again(patch: Path, tmp_path: Path) -> None:
    copy = tmp_path / "a.png"
    copy.write_bytes(patch.read_bytes())
    ctx, state = context(), asked(copy)
    run(intake_agent, state, ctx)
    store = ctx.workspace.store
    copy.unlink()
    assert tiles_of(state, ctx) is store
    assert len(store.all_tiles) == 1


def test_an_empty_workspace_is_filled_as_intake_would_fill_it(patch: Path) -> None:
    fresh, resumed = context(), context()
    run(intake_agent, asked(patch), fresh)
    store = tiles_of(asked(patch), resumed)
    assert store is resumed.workspace.store
    assert list(store.all_tiles) == list(fresh.workspace.store.all_tiles)
    tile = store.tiles[0].tile_id
    assert (store.pixels(tile, 0.5) == fresh.workspace.store.pixels(tile, 0.5)).all()


def test_files_that_are_gone_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match=r"gone\.png"):
        tiles_of(asked(tmp_path / "gone.png"), context())


def test_half_a_case_is_never_taken_for_the_whole(patch: Path, tmp_path: Path) -> None:
    """The first image can be read, the second is gone: every agent that asks must hear it."""
    ctx, state = context(), asked(patch, tmp_path / "gone.png")
    for _ in range(3):
        with pytest.raises(ImageReadError, match=r"gone\.png"):
            tiles_of(state, ctx)
    assert tuple(ctx.workspace.store.all_tiles) == ()


def test_agents_that_ask_at_once_get_one_store(patch: Path) -> None:
    ctx, state = context(), asked(patch)
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: tiles_of(state, ctx), range(8)))
    assert {id(store) for store in stores} == {id(ctx.workspace.store)}
    assert len(stores[0].all_tiles) == 1


def test_the_stated_resolution_is_used_again(patch: Path) -> None:
    store = tiles_of(asked(patch, mpp=0.25), context())
    assert {(tile.mpp, tile.mpp_source) for tile in store.all_tiles} == {(0.25, "user")}
