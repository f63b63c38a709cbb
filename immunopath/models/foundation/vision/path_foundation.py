"""Path Foundation (a ViT-S trained in JAX) as an embedder: SavedModel through TensorFlow, or ONNX.

Input float32 (n, 224, 224, 3) in [0, 1], no mean and spread; signature ``serving_default``, output
``output_0`` (n, 384). The model card's loader is gone from huggingface_hub and Keras 3 does not
open the file: ``tf.saved_model.load`` is the route that works. It saw patches at 0.5, 1 and 2 µm
per pixel; squeezing a 512 px patch into 224 px is none of them.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from immunopath.domain.errors import (
    CheckpointClassError,
    EngineSpecError,
    EngineUnavailable,
    HubError,
    WeightsCorrupted,
    first_line,
)
from immunopath.models.foundation.devices import check_device
from immunopath.models.foundation.pins import read_pin
from immunopath.models.foundation.vision.onnx_embedder import onnx_encoder, require_onnx
from immunopath.models.foundation.vision.tile_embedder import (
    F32,
    OPTIONS,
    TileEmbedder,
    TileOptions,
    VisionModel,
)
from immunopath.models.foundation.weights import (
    Source,
    is_folder,
    locate,
    sha256_of,
)
from immunopath.models.protocols import RGB
from immunopath.models.spec import EngineSpec

DEFAULT_SOURCE: Final = "google/path-foundation"
PX: Final = 224
SIZE: Final = 384
TRAINED_MPP: Final = (0.5, 1.0, 2.0)
SIGNATURE: Final = "serving_default"
OUTPUT: Final = "output_0"
RUNTIMES: Final = ("auto", "tf", "onnx")
_FILES: Final = ("saved_model.pb", "variables/*", "*.onnx")


def tensorflow(device: str) -> Any:  # noqa: ANN401 - no types
    """Return the TensorFlow module; on a CPU it leaves GPUs to torch.

    Raises `EngineUnavailable` without the package.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        tf = import_module("tensorflow")
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            f"the package {error.name!r} is not installed: pip install "
            "'immunopath[path-foundation]', or give an .onnx file"
        ) from error
    try:
        if device == "cpu":
            tf.config.set_visible_devices([], "GPU")
        for gpu in tf.config.list_physical_devices("GPU") if device != "cpu" else ():
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError:
        pass  # TensorFlow is in use already in this process; its devices are settled
    return tf


def saved_model_encoder(folder: Path, source: str, device: str) -> Callable[[RGB], F32]:
    """Return the encoder of a SavedModel: (n, 224, 224, 3) uint8 to (n, 384).

    Raises `WeightsCorrupted` when it cannot be read, `CheckpointClassError` when its signature is
    not that of Path Foundation.
    """
    tf = tensorflow(device)
    try:
        loaded = tf.saved_model.load(str(folder))
    except (OSError, ValueError, LookupError, AttributeError, tf.errors.OpError) as error:
        raise WeightsCorrupted(
            f"{source}: the SavedModel cannot be read ({first_line(error, 160)}); fetch it again"
        ) from error
    call = loaded.signatures.get(SIGNATURE)
    inputs = dict(call.structured_input_signature[1]) if call is not None else {}
    outputs = dict(call.structured_outputs) if call is not None else {}
    fits = (
        len(inputs) == 1
        and OUTPUT in outputs
        and tuple(next(iter(inputs.values())).shape)[1:] == (PX, PX, 3)
        and tuple(outputs[OUTPUT].shape)[1:] == (SIZE,)
    )
    if not fits:
        raise CheckpointClassError(
            f"{source}: no Path Foundation: it has no signature {SIGNATURE} from ({PX}, {PX}, 3) "
            f"to {OUTPUT} ({SIZE},); other encoders are hf-vision:<id> and timm:<id>"
        )
    name = next(iter(inputs))

    def encode(stacked: RGB) -> F32:
        pixels = tf.constant(stacked.astype(np.float32) / 255)
        return np.asarray(call(**{name: pixels})[OUTPUT].numpy(), np.float32)

    encode.keeps = loaded  # type: ignore[attr-defined]  # its variables die with the object
    return encode


@dataclass(frozen=True)
class Request:
    """A parsed engine string: a hub id or folder, or else one ``.onnx`` file."""

    source: Source | None
    file: Path
    runtime: str
    options: TileOptions


def parse(spec: EngineSpec) -> Request:
    """Return what an engine string asks for; raises `EngineSpecError` naming the option."""
    spec.refuse_extras("revision", "runtime", *OPTIONS, source=True)
    runtime, options = spec.choice("runtime", RUNTIMES), TileOptions.of(spec, TRAINED_MPP[0])
    if options.mpp not in TRAINED_MPP:
        known = ", ".join(f"{m:g}" for m in TRAINED_MPP)
        raise EngineSpecError(
            f"engine {spec}: mpp={options.mpp:g} does not do; it was trained at {known} µm/px"
        )
    name = spec.source or DEFAULT_SOURCE
    if not name.endswith(".onnx"):
        return Request(Source.of(spec, name, _FILES), Path(), runtime, options)
    if runtime == "tf":
        raise EngineSpecError(f"engine {spec}: an .onnx file does not run in TensorFlow; use auto")
    if "revision" in spec.options:
        raise EngineSpecError(f"engine {spec}: revision= goes with a hub id; a file has none")
    return Request(None, Path(name).expanduser(), "onnx", options)


@dataclass(frozen=True)
class Found:
    """The files of one runtime: a SavedModel's folder or an ONNX file, digest and revision."""

    path: Path
    runtime: Literal["tf", "onnx"]
    digest: str
    revision: str


def find_files(request: Request) -> Found:
    """Return the files that are meant; with runtime=auto an ONNX file where there is one.

    Raises `CheckpointClassError` and what resolving raises.
    """
    if request.source is None:
        require_onnx(request.file)
        digest = sha256_of(request.file)
        return Found(request.file, "onnx", digest, f"sha256-{digest[:12]}")
    weights, runtime = request.source.resolve(), request.runtime
    found = sorted(name for name in weights.files if name.endswith(".onnx"))
    if runtime != "tf" and found:
        if len(found) > 1:
            raise CheckpointClassError(f"{weights.source}: several .onnx files; name one of them")
        digest = weights.files[found[0]]
        revision = weights.revision or f"sha256-{digest[:12]}"
        return Found(weights.folder / found[0], "onnx", digest, revision)
    if runtime == "onnx":
        raise CheckpointClassError(f"{weights.source}: no .onnx file; use runtime=tf")
    if "saved_model.pb" not in weights.files:
        raise CheckpointClassError(
            f"{weights.source}: neither saved_model.pb nor an .onnx file; give the folder of Path "
            "Foundation's SavedModel"
        )
    return Found(weights.folder, "tf", weights.digest, weights.label)


def packages(spec: EngineSpec) -> tuple[str, ...]:
    """Return the runtime that an engine string will need, as far as the files here tell.

    A repository that is not here yet has a SavedModel, as the published one does.
    """
    runtime, source = spec.options.get("runtime", "auto"), spec.source or DEFAULT_SOURCE
    if runtime == "auto" and not source.endswith(".onnx"):
        runtime = "onnx" if _onnx_here(source, spec.options.get("revision")) else "tf"
    return ("tensorflow-cpu|tensorflow",) if runtime == "tf" else ("onnxruntime",)


def _onnx_here(source: str, revision: str | None) -> bool:
    """Return whether a folder, or the hub's cache of a repository, holds an ONNX file."""
    folder = Path(source).expanduser()
    if not is_folder(source):
        pin = read_pin(source)
        try:
            wanted = revision or (pin.revision if pin else None)
            folder = locate(source, wanted, _FILES, local=True)
        except (HubError, ModuleNotFoundError):
            return False
    return folder.is_dir() and any(folder.glob("*.onnx"))


PACKAGES: Final = packages
DOCTOR: Final = "immunopath.models.foundation.vision.doctor_vision:check_path_foundation"


def hub_sources(spec: EngineSpec) -> tuple[Source, ...]:
    """Return the SavedModel of an engine string; none for an ``.onnx`` file."""
    source = parse(spec).source
    return () if source is None else (source,)


def check_files(spec: EngineSpec) -> None:
    """Raise `WeightsCorrupted` unless the ``.onnx`` file that is named is there."""
    request = parse(spec)
    if request.source is None:
        require_onnx(request.file)


def build(spec: EngineSpec, device: str = "cpu") -> TileEmbedder:
    """Return the embedder of ``path-foundation[:id, folder or .onnx file]``.

    Options: mpp (0.5, 1 or 2), view, batch, revision, runtime. Raises `EngineSpecError` and the
    `EngineUnavailable` family.
    """
    request = parse(spec)
    check_device(device)
    found = find_files(request)
    if found.runtime == "onnx":
        encode = onnx_encoder(found.path, device, PX, SIZE)
    else:
        encode = saved_model_encoder(found.path, spec.source or DEFAULT_SOURCE, device)
    return request.options.embedder(
        VisionModel(
            name="path-foundation",
            revision=found.revision,
            weights_digest=found.digest,
            px=PX,
            size=SIZE,
            licence="HAI-DEF",
            gated=True,
            description=f"Path Foundation ViT-S, {found.runtime}",
            encode=encode,
        ),
    )
