"""Intake: usable, unusable and unreadable images are three different results."""

from pathlib import Path

import numpy as np
import pytest
from agent_states import PATCH, asked, context, run
from PIL import Image

from immunopath.agents.intake import intake_agent
from immunopath.agents.state import INTAKE, CaseState
from immunopath.domain.outcome import Failed, Ok, Outcome
from immunopath.domain.quality import IntakeResult


def taken(state: CaseState, ctx=None) -> Outcome[IntakeResult]:  # noqa: ANN001
    written, _ = run(intake_agent, state, ctx or context())
    assert set(written) == {"intake", "trace"}
    return INTAKE.read(written)  # type: ignore[arg-type]


@pytest.fixture
def patch(shared_images: Path) -> Path:
    return shared_images / PATCH


def test_a_usable_image_fills_the_workspace_and_the_state_alike(patch: Path) -> None:
    ctx = context()
    found = taken(asked(patch), ctx)
    assert isinstance(found, Ok)
    assert found.value.usable
    assert found.value.tiles == tuple(ctx.workspace.store.all_tiles)
    assert [image.name for image in found.value.images] == [patch.name]


def test_no_pixel_enters_the_state(patch: Path) -> None:
    written, _ = run(intake_agent, asked(patch), context())
    assert len(str(written)) < 5000


@pytest.mark.parametrize(("mpp", "source"), [(0.5, "user"), (None, "assumed")])
def test_the_resolution_comes_with_its_source(patch: Path, mpp: float | None, source: str) -> None:
    found = taken(asked(patch, mpp=mpp))
    assert isinstance(found, Ok)
    assert [image.mpp_source for image in found.value.images] == [source]
    assert {tile.mpp_source for tile in found.value.tiles} == {source}


def test_an_unusable_image_is_a_result_with_its_numbers(tmp_path: Path) -> None:
    glass = tmp_path / "glass.png"
    Image.fromarray(np.full((300, 300, 3), 244, np.uint8)).save(glass)
    found = taken(asked(glass))
    assert isinstance(found, Ok)
    assert not found.value.usable
    assert found.value.reason
    assert found.value.accepted == ()
    refusing = [c for c in found.value.images[0].quality.checks if c.verdict == "refuse"]
    assert refusing
    assert all(check.message for check in refusing)


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\x89PNG\r\n\x1a\n"])
def test_an_unreadable_file_fails_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    found = taken(asked(path))
    assert isinstance(found, Failed)
    assert found.error_id == "ImageReadError"
    assert "bad.png" in found.message


def test_one_unreadable_file_fails_the_case_even_beside_a_good_one(
    patch: Path, tmp_path: Path
) -> None:
    found = taken(asked(patch, tmp_path / "none.png"))
    assert isinstance(found, Failed)
    assert "none.png" in found.message


def test_the_same_pixels_twice_are_refused(patch: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin.bmp"
    Image.open(patch).convert("RGB").save(twin)
    found = taken(asked(patch, twin))
    assert isinstance(found, Failed)
    assert "the same pixels" in found.message


def test_a_limit_for_engines_does_not_hurry_the_decoder(patch: Path) -> None:
    found = taken(asked(patch), context(engine_timeout_s=1e-9))
    assert isinstance(found, Ok)
