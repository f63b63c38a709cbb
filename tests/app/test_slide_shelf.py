"""The shelf of slides: whose, how many, how long; what leaves it is deleted once, by one."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from page_clock import Clock

from immunopath.app.slide_shelf import HeldSlide, ShelfFull, SlideGone, SlideShelf
from immunopath.app.uploads import Limits, UploadFolder
from immunopath.domain.units import MppSource, Resolution
from immunopath.imaging.slides.pick import Offer

OFFER = Offer(
    thumbnail=np.zeros((2, 2, 3), np.uint8),
    bounds=(0, 0, 2, 2),
    size=(2, 2),
    resolution=Resolution(mpp=0.5, source=MppSource.user),
    places=(),
    of=0,
    side_um=256,
    tissue=0.0,
)


@pytest.fixture
def shelf(clock: Clock) -> Iterator[SlideShelf]:
    made = SlideShelf(Limits(max_slides=2, slide_s=60), clock)
    yield made
    made.close()


def put(shelf: SlideShelf, tmp_path: Path, session: str = "mine") -> HeldSlide:
    with shelf.place(session):
        folder = UploadFolder.below(tmp_path)
        folder.add("a.svs", BytesIO(b"x"))
        return shelf.put(session, folder, OFFER, b"jpeg", None)


def test_a_slide_is_found_by_its_own_session_only(shelf: SlideShelf, tmp_path: Path) -> None:
    held = put(shelf, tmp_path)
    assert shelf.find("mine", held.id) is held
    for session, name in (("other", held.id), ("mine", "guess"), ("", held.id)):
        with pytest.raises(SlideGone, match="is not kept"):
            shelf.find(session, name)


def test_a_session_has_one_slide_and_the_earlier_one_is_deleted(
    shelf: SlideShelf, tmp_path: Path
) -> None:
    first, second = put(shelf, tmp_path), put(shelf, tmp_path)
    assert not first.folder.root.exists()
    assert second.folder.files[0].exists()
    with pytest.raises(SlideGone):
        shelf.find("mine", first.id)


def test_a_slide_that_is_replaced_goes_before_the_next_arrives(
    shelf: SlideShelf, tmp_path: Path
) -> None:
    first = put(shelf, tmp_path)
    with shelf.place("mine"):
        assert not first.folder.root.exists()


def test_few_slides_are_kept_in_all_those_on_their_way_included(
    shelf: SlideShelf, tmp_path: Path
) -> None:
    put(shelf, tmp_path, "a")
    with shelf.place("b"), pytest.raises(ShelfFull, match="too many slides"), shelf.place("c"):
        pass
    put(shelf, tmp_path, "b")
    with pytest.raises(ShelfFull), shelf.place("c"):
        pass
    put(shelf, tmp_path, "b")  # in place of its own


def test_a_slide_goes_when_its_time_is_over(
    shelf: SlideShelf, clock: Clock, tmp_path: Path
) -> None:
    held = put(shelf, tmp_path)
    clock.now = 59.9
    shelf.sweep()
    assert held.folder.files[0].exists()
    clock.now = 60
    shelf.sweep()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SlideGone):
        shelf.find("mine", held.id)


def test_who_takes_a_slide_has_it_alone(shelf: SlideShelf, clock: Clock, tmp_path: Path) -> None:
    held = put(shelf, tmp_path)
    shelf.take(held)
    clock.now = 1000
    shelf.sweep()
    shelf.drop(held)
    shelf.close()
    assert held.folder.files[0].exists()
    with pytest.raises(SlideGone, match="deleted a moment ago"):
        shelf.take(held)


def test_closing_deletes_all(shelf: SlideShelf, tmp_path: Path) -> None:
    put(shelf, tmp_path, "a")
    put(shelf, tmp_path, "b")
    shelf.close()
    assert list(tmp_path.iterdir()) == []
