"""Vision encoders of transformers as embedders: ``hf-vision:<hub id or folder>``.

The user says at which resolution (``mpp=``, default 0.5 µm per pixel): a general encoder has none
of its own. Mean, spread and input size are those of the checkpoint's own processor.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from immunopath.domain.errors import (
    CheckpointClassError,
    EngineSpecError,
    ImageSizeError,
    first_line,
)
from immunopath.models.foundation.hf_loading import (
    DTYPES,
    Placement,
    load_model,
    load_processor,
    placement,
    transformers,
)
from immunopath.models.foundation.vision.resize import normalised
from immunopath.models.foundation.vision.tile_embedder import (
    F32,
    OPTIONS,
    TileEmbedder,
    TileOptions,
    VisionModel,
)
from immunopath.models.foundation.weights import Source
from immunopath.models.protocols import RGB
from immunopath.models.spec import EngineSpec

PACKAGES: Final = ("torch", "transformers", "safetensors")
DOCTOR: Final = "immunopath.models.foundation.vision.doctor_vision:check_hf_vision"
POOLS: Final = ("auto", "cls", "mean", "pooler")
"""``auto``: the image features of an image-text model, else the CLS token of a ViT, else the pooled
output of a convolutional network."""


def normaliser(
    mean: Sequence[float], std: Sequence[float], where: Placement
) -> Callable[[RGB], Any]:
    """Return the function from (n, px, px, 3) uint8 to the model's (n, 3, px, px) floats."""
    import torch

    def prepare(stacked: RGB) -> Any:  # noqa: ANN401 - a torch.Tensor
        pixels = torch.from_numpy(np.ascontiguousarray(stacked)).permute(0, 3, 1, 2)
        return normalised(pixels, mean, std).to(where.device, where.dtype)

    return prepare


def pooled(model: Any, pixels: Any, pool: str) -> Any:  # noqa: ANN401 - torch values
    """Return (n, size) features of a transformers vision model; see `POOLS`.

    Raises `EngineSpecError` for a pooling that the model does not have.
    """
    if pool == "auto" and hasattr(model, "get_image_features"):
        out = model.get_image_features(pixel_values=pixels)
        return getattr(out, "pooler_output", out)
    out = model(pixel_values=pixels)
    tokens = out.last_hidden_state
    if pool == "pooler" or (pool == "auto" and (tokens.ndim == 4 or not _has_cls(model))):
        if getattr(out, "pooler_output", None) is None:
            raise EngineSpecError("pool=pooler: the model has no pooler; use cls or mean")
        return out.pooler_output.flatten(1)
    if tokens.ndim != 3:
        raise EngineSpecError(f"pool={pool}: the model has no tokens; use pool=pooler")
    if pool == "mean":
        extra = getattr(model.config, "num_register_tokens", 0)
        return tokens[:, 1 + extra if _has_cls(model) else 0 :].mean(dim=1)
    return tokens[:, 0]


def _has_cls(model: Any) -> bool:  # noqa: ANN401
    """Return whether the first token is a CLS token: Swin's and SigLIP's is just a patch."""
    names = (name for name, _ in model.named_parameters())
    return any(name.endswith(("cls_token", "class_embedding")) for name in names)


def input_px(processor: Any, source: str) -> int:  # noqa: ANN401
    """Return the side of the square that a processor makes; raises `ImageSizeError`."""
    for name in ("crop_size", "size"):
        given = getattr(processor, name, None)
        size = dict(given) if given else {}
        if name == "crop_size" and not getattr(processor, "do_center_crop", False):
            continue
        side = size.get("height") or size.get("shortest_edge")
        if side and size.get("width") in (None, side):
            return int(side)
    raise ImageSizeError(f"{source}: its image processor states no square input size")


@dataclass(frozen=True)
class Request:
    """A parsed engine string."""

    source: Source
    pool: str
    options: TileOptions


def parse(spec: EngineSpec) -> Request:
    """Return what an engine string asks for; raises `EngineSpecError` naming the option."""
    spec.refuse_extras("revision", "dtype", "pool", *OPTIONS, source=True)
    if spec.source is None:
        raise EngineSpecError(f"engine {spec}: no model; say which model: hf-vision:<id or folder>")
    spec.choice("dtype", DTYPES)
    source = Source.of(spec, spec.source)
    return Request(source, spec.choice("pool", POOLS), TileOptions.of(spec))


def hub_sources(spec: EngineSpec) -> tuple[Source, ...]:
    """Return the checkpoint of an engine string; raises `EngineSpecError`."""
    return (parse(spec).source,)


def build_hf(spec: EngineSpec, device: str = "cpu") -> TileEmbedder:
    """Return the embedder of ``hf-vision:<id-or-folder>``.

    Options: mpp, view, batch, revision, dtype, pool. Raises `EngineSpecError` and the
    `EngineUnavailable` family.
    """
    request = parse(spec)
    pool, where = request.pool, placement(spec, device)
    weights = request.source.resolve()
    # A pooler that was never trained is often not saved; it would be made up at random.
    unused = "" if pool == "pooler" else r"(^|\.)pooler\."
    model = load_model(transformers().AutoModel, weights, (), where, may_miss=unused)
    processor = load_processor("AutoImageProcessor", weights, backend="pil")
    px = input_px(processor, weights.source)
    prepare = normaliser(processor.image_mean, processor.image_std, where)
    encode = torch_encoder(lambda pixels: pooled(model, pixels, pool), prepare)
    size = probed_size(encode, px, weights.source)
    return request.options.embedder(
        VisionModel(
            name="hf-vision",
            revision=weights.label,
            weights_digest=weights.digest,
            px=px,
            size=size,
            licence="per model",
            gated=False,
            description=f"{model.config.model_type} of transformers",
            encode=encode,
            settings=settings_text(pool, processor.image_mean, processor.image_std, where),
        ),
    )


def settings_text(pool: str, mean: Sequence[float], std: Sequence[float], where: Placement) -> str:
    """Return what decides the vectors besides the weights, for the encoder's identity."""
    numbers = ",".join(f"{value:.6g}" for value in (*mean, *std))
    return f"pool={pool};mean_std={numbers};dtype={str(where.dtype).removeprefix('torch.')}"


def torch_encoder(
    forward: Callable[[Any], Any], prepare: Callable[[RGB], Any]
) -> Callable[[RGB], F32]:
    """Return the function from (n, px, px, 3) uint8 to float32 rows by way of a torch model."""

    def encode(stacked: RGB) -> F32:
        import torch

        with torch.inference_mode():
            rows = forward(prepare(stacked))
        return np.ascontiguousarray(rows.float().cpu().numpy(), dtype=np.float32)

    return encode


def probed_size(encode: Callable[[RGB], F32], px: int, source: str) -> int:
    """Return how many numbers the model makes, by asking it once."""
    try:
        rows = encode(np.zeros((1, px, px, 3), np.uint8))
    except (ValueError, RuntimeError, TypeError, AttributeError) as error:
        raise CheckpointClassError(
            f"{source}: does not embed images of {px} px ({first_line(error, 160)}); give a "
            "vision encoder with the processor that belongs to it"
        ) from error
    return int(rows.shape[1])
