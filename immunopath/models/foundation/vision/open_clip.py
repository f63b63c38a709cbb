"""Any open_clip model as a zero-shot phenotype scorer: by name with weights, hub id or folder.

``open_clip:ViT-B-32,pretrained=FILE.safetensors`` or a tag that open_clip knows in place of the
file, ``open_clip:owner/name`` (a hub repository) or ``open_clip:FOLDER`` with
``open_clip_config.json`` and one safetensors file. A name without weights is refused: open_clip
would go on with random ones.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from immunopath.domain.errors import EngineUnavailable, WeightsCorrupted, first_line
from immunopath.models.foundation.devices import check_device
from immunopath.models.foundation.vision.clip_scoring import F32
from immunopath.models.foundation.vision.open_clip_source import (
    Checkpoint,
    Meant,
    find_checkpoint,
    library,
    meant,
)
from immunopath.models.foundation.vision.resize import METHODS, Method, at_the_door
from immunopath.models.foundation.vision.zero_shot import (
    OPTIONS,
    DualEncoder,
    ScorerOptions,
    ZeroShotPhenotype,
)
from immunopath.models.foundation.weights import Source, require_weights
from immunopath.models.protocols import RGB
from immunopath.models.spec import EngineSpec

PACKAGES: Final = ("torch", "open-clip-torch", "torchvision", "safetensors")
DOCTOR: Final = "immunopath.models.foundation.vision.doctor_vision:check_open_clip"


class OpenClipEncoder:
    """A loaded open_clip model; images and texts become unit rows."""

    def __init__(self, model: Any, tokenizer: Any, device: str) -> None:  # noqa: ANN401
        self._model, self._tokenizer, self._device = model, tokenizer, device
        config = dict(model.visual.preprocess_cfg)
        size = config["size"]
        self.px = int(size if isinstance(size, int) else size[0])
        self._mean, self._std = tuple(config["mean"]), tuple(config["std"])
        way = str(config.get("interpolation", "bicubic"))
        self.own_method: Method = next((m for m in METHODS if m == way), "bicubic")
        self.method: Method = self.own_method

    def images(self, batch: Sequence[RGB]) -> F32:
        """Return unit rows (n, d) for views of any shape, which are resized to the model's size."""
        import torch

        pixels = at_the_door(batch, self.px, self.method, self._mean, self._std)
        with torch.inference_mode():
            rows = self._model.encode_image(pixels.to(self._device), normalize=True)
        return np.ascontiguousarray(rows.float().cpu().numpy(), dtype=np.float32)

    def texts(self, prompts: Sequence[str]) -> F32:
        """Return unit rows; raises `EngineUnavailable` for a prompt that would be cut off."""
        import torch

        limit = int(getattr(self._model, "context_length", None) or self._tokenizer.context_length)
        for prompt in prompts if hasattr(self._tokenizer, "encode") else ():
            if len(self._tokenizer.encode(prompt)) + 2 > limit:
                raise EngineUnavailable(
                    f"prompt {prompt!r} is too long, the model reads {limit} tokens: shorten it"
                )
        tokens = self._tokenizer(list(prompts)).to(self._device)
        with torch.inference_mode():
            rows = self._model.encode_text(tokens, normalize=True)
        return np.ascontiguousarray(rows.float().cpu().numpy(), dtype=np.float32)

    @property
    def scale(self) -> float:
        """What multiplies cosines."""
        return float(self._model.logit_scale.detach().float().exp())

    @property
    def bias(self) -> float | None:
        """What is added to them; None for a model that was not trained with a sigmoid loss."""
        bias = getattr(self._model, "logit_bias", None)
        return None if bias is None else float(bias.detach().float())


def load_encoder(checkpoint: Checkpoint, device: str) -> OpenClipEncoder:
    """Return the encoder; raises `WeightsCorrupted` when weights and model do not fit."""
    clip = library()
    from safetensors import SafetensorError

    try:
        model = clip.create_model(
            checkpoint.name,
            pretrained=None if ":" in checkpoint.name else str(checkpoint.file),
            require_pretrained=True,
            force_preprocess_cfg=checkpoint.preprocess or None,
        )
        tokenizer = clip.get_tokenizer(checkpoint.name)
    except (
        SafetensorError,
        OSError,
        RuntimeError,
        ValueError,
        LookupError,
        AssertionError,
    ) as error:
        raise WeightsCorrupted(
            f"{checkpoint.file}: not the weights of this model, or damaged "
            f"({first_line(error, 160)})"
        ) from error
    return OpenClipEncoder(model.to(device).eval(), tokenizer, device)


def parse(spec: EngineSpec) -> tuple[Meant, ScorerOptions]:
    """Return what an engine string asks for; raises `EngineSpecError` naming the option.

    Where it names no resize the options say ``bicubic``, until the model's own way is known.
    """
    spec.refuse_extras("pretrained", "revision", *OPTIONS, source=True)
    options = ScorerOptions.of(spec, "bicubic")
    return meant(spec), options


def hub_sources(spec: EngineSpec) -> tuple[Source, ...]:
    """Return the repository or folder of an engine string; none for a name with a file."""
    weights = parse(spec)[0].weights
    return (weights,) if isinstance(weights, Source) else ()


def check_files(spec: EngineSpec) -> None:
    """Raise `WeightsCorrupted` unless the file that ``pretrained=`` names is there."""
    weights = parse(spec)[0].weights
    if isinstance(weights, Path):
        require_weights(weights)


def build(spec: EngineSpec, device: str = "cpu") -> ZeroShotPhenotype:
    """Return the scorer of ``open_clip:<name, hub id or folder>``.

    Options: pretrained, revision, and those of every zero-shot scorer; resize defaults to the
    model's own way. Raises `EngineSpecError` and the `EngineUnavailable` family.
    """
    what, options = parse(spec)
    check_device(device)
    checkpoint = find_checkpoint(what)
    encoder = load_encoder(checkpoint, device)
    options = replace(options, resize=spec.choice("resize", METHODS, encoder.own_method))
    encoder.method = options.resize
    return ZeroShotPhenotype(
        DualEncoder(
            engine="open_clip",
            revision=checkpoint.revision,
            weights_digest=checkpoint.digest,
            px=encoder.px,
            licence="per model",
            gated=False,
            description="open_clip zero-shot",
            images=encoder.images,
            texts=encoder.texts,
            scale=encoder.scale,
            bias=encoder.bias,
        ),
        options,
    )
