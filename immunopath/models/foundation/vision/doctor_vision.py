"""What `doctor` checks of the vision engines: numbers, class of the checkpoint, memory.

Nothing is loaded: configurations and the headers of safetensors files are enough.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from immunopath.domain.errors import CheckpointClassError, ImmunoPathError
from immunopath.domain.files import read_bounded
from immunopath.models.foundation.checks import GIB, Check, attempt, failed, memory_check
from immunopath.models.foundation.hf_loading import (
    load_processor,
    placement,
    require_class,
    require_safetensors,
)
from immunopath.models.foundation.vision import (
    medsiglip,
    open_clip,
    open_clip_source,
    path_foundation,
    timm_embedder,
    vision_embedder,
)
from immunopath.models.foundation.weights import (
    Source,
    Weights,
    numbers_in,
    sha256_of,
    stored_numbers,
)
from immunopath.models.spec import EngineSpec

SMALLER = "use dtype=bfloat16, a smaller checkpoint or another device"


def check_medsiglip(head: str, spec: EngineSpec, device: str, *, loadable: bool) -> Iterator[Check]:
    """Return the rows of a ``medsiglip`` engine; `loadable`: its files are on this disk."""

    def described(weights: Weights) -> str:
        config = require_class(weights, medsiglip.MODEL_TYPES)
        px = int(config.vision_config.image_size)
        medsiglip.checked_tokenizer(weights, px)
        return f"{config.model_type}, images of {px} px, {weights.label}"

    source = medsiglip.parse(spec)[0]
    yield from _repository(head, spec, device, source if loadable else None, described)


def check_hf_vision(head: str, spec: EngineSpec, device: str, *, loadable: bool) -> Iterator[Check]:
    """Return the rows of an ``hf-vision`` engine; `loadable`: its files are on this disk."""

    def described(weights: Weights) -> str:
        config = require_class(weights, ())
        processor = load_processor("AutoImageProcessor", weights, backend="pil")
        px = vision_embedder.input_px(processor, weights.source)
        return f"{config.model_type}, images of {px} px, {weights.label}"

    source = vision_embedder.parse(spec).source
    yield from _repository(head, spec, device, source if loadable else None, described)


def check_timm(head: str, spec: EngineSpec, device: str, *, loadable: bool) -> Iterator[Check]:
    """Return the rows of a ``timm`` engine; `loadable`: its files are on this disk."""
    request = timm_embedder.parse(spec)
    if request.source is not None:
        source = request.source if loadable else None
        yield from _repository(head, spec, device, source, _timm_config)
        return

    def described() -> str:
        timm_embedder.check_architecture(request)
        return f"{request.architecture}, sha256-{sha256_of(request.file)[:12]}"

    yield _numbers(head, spec, device)
    yield from _file(head, spec, device, request.file, described)


def check_open_clip(head: str, spec: EngineSpec, device: str, *, loadable: bool) -> Iterator[Check]:
    """Return the rows of an ``open_clip`` engine; `loadable`: its files are on this disk."""
    what = open_clip.parse(spec)[0]
    yield _numbers(head, spec, device)
    if isinstance(what.weights, Path):
        file = what.weights
        yield from _file(
            head, spec, device, file, lambda: f"{what.name}, sha256-{sha256_of(file)[:12]}"
        )
    elif loadable:
        try:
            found = open_clip_source.find_checkpoint(what)
        except ImmunoPathError as error:
            yield failed(f"{head}: checkpoint", error)
            return
        yield from _file(
            head,
            spec,
            device,
            found.file,
            lambda: f"{what.name or _clip_name(found)}, {found.revision}",
        )


def check_path_foundation(
    head: str, spec: EngineSpec, device: str, *, loadable: bool
) -> Iterator[Check]:
    """Return the rows of a ``path-foundation`` engine; `loadable`: its files are on this disk."""
    request = path_foundation.parse(spec)
    yield _numbers(head, spec, device)
    if request.source is not None and not loadable:
        return
    label = f"{head}: checkpoint"
    try:
        found = path_foundation.find_files(request)
    except ImmunoPathError as error:
        yield failed(label, error)
        return
    kind = "SavedModel" if found.runtime == "tf" else f"ONNX file {found.path.name}"
    yield Check(label, "ok", f"{kind}, {found.revision}; its shapes are checked when it is loaded")
    inside = found.path.rglob("*") if found.path.is_dir() else [found.path]
    need = sum(path.stat().st_size for path in inside if path.is_file())
    yield memory_check(
        f"{head}: memory",
        need,
        f"files {need / GIB:.2f} GiB; activations not estimated",
        "cpu" if found.runtime == "tf" else device,
        "close other programs or use another machine",
    )


def _repository(
    head: str,
    spec: EngineSpec,
    device: str,
    source: Source | None,
    described: Callable[[Weights], str],
) -> Iterator[Check]:
    """Return the rows of a hub id or folder; `source` None: it is not on this disk."""
    yield _numbers(head, spec, device)
    if source is None:
        return
    label = f"{head}: checkpoint"
    try:
        weights = source.resolve()
    except ImmunoPathError as error:
        yield failed(label, error)
        return

    def whole() -> str:
        require_safetensors(weights)
        stored_numbers(weights)
        return described(weights)

    yield attempt(label, whole)
    yield _memory(head, spec, device, lambda: stored_numbers(weights))


def _file(
    head: str, spec: EngineSpec, device: str, path: Path, described: Callable[[], str]
) -> Iterator[Check]:
    """Return the rows of one safetensors file."""

    def whole() -> str:
        numbers_in(path, str(path))
        return described()

    yield attempt(f"{head}: checkpoint", whole)
    yield _memory(head, spec, device, lambda: numbers_in(path, str(path)))


def _numbers(head: str, spec: EngineSpec, device: str) -> Check:
    """Return the row of the number format: float32 for engines that take no ``dtype``."""

    def said() -> str:
        return f"{str(placement(spec, device).dtype).removeprefix('torch.')} on {device}"

    return attempt(f"{head}: numbers", said)


def _memory(head: str, spec: EngineSpec, device: str, count: Callable[[], int]) -> Check:
    label = f"{head}: memory"
    try:
        need = count() * placement(spec, device).dtype.itemsize
    except ImmunoPathError:  # each is a row of its own already
        return Check(label, "note", "not estimated: mend the rows above first")
    text = f"weights {need / GIB:.2f} GiB; activations not estimated"
    return memory_check(label, need, text, device, SMALLER)


def _timm_config(weights: Weights) -> str:
    """Return the architecture that a timm repository names; raises `CheckpointClassError`."""
    name = _named(weights.folder / "config.json", "architecture")
    if not timm_embedder.library().is_model(name):
        raise CheckpointClassError(
            f"{weights.source}: its config.json names no architecture of timm; give a repository "
            "or folder saved by timm"
        )
    return f"{name}, {weights.label}"


def _clip_name(found: open_clip_source.Checkpoint) -> str:
    """Return what the configuration beside an open_clip checkpoint describes."""
    path = found.file.parent / open_clip_source.CONFIG
    config: Any = _read(path)
    try:
        side = config["model_cfg"]["vision_cfg"]["image_size"]
    except (LookupError, TypeError) as error:
        raise CheckpointClassError(
            f"{path}: describes no open_clip model; give a repository or folder saved by open_clip"
        ) from error
    return f"open_clip, images of {side} px"


def _named(path: Path, key: str) -> str:
    config = _read(path)
    return str(config.get(key, "")) if isinstance(config, dict) else ""


def _read(path: Path) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(read_bounded(path))
    except (OSError, ValueError, RecursionError):
        return None
