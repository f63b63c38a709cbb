"""The resize at the model's door, against numbers worked out by hand and against TensorFlow."""

import importlib.util

import numpy as np
import pytest
from PIL import Image

from immunopath.domain.errors import EngineError

torch = pytest.importorskip("torch")
from immunopath.models.foundation.vision.resize import (  # noqa: E402
    METHODS,
    Method,
    at_the_door,
    check_door,
    resized,
)


def row(*values: int) -> np.ndarray:
    """An image of two equal rows, every channel `values`."""
    line = np.array(values, np.uint8)[None, :, None]
    return np.ascontiguousarray(np.broadcast_to(line, (2, len(values), 3)))


def squeezed(values: list[int], px: int, method: Method = "tf-bilinear") -> list[int]:
    return resized(row(*values), px, method)[0, 0].tolist()


def test_downscaling_reads_two_neighbours_and_nothing_else() -> None:
    # Half-pixel centres, 8 -> 2: the outputs lie at 1.5 and 5.5 of the input, so each is the mean
    # of pixels 1, 2 and 5, 6. The peaks at 0 and 4 are not seen at all.
    assert squeezed([240, 10, 30, 0, 240, 50, 70, 0], 2) == [20, 60]


def test_an_odd_factor_and_the_truncation_to_whole_grey_levels() -> None:
    # 4 -> 3: centres at 1/6, 3/2 and 17/6. Of 0, 90, 120, 30 that is 90/6 = 15, 105, and
    # 120/6 + 5 * 30/6 = 45; of 0, 10, 20, 30 it is 1.67, 15, 28.33, cut off to 1, 15, 28.
    assert squeezed([0, 90, 120, 30], 3) == [15, 105, 45]
    assert squeezed([0, 10, 20, 30], 3) == [1, 15, 28]


def test_upscaling_repeats_the_border() -> None:
    # 2 -> 4: centres at -0.25, 0.25, 0.75, 1.25; outside the image the border pixel counts.
    assert squeezed([100, 20], 4) == [100, 80, 40, 20]


def test_antialiasing_is_what_tells_the_methods_apart() -> None:
    spike = [0, 0, 0, 240, 0, 0, 0, 0]
    assert squeezed(spike, 2) == [0, 0]
    assert squeezed(spike, 2, "bilinear")[0] > 30


@pytest.mark.parametrize(("method", "pillow", "most"), [("bilinear", 2, 1), ("bicubic", 3, 8)])
def test_the_antialiased_methods_are_those_of_pillow(method: str, pillow: int, most: int) -> None:
    # Pillow clips to [0, 255] between its two passes, which shows on noise in the bicubic one.
    rgb = np.random.default_rng(3).integers(0, 256, (96, 80, 3), dtype=np.uint8)
    theirs = np.asarray(Image.fromarray(rgb).resize((56, 56), pillow), np.int16)
    ours = resized(rgb, 56, method).permute(1, 2, 0).numpy().astype(np.int16)
    assert np.abs(ours - theirs).max() <= most
    assert np.abs(ours - theirs).mean() < 0.4


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="needs the extra path-foundation"
)
@pytest.mark.parametrize("shape", [(512, 512), (300, 700), (224, 224), (896, 448)])
def test_it_is_tensorflows_resize(shape: tuple[int, int]) -> None:
    import tensorflow as tf

    rgb = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    theirs = tf.image.resize(rgb, [448, 448], method="bilinear", antialias=False).numpy()
    theirs = theirs.astype(np.uint8).astype(np.int16)
    ours = resized(rgb, 448, "tf-bilinear").permute(1, 2, 0).numpy().astype(np.int16)
    assert np.abs(ours - theirs).max() <= 1  # float rounding on either side of a whole number
    assert (ours != theirs).mean() < 0.01


@pytest.mark.parametrize("method", METHODS)
def test_an_image_of_the_right_size_is_left_alone(method: Method) -> None:
    rgb = np.random.default_rng(2).integers(0, 256, (56, 56, 3), dtype=np.uint8)
    assert (resized(rgb, 56, method).permute(1, 2, 0).numpy() == rgb).all()


def test_black_is_minus_one_and_white_is_one() -> None:
    batch = [np.zeros((9, 5, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)]
    door = at_the_door(batch, 8, "tf-bilinear")
    assert door.shape == (2, 3, 8, 8)
    assert door[0].unique().tolist() == [-1]
    assert door[1].unique().tolist() == [1]
    check_door(door, 8)


@pytest.mark.parametrize(
    ("pixels", "what"),
    [
        (torch.zeros(1, 3, 16, 8), "16"),
        (torch.zeros(3, 8, 8), "8 x 8"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "divide by 255"),
        (torch.full((1, 3, 8, 8), 200.0), r"the model takes \[-1, 1\]"),
        (torch.full((1, 3, 8, 8), float("nan")), "takes"),
    ],
)
def test_what_the_door_refuses(pixels: "torch.Tensor", what: str) -> None:
    with pytest.raises(EngineError, match=what):
        check_door(pixels, 8)
