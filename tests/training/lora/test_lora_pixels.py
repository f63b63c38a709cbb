"""Tiles: the product's own pixels, and changes that leave tissue what it is."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_lora import field
from tiny_medgemma import loaded

from immunopath.domain.errors import CaseFileError, ImageReadError
from immunopath.imaging.decode import decode_image
from immunopath.models.foundation.medgemma.gemma import encode
from immunopath.training.lora.augment import augmented, restained, turned
from immunopath.training.lora.config import AugmentConfig
from immunopath.training.lora.pixels import TilePixels

ALL = AugmentConfig(geometric=True, stain=0.1, light=0.05)


@pytest.fixture
def tile(tmp_path: Path) -> Path:
    path = tmp_path / "t.png"
    Image.fromarray(field(120, 3)).save(path)
    return path


def test_an_unchanged_tile_is_what_the_engine_shows_the_model(base: Path, tile: Path) -> None:
    gemma = loaded(base)
    shown = encode(gemma, [field(120, 3)], "Answer.").pixel_values
    pixels = TilePixels(gemma.processor.image_processor, cache_mb=1)
    source = np.random.default_rng(0)
    for _ in range(2):  # decoded, then from the cache
        made = pixels.model_input(tile, AugmentConfig(), source)
        assert np.array_equal(made, np.asarray(shown)[0])
        assert made.dtype == np.float32


def test_a_tile_with_glass_cut_out_is_what_the_engine_shows_the_model(
    base: Path, tmp_path: Path
) -> None:
    """The product puts what is transparent on white; Pillow alone would show what lies beneath."""
    path = tmp_path / "t.png"
    alpha = np.full((64, 64, 1), 255, np.uint8)
    alpha[:, :32] = 0
    Image.fromarray(np.concatenate([field(120, 3), alpha], axis=2)).save(path)
    gemma = loaded(base)
    shown = encode(gemma, [decode_image(path).pixels], "Answer.").pixel_values
    pixels = TilePixels(gemma.processor.image_processor, cache_mb=1)
    made = pixels.model_input(path, AugmentConfig(), np.random.default_rng(0))
    assert np.array_equal(made, np.asarray(shown)[0])


def test_the_cache_keeps_no_more_than_it_may(base: Path, tmp_path: Path) -> None:
    pixels = TilePixels(loaded(base).processor.image_processor, cache_mb=0)
    path = tmp_path / "a.png"
    Image.fromarray(field(50, 1)).save(path)
    first = pixels.resized(path)
    Image.fromarray(field(200, 1)).save(path)
    assert pixels.resized(path).mean() > first.mean() + 100


def test_a_damaged_tile_is_named(base: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG no more")
    pixels = TilePixels(loaded(base).processor.image_processor, cache_mb=1)
    with pytest.raises(ImageReadError, match=r"bad\.png: the tile cannot be read"):
        pixels.resized(bad)


def test_a_tile_that_is_not_the_manifests_is_refused(base: Path, tile: Path) -> None:
    digest = hashlib.sha256(tile.read_bytes()).hexdigest()
    processor = loaded(base).processor.image_processor
    TilePixels(processor, 1, {tile: digest}).resized(tile)
    Image.fromarray(field(121, 3)).save(tile)
    with pytest.raises(CaseFileError, match=r"t\.png: is not the file that tiles\.parquet names"):
        TilePixels(processor, 1, {tile: digest}).resized(tile)


def test_the_same_generator_gives_the_same_change_and_another_another() -> None:
    pixels = field(120, 0)
    one, same, other = (augmented(pixels, ALL, np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    unchanged = augmented(pixels, AugmentConfig(), np.random.default_rng(1))
    assert np.array_equal(unchanged, pixels)


def test_the_eight_turns_are_different_and_keep_every_pixel() -> None:
    pixels = field(120, 0, 8)
    made = [turned(pixels, i) for i in range(8)]
    assert len({m.tobytes() for m in made}) == 8
    for m in made:
        assert sorted(map(tuple, m.reshape(-1, 3))) == sorted(map(tuple, pixels.reshape(-1, 3)))


@pytest.mark.parametrize(("factors", "channel"), [((1.3, 1.0), 0), ((1.0, 1.3), 1)])
def test_more_of_a_stain_darkens_the_channel_that_it_absorbs(
    factors: tuple[float, float], channel: int
) -> None:
    """Haematoxylin absorbs red most, eosin green."""
    pixels = np.full((4, 4, 3), (150, 90, 160), dtype=np.uint8)
    darker = pixels.astype(int) - restained(pixels, factors, 0.0)
    assert int(darker[0, 0].argmax()) == channel
    assert darker[0, 0, channel] > 2


def test_white_stays_white_and_no_change_changes_nothing() -> None:
    white = np.full((2, 2, 3), 255, dtype=np.uint8)
    assert np.array_equal(restained(white, (1.4, 0.7), 0.0), white)
    pixels = np.maximum(field(120, 5), 1)
    assert np.array_equal(restained(pixels, (1.0, 1.0), 0.0), pixels)
    assert restained(pixels, (1.0, 1.0), 0.1).mean() < pixels.mean()


def test_a_grey_turn_keeps_brightness(tile: Path, base: Path) -> None:
    """What the label follows in these tests survives the changes of the default preset."""
    pixels = TilePixels(loaded(base).processor.image_processor, cache_mb=1)
    how = AugmentConfig(geometric=True, stain=0.05, light=0.02)
    means: list[Any] = [
        pixels.model_input(tile, how, np.random.default_rng(s)).mean() for s in range(20)
    ]
    assert np.ptp(means) < 0.25
