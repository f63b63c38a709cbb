"""Vision encoders of timm as embedders: ``timm:<hub id, folder or architecture>``."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from immunopath.domain.errors import (
    EngineSpecError,
    EngineUnavailable,
    UnsafeWeights,
    WeightsCorrupted,
    first_line,
)
from immunopath.models.foundation.hf_loading import placement, require_safetensors
from immunopath.models.foundation.vision.tile_embedder import (
    OPTIONS,
    TileEmbedder,
    VisionModel,
    tile_embedder,
)
from immunopath.models.foundation.vision.vision_embedder import (
    normaliser,
    probed_size,
    settings_text,
    torch_encoder,
)
from immunopath.models.foundation.weights import is_folder, resolve_weights, sha256_of
from immunopath.models.spec import EngineSpec
from immunopath.models.torchvision_guard import guard_torchvision

PACKAGES: Final = ("torch", "timm", "torchvision", "safetensors")
_FILES: Final = ("model.safetensors", "config.json")


def hub_sources(spec: EngineSpec) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the checkpoint of an engine string; none for an architecture with a file."""
    source = spec.source or ""
    return ((source.removeprefix("hf-hub:"), _FILES),) if "/" in source else ()


def build(spec: EngineSpec, device: str = "cpu") -> TileEmbedder:
    """Return the embedder of ``timm:<hub id, folder or architecture>``.

    An architecture needs ``pretrained=FILE.safetensors``. Options: mpp, view, batch, revision,
    dtype, pretrained. Raises `EngineSpecError` and the `EngineUnavailable` family.
    """
    spec.refuse_extras("revision", "dtype", "pretrained", *OPTIONS, source=True)
    model, digest, revision = _timm_model(spec)
    where = placement(spec, device)
    guard_torchvision()
    settings = import_module("timm.data").resolve_model_data_config(model)
    mean, std, px = settings["mean"], settings["std"], int(settings["input_size"][-1])
    model = model.to(where.device, where.dtype).eval()
    encode = torch_encoder(model, normaliser(mean, std, where))
    return tile_embedder(
        spec,
        VisionModel(
            name="timm",
            revision=revision,
            weights_digest=digest,
            px=px,
            size=probed_size(encode, px, str(spec.source)),
            licence="per model",
            gated=False,
            description=f"{settings.get('architecture', 'vision model')} of timm",
            encode=encode,
            settings=settings_text("timm", mean, std, where),
        ),
    )


def _timm_model(spec: EngineSpec) -> tuple[Any, str, str]:
    """Return the timm model with its weights, their digest and the revision."""
    guard_torchvision()
    source, file = spec.source, spec.options.get("pretrained")
    if source is None:
        raise EngineSpecError(f"engine {spec}: say which model: timm:<hub id, folder or name>")
    try:
        timm = import_module("timm")
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            f"the package {error.name!r} is not installed: pip install 'immunopath[openclip]'"
        ) from error
    if is_folder(source) or "/" in source:
        if file is not None:
            raise EngineSpecError(f"engine {spec}: pretrained= goes with an architecture's name")
        weights = resolve_weights(
            source.removeprefix("hf-hub:"),
            revision=spec.options.get("revision"),
            patterns=_FILES,
        )
        require_safetensors(weights)
        local = f"local-dir:{weights.folder}"
        model = _made(lambda: timm.create_model(local, pretrained=True, num_classes=0), source)
        return model, weights.digest, weights.label
    if not timm.is_model(source) or file is None:
        raise EngineSpecError(
            f"engine {spec}: give a hub id (owner/name), a folder, or an architecture of timm with "
            "pretrained=FILE.safetensors"
        )
    return _timm_file(timm, source, Path(file).expanduser())


def _timm_file(timm: Any, name: str, path: Path) -> tuple[Any, str, str]:  # noqa: ANN401
    if path.suffix != ".safetensors":
        raise UnsafeWeights(f"{path}: no .safetensors file; pickled weights are never loaded")
    digest = sha256_of(path)

    def make() -> Any:  # noqa: ANN401
        from safetensors.torch import load_file

        model = timm.create_model(name, pretrained=False, num_classes=0)
        head = model.default_cfg.get("classifier", ())
        heads = tuple(f"{h}." for h in ((head,) if isinstance(head, str) else head))
        kept = {k: v for k, v in load_file(path).items() if not (heads and k.startswith(heads))}
        model.load_state_dict(kept, strict=True)
        return model

    return _made(make, str(path)), digest, f"{name} sha256-{digest[:12]}"


def _made(make: Callable[[], Any], source: str) -> Any:  # noqa: ANN401
    from safetensors import SafetensorError

    try:
        return make()
    except (SafetensorError, OSError, RuntimeError, ValueError, LookupError) as error:
        raise WeightsCorrupted(
            f"{source}: the weights do not fit the model or are damaged ({first_line(error, 160)})"
        ) from error
