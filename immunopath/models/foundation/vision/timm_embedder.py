"""Vision encoders of timm as embedders: ``timm:<hub id, folder or architecture>``."""

from collections.abc import Callable
from dataclasses import dataclass
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
from immunopath.models.foundation.hf_loading import DTYPES, placement, require_safetensors
from immunopath.models.foundation.vision.tile_embedder import (
    OPTIONS,
    TileEmbedder,
    TileOptions,
    VisionModel,
)
from immunopath.models.foundation.vision.vision_embedder import (
    normaliser,
    probed_size,
    settings_text,
    torch_encoder,
)
from immunopath.models.foundation.weights import Source, is_folder, require_weights, sha256_of
from immunopath.models.spec import EngineSpec
from immunopath.models.torchvision_guard import guard_torchvision

PACKAGES: Final = ("torch", "timm", "torchvision", "safetensors")
DOCTOR: Final = "immunopath.models.foundation.vision.doctor_vision:check_timm"
_FILES: Final = ("model.safetensors", "config.json")


@dataclass(frozen=True)
class Request:
    """A parsed engine string: a hub id or folder, or else an architecture with its file."""

    source: Source | None
    architecture: str
    file: Path
    options: TileOptions


def parse(spec: EngineSpec) -> Request:
    """Return what an engine string asks for; raises `EngineSpecError`, `UnsafeWeights`."""
    spec.refuse_extras("revision", "dtype", "pretrained", *OPTIONS, source=True)
    if spec.source is None:
        raise EngineSpecError(
            f"engine {spec}: no model; say which model: timm:<hub id, folder or name>"
        )
    spec.choice("dtype", DTYPES)
    file, options = spec.options.get("pretrained"), TileOptions.of(spec)
    name = spec.source.removeprefix("hf-hub:")
    if is_folder(name) or "/" in name:
        if file is not None:
            raise EngineSpecError(f"engine {spec}: pretrained= goes with a name; leave it out")
        return Request(Source.of(spec, name, _FILES), "", Path(), options)
    if file is None:
        raise EngineSpecError(
            f"engine {spec}: no weights; give a hub id (owner/name), a folder, or an architecture "
            "of timm with pretrained=FILE.safetensors"
        )
    if "revision" in spec.options:
        raise EngineSpecError(f"engine {spec}: revision= goes with a hub id; a file has none")
    if not file.endswith(".safetensors"):
        raise UnsafeWeights(f"{file}: no .safetensors file; pickled weights are never loaded")
    return Request(None, name, Path(file).expanduser(), options)


def hub_sources(spec: EngineSpec) -> tuple[Source, ...]:
    """Return the checkpoint of an engine string; none for an architecture with a file."""
    source = parse(spec).source
    return () if source is None else (source,)


def check_files(spec: EngineSpec) -> None:
    """Raise `WeightsCorrupted` unless the file that ``pretrained=`` names is there."""
    request = parse(spec)
    if request.source is None:
        require_weights(request.file)


def build(spec: EngineSpec, device: str = "cpu") -> TileEmbedder:
    """Return the embedder of ``timm:<hub id, folder or architecture>``.

    An architecture needs ``pretrained=FILE.safetensors``. Options: mpp, view, batch, revision,
    dtype, pretrained. Raises `EngineSpecError` and the `EngineUnavailable` family.
    """
    request = parse(spec)
    where = placement(spec, device)
    model, digest, revision = _timm_model(request)
    settings = library().data.resolve_model_data_config(model)
    mean, std, px = settings["mean"], settings["std"], int(settings["input_size"][-1])
    model = model.to(where.device, where.dtype).eval()
    encode = torch_encoder(model, normaliser(mean, std, where))
    return request.options.embedder(
        VisionModel(
            name="timm",
            revision=revision,
            weights_digest=digest,
            px=px,
            size=probed_size(encode, px, str(spec.source)),
            licence="per model",
            gated=False,
            description=f"{model.default_cfg['architecture']} of timm",
            encode=encode,
            settings=settings_text("timm", mean, std, where),
        ),
    )


def library() -> Any:  # noqa: ANN401 - no types
    """Return the timm module, torchvision guarded; raises `EngineUnavailable`."""
    guard_torchvision()
    try:
        return import_module("timm")
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            f"the package {error.name!r} is not installed: pip install 'immunopath[openclip]'"
        ) from error


def check_architecture(request: Request) -> None:
    """Raise `EngineSpecError` for an architecture that timm does not know."""
    if request.source is None and not library().is_model(request.architecture):
        raise EngineSpecError(
            f"timm:{request.architecture}: timm has no architecture of that name; see "
            "timm.list_models(), or give a hub id (owner/name) or a folder"
        )


def _timm_model(request: Request) -> tuple[Any, str, str]:
    """Return the timm model with its weights, their digest and the revision."""
    timm = library()
    check_architecture(request)
    if request.source is None:
        return _timm_file(timm, request.architecture, request.file)
    weights = request.source.resolve()
    require_safetensors(weights)
    local = f"local-dir:{weights.folder}"
    model = _made(lambda: timm.create_model(local, pretrained=True, num_classes=0), weights.source)
    return model, weights.digest, weights.label


def _timm_file(timm: Any, name: str, path: Path) -> tuple[Any, str, str]:  # noqa: ANN401
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
