"""From views to the square float images at a model's door.

``tf-bilinear`` is what Big Vision and MedSigLIP's own evaluation do: TensorFlow's bilinear resize
with half-pixel centres and **no** antialiasing, cast to uint8 by truncation. On downscaling it
differs from Pillow's antialiased filters (up to 22 of 255 grey levels at 1024 to 448 px), so the
method is a setting and goes into provenance. torch is imported in the functions.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from immunopath.domain.errors import EngineError
from immunopath.models.protocols import RGB

if TYPE_CHECKING:
    import torch

Method = Literal["tf-bilinear", "bilinear", "bicubic"]
"""``bilinear`` and ``bicubic`` are antialiased and rounded, as Pillow does."""
METHODS: tuple[Method, ...] = get_args(Method)
_NOISE = 1 / 1024
"""Grey levels; keeps a mean of exactly 45 from being 44.99999 and cut off to 44."""


def resized(rgb: RGB, px: int, method: Method) -> "torch.Tensor":
    """Return an image of any shape as (3, px, px) uint8; aspect is not kept.

    An image of that size already is returned as it is: no method changes it.
    """
    import torch
    from torch.nn.functional import interpolate

    pixels = torch.from_numpy(np.array(rgb)).permute(2, 0, 1)
    if pixels.shape[1:] == (px, px):
        return pixels.contiguous()
    out = interpolate(
        pixels[None].float(),
        size=(px, px),
        mode="bicubic" if method == "bicubic" else "bilinear",
        align_corners=False,
        antialias=method != "tf-bilinear",
    )[0].clamp(0, 255)
    return (out + _NOISE if method == "tf-bilinear" else out.round()).to(torch.uint8)


def at_the_door(
    batch: Sequence[RGB],
    px: int,
    method: Method,
    mean: Sequence[float] = (0.5, 0.5, 0.5),
    std: Sequence[float] = (0.5, 0.5, 0.5),
) -> "torch.Tensor":
    """Return (n, 3, px, px) float32 of ``(x / 255 - mean) / std``; by default in [-1, 1]."""
    import torch

    return normalised(torch.stack([resized(rgb, px, method) for rgb in batch]), mean, std)


def normalised(
    pixels: "torch.Tensor", mean: Sequence[float], std: Sequence[float]
) -> "torch.Tensor":
    """Return ``(pixels / 255 - mean) / std`` of (n, 3, h, w) uint8, channel by channel, float32."""
    import torch

    centre, spread = (
        torch.tensor(tuple(values), dtype=torch.float32).view(1, 3, 1, 1) for values in (mean, std)
    )
    return (pixels.float() / 255 - centre) / spread


def check_door(pixels: "torch.Tensor", px: int, low: float = -1.0, high: float = 1.0) -> None:
    """Raise `EngineError` unless `pixels` are (n, 3, px, px) floats in [low, high].

    A wrong size that happens to be a multiple of the patch passes silently through a ViT.
    """
    if pixels.ndim != 4 or tuple(pixels.shape[1:]) != (3, px, px):
        raise EngineError(
            f"the model takes images of {px} x {px} pixels, not {tuple(pixels.shape)}: resize them"
        )
    if not pixels.is_floating_point():
        raise EngineError(f"the model takes floats, not {pixels.dtype}: divide by 255 first")
    if pixels.numel() and not (low - 1e-4 <= pixels.min() and pixels.max() <= high + 1e-4):
        raise EngineError(
            f"pixel values lie in [{float(pixels.min()):.3g}, {float(pixels.max()):.3g}], the "
            f"model takes [{low:g}, {high:g}]"
        )
