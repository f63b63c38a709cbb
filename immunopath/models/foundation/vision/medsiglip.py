"""MedSigLIP (or any SigLIP checkpoint of transformers) as a zero-shot phenotype scorer.

What SigLIP insists on and other code gets wrong: images of exactly the trained size in [-1, 1];
text padded to 64 tokens with ``padding="max_length"`` and **no** attention mask (it was trained
without one); logits are ``exp(logit_scale) * cosine + logit_bias``.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from immunopath.domain.errors import EngineUnavailable, ImageSizeError, ProcessorMissing
from immunopath.models.foundation.hf_loading import (
    DTYPES,
    Placement,
    load_model,
    load_processor,
    placement,
    transformers,
)
from immunopath.models.foundation.vision.clip_scoring import F32
from immunopath.models.foundation.vision.resize import Method, at_the_door, check_door
from immunopath.models.foundation.vision.zero_shot import (
    OPTIONS,
    DualEncoder,
    ScorerOptions,
    ZeroShotPhenotype,
)
from immunopath.models.foundation.weights import Source, Weights
from immunopath.models.protocols import RGB
from immunopath.models.spec import EngineSpec

DEFAULT_SOURCE: Final = "google/medsiglip-448"
LICENCE: Final = "HAI-DEF"
MODEL_TYPES: Final = ("siglip",)
PACKAGES: Final = ("torch", "transformers", "safetensors", "sentencepiece", "protobuf")
DOCTOR: Final = "immunopath.models.foundation.vision.doctor_vision:check_medsiglip"


class SiglipEncoder:
    """A loaded SigLIP model; images and texts become unit rows."""

    def __init__(self, model: Any, tokenizer: Any, method: Method) -> None:  # noqa: ANN401
        self._model, self._tokenizer, self._method = model, tokenizer, method
        self.px = int(model.config.vision_config.image_size)
        self.tokens = int(model.config.text_config.max_position_embeddings)

    def images(self, batch: Sequence[RGB]) -> F32:
        """Return unit rows (n, d) for views of any shape, which are resized to the model's size."""
        return self.embed_pixels(at_the_door(batch, self.px, self._method))

    def embed_pixels(self, pixels: Any) -> F32:  # noqa: ANN401 - a torch.Tensor
        """Return unit rows for (n, 3, px, px) floats in [-1, 1]; `EngineError` for others."""
        import torch

        check_door(pixels, self.px)
        with torch.inference_mode():
            out = self._model.get_image_features(
                pixel_values=pixels.to(self._model.device, self._model.dtype)
            )
        return unit_rows_of(out)

    def texts(self, prompts: Sequence[str]) -> F32:
        """Return unit rows; raises `EngineUnavailable` for a prompt of more than 64 tokens."""
        import torch

        encoded = self._tokenizer(list(prompts), padding=False, truncation=False)["input_ids"]
        longest = max(range(len(prompts)), key=lambda i: len(encoded[i]))
        if len(encoded[longest]) > self.tokens:
            raise EngineUnavailable(
                f"prompt {prompts[longest]!r} has {len(encoded[longest])} tokens, the model reads "
                f"{self.tokens}: shorten it"
            )
        ids = self._tokenizer(
            list(prompts), padding="max_length", max_length=self.tokens, return_tensors="pt"
        )["input_ids"]
        with torch.inference_mode():
            out = self._model.get_text_features(input_ids=ids.to(self._model.device))
        return unit_rows_of(out)

    @property
    def scale(self) -> float:
        """What multiplies cosines."""
        return float(self._model.logit_scale.detach().float().exp())

    @property
    def bias(self) -> float:
        """What is added to them."""
        return float(self._model.logit_bias.detach().float())


def unit_rows_of(out: Any) -> F32:  # noqa: ANN401 - a tensor (4.x) or a model output (5.x)
    """Return unit float32 rows of a model's pooled features."""
    import torch

    features = out if isinstance(out, torch.Tensor) else out.pooler_output
    rows = torch.nn.functional.normalize(features.float(), dim=-1)
    return np.ascontiguousarray(rows.cpu().numpy(), dtype=np.float32)


def check_processor(processor: Any, px: int, source: str) -> None:  # noqa: ANN401
    """Raise unless the image processor says what this code does: `px` square, [0, 255] to [-1, 1].

    A checkpoint trained with other numbers would be fed wrongly without a word.
    """
    size = dict(processor.size)
    if (size.get("height"), size.get("width")) != (px, px):
        raise ImageSizeError(
            f"{source}: the image processor makes {size}, the model takes {px} x {px}; give the "
            "processor files that belong to the weights"
        )
    if {*processor.image_mean, *processor.image_std} != {0.5}:
        raise ProcessorMissing(
            f"{source}: the image processor does not map pixels to [-1, 1] (mean "
            f"{list(processor.image_mean)}); it belongs to another model"
        )


def load_encoder(weights: Weights, where: Placement, method: Method) -> SiglipEncoder:
    """Return the encoder of a checkpoint; raises the `EngineUnavailable` family."""
    model = load_model(transformers().AutoModel, weights, MODEL_TYPES, where)
    encoder_px = int(model.config.vision_config.image_size)
    tokenizer = checked_tokenizer(weights, encoder_px)
    return SiglipEncoder(model, tokenizer, method)


def checked_tokenizer(weights: Weights, px: int) -> Any:  # noqa: ANN401 - of transformers
    """Return the tokenizer after its image processor was checked; raises `ProcessorMissing`.

    `px`: side of the images that the model takes. Raises `ImageSizeError` for other ones.
    """
    processor = load_processor("AutoProcessor", weights, backend="pil")
    images = getattr(processor, "image_processor", None)
    tokenizer = getattr(processor, "tokenizer", None)
    if images is None or tokenizer is None:
        raise ProcessorMissing(
            f"{weights.source}: no image processor or no tokenizer in its processor files; put "
            "preprocessor_config.json and the tokenizer files beside the weights"
        )
    check_processor(images, px, weights.source)
    return tokenizer


def parse(spec: EngineSpec) -> tuple[Source, ScorerOptions]:
    """Return what an engine string asks for; raises `EngineSpecError` naming the option."""
    spec.refuse_extras("revision", "dtype", *OPTIONS, source=True)
    spec.choice("dtype", DTYPES)
    source = Source.of(spec, spec.source or DEFAULT_SOURCE)
    return source, ScorerOptions.of(spec, "tf-bilinear")


def hub_sources(spec: EngineSpec) -> tuple[Source, ...]:
    """Return the checkpoint of an engine string; raises `EngineSpecError`."""
    return (parse(spec)[0],)


def build(spec: EngineSpec, device: str = "cpu") -> ZeroShotPhenotype:
    """Return the scorer of ``medsiglip[:id-or-folder]``.

    Options: revision, dtype, and those of every zero-shot scorer (mpp, view, resize, batch,
    prompts, calibration, margin, agreement). Raises `EngineSpecError` for wrong options and the
    `EngineUnavailable` family for weights that cannot be had or used.
    """
    source, options = parse(spec)
    where = placement(spec, device)
    weights = source.resolve()
    encoder = load_encoder(weights, where, options.resize)
    gated = source.name == DEFAULT_SOURCE
    return ZeroShotPhenotype(
        DualEncoder(
            engine="medsiglip",
            revision=weights.label,
            weights_digest=weights.digest,
            px=encoder.px,
            licence=LICENCE if gated else "per model",
            gated=gated,
            description="MedSigLIP zero-shot",
            images=encoder.images,
            texts=encoder.texts,
            scale=encoder.scale,
            bias=encoder.bias,
        ),
        options,
    )
