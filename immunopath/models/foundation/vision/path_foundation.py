"""Path Foundation (a ViT-S trained in JAX) as an embedder: SavedModel through TensorFlow, or ONNX.

Input float32 (n, 224, 224, 3) in [0, 1], no mean and spread; signature ``serving_default``, output
``output_0`` (n, 384). The model card's loader is gone from huggingface_hub and Keras 3 does not
open the file: ``tf.saved_model.load`` is the route that works. It saw patches at 0.5, 1 and 2 µm
per pixel; squeezing a 512 px patch into 224 px is none of them.
"""

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np

from immunopath.domain.errors import (
    CheckpointClassError,
    EngineSpecError,
    EngineUnavailable,
    HubError,
    WeightsCorrupted,
    first_line,
)
from immunopath.models.foundation.pins import read_pin
from immunopath.models.foundation.vision.onnx_embedder import onnx_encoder
from immunopath.models.foundation.vision.tile_embedder import (
    F32,
    OPTIONS,
    TileEmbedder,
    VisionModel,
    tile_embedder,
)
from immunopath.models.foundation.vision.zero_shot import number
from immunopath.models.foundation.weights import (
    Weights,
    is_folder,
    locate,
    resolve_weights,
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


def find_files(spec: EngineSpec) -> tuple[Weights | None, Path | None, str]:
    """Return the SavedModel's weights, the ONNX file and the runtime that a spec means.

    The source is a hub id, a folder (of either or both) or an ``.onnx`` file. With runtime=auto
    an ONNX file is used when there is one. Raises `EngineSpecError`, `CheckpointClassError`.
    """
    runtime = spec.options.get("runtime", "auto")
    if runtime not in RUNTIMES:
        raise EngineSpecError(f"engine {spec}: runtime={runtime!r}; use {', '.join(RUNTIMES)}")
    source = spec.source or DEFAULT_SOURCE
    if source.endswith(".onnx"):
        if runtime == "tf":
            raise EngineSpecError(f"engine {spec}: an .onnx file does not run in TensorFlow")
        return None, Path(source).expanduser(), "onnx"
    weights = resolve_weights(source, revision=spec.options.get("revision"), patterns=_FILES)
    found = sorted(name for name in weights.files if name.endswith(".onnx"))
    if runtime != "tf" and found:
        if len(found) > 1:
            raise CheckpointClassError(f"{source}: several .onnx files; name one of them")
        return weights, weights.folder / found[0], "onnx"
    if runtime == "onnx":
        raise CheckpointClassError(f"{source}: no .onnx file; use runtime=tf")
    if "saved_model.pb" not in weights.files:
        raise CheckpointClassError(
            f"{source}: neither saved_model.pb nor an .onnx file; give the folder of Path "
            "Foundation's SavedModel"
        )
    return weights, None, "tf"


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


def hub_sources(spec: EngineSpec) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the SavedModel of an engine string; none for an ``.onnx`` file."""
    source = spec.source or DEFAULT_SOURCE
    return () if source.endswith(".onnx") else ((source, _FILES),)


def build(spec: EngineSpec, device: str = "cpu") -> TileEmbedder:
    """Return the embedder of ``path-foundation[:id, folder or .onnx file]``.

    Options: mpp (0.5, 1 or 2), view, batch, revision, runtime. Raises `EngineSpecError` and the
    `EngineUnavailable` family.
    """
    spec.refuse_extras("revision", "runtime", *OPTIONS, source=True)
    mpp = number(spec, "mpp", TRAINED_MPP[0], 0.05, 20.0)
    if mpp not in TRAINED_MPP:
        known = ", ".join(f"{m:g}" for m in TRAINED_MPP)
        raise EngineSpecError(f"engine {spec}: the model was trained at {known} µm per pixel")
    source = spec.source or DEFAULT_SOURCE
    weights, onnx, runtime = find_files(spec)
    if onnx is not None:
        encode = onnx_encoder(onnx, device, PX, SIZE)
        digest = sha256_of(onnx)
    else:
        assert weights is not None
        encode = saved_model_encoder(weights.folder, source, device)
        digest = weights.digest
    hub = weights.revision if weights is not None else None
    return tile_embedder(
        spec,
        VisionModel(
            name="path-foundation",
            revision=hub or f"sha256-{digest[:12]}",
            weights_digest=digest,
            px=PX,
            size=SIZE,
            licence="HAI-DEF",
            gated=True,
            description=f"Path Foundation ViT-S, {runtime}",
            encode=encode,
        ),
    )
