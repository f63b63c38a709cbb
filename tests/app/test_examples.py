"""The images that come with the page."""

import io
from pathlib import Path

import pytest
from PIL import Image

from immunopath.app.examples import EXAMPLES, Example
from immunopath.imaging.decode import decode_image


def test_the_slide_is_a_part_of_openslides_untouched(shared_images: Path) -> None:
    """Its corner and size are those of scripts/cut_example_slide.py."""
    example = EXAMPLES["slide"]
    part = decode_image(Path(str(_folder() / example.file)))
    whole = decode_image(shared_images.parent / "slides/CMU-1-Small-Region.svs").pixels
    assert part.embedded is not None
    assert (part.embedded.mpp, part.embedded.source) == (0.499, "vendor")
    assert (part.pixels == whole[960 : 960 + 1680, 480 : 480 + 1680]).all()


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=lambda example: example.name)
def test_an_example_is_small_has_a_source_and_can_be_shown(example: Example) -> None:
    assert len(example.content()) < 800_000
    assert example.file in (_folder() / "SOURCES.md").read_text("utf-8")
    assert Image.open(io.BytesIO(example.shown())).format == "PNG"


def _folder() -> Path:
    import immunopath.app.examples as package

    assert package.__file__ is not None
    return Path(package.__file__).parent
