"""Which open_clip model a spec means, and the one safetensors file with its weights."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from immunopath.domain.errors import (
    CheckpointClassError,
    EngineSpecError,
    EngineUnavailable,
    UnsafeWeights,
)
from immunopath.models.foundation.weights import Weights, is_folder, resolve_weights, sha256_of
from immunopath.models.spec import EngineSpec
from immunopath.models.torchvision_guard import guard_torchvision

CONFIG: Final = "open_clip_config.json"
_WEIGHTS: Final = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors")
"""The names that open_clip itself takes first, so that what is digested is what is loaded."""
_PATTERNS: Final = (*_WEIGHTS, "*.json", "tokenizer*", "*.model", "vocab*", "merges*")


@dataclass(frozen=True)
class Checkpoint:
    """What open_clip is asked for: its name of the model, the weights file, and what to report."""

    name: str
    file: Path
    revision: str
    digest: str
    preprocess: dict[str, Any]
    """Mean, std and interpolation that go with a tag; empty when the model's own are right."""


def library() -> Any:  # noqa: ANN401 - no types
    """Return the open_clip module, torchvision guarded; raises `EngineUnavailable`."""
    guard_torchvision()
    try:
        return import_module("open_clip")
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            f"the package {error.name!r} is not installed: pip install 'immunopath[openclip]'"
        ) from error


def find_checkpoint(spec: EngineSpec) -> Checkpoint:
    """Return what the spec means; raises `EngineSpecError` and the `EngineUnavailable` family."""
    source = spec.source
    if source is None:
        raise EngineSpecError(
            f"engine {spec}: say which model, e.g. open_clip:ViT-B-32,pretrained="
        )
    clip = library()
    name, given = source.replace("/", "-"), spec.options.get("pretrained")
    if name in clip.list_models():
        if given is None:
            tags = ", ".join(clip.list_pretrained_tags_by_model(name)[:4]) or "none"
            raise EngineSpecError(
                f"engine {spec}: give its weights, pretrained=FILE.safetensors or a tag ({tags})"
            )
        return _of_file(name, given) if given.endswith(".safetensors") else _of_tag(name, given)
    if given is not None:
        raise EngineSpecError(f"engine {spec}: pretrained= goes with a model name of open_clip")
    return _of_folder(source.removeprefix("hf-hub:"), spec.options.get("revision"))


def _of_file(name: str, file: str) -> Checkpoint:
    path = Path(file).expanduser()
    digest = sha256_of(path)
    return Checkpoint(name, path, f"{name} sha256-{digest[:12]}", digest, {})


def _of_tag(name: str, tag: str) -> Checkpoint:
    clip = library()
    config = clip.get_pretrained_cfg(name, tag)
    if not config:
        if Path(tag).exists():
            raise UnsafeWeights(
                f"{tag}: is no .safetensors file; pickled weights are never loaded, convert it"
            )
        known = ", ".join(clip.list_pretrained_tags_by_model(name)) or "none"
        raise EngineSpecError(f"open_clip:{name}: no file and no tag {tag!r}; tags are {known}")
    wanted = bool(config.get("quick_gelu", False))
    if wanted != bool(clip.get_model_config(name).get("quick_gelu", False)):
        raise EngineSpecError(
            f"open_clip:{name}: the weights {tag!r} were trained with another activation; use "
            f"{name}-quickgelu"
            if wanted
            else f"open_clip:{name}: use the name without -quickgelu"
        )
    repo = str(config.get("hf_hub", "")).rpartition("/")[0].rstrip("/")
    if not repo:
        raise UnsafeWeights(
            f"open_clip:{name}: {tag!r} is a pickled download only; use another tag or a file"
        )
    weights = resolve_weights(repo, patterns=_PATTERNS)
    kept = {k: config[k] for k in ("mean", "std", "interpolation", "resize_mode") if k in config}
    return Checkpoint(name, _only_file(weights), weights.label, weights.digest, kept)


def _of_folder(source: str, revision: str | None) -> Checkpoint:
    if not is_folder(source) and "/" not in source:
        raise EngineSpecError(
            f"open_clip:{source}: open_clip knows no model of that name; give one of "
            "open_clip.list_models(), a hub id (owner/name) or a folder"
        )
    weights = resolve_weights(source, revision=revision, patterns=_PATTERNS)
    if CONFIG not in weights.files:
        raise CheckpointClassError(
            f"{source}: no {CONFIG}, so it is no open_clip model; give its name and "
            "pretrained=FILE.safetensors instead"
        )
    return Checkpoint(
        f"local-dir:{weights.folder}", _only_file(weights), weights.label, weights.digest, {}
    )


def _only_file(weights: Weights) -> Path:
    names = [n for n in weights.files if n in _WEIGHTS]
    if len(names) != 1:
        raise UnsafeWeights(
            f"{weights.source}: {len(names)} files named {' or '.join(_WEIGHTS)}, one is needed; "
            "pickled weights are never loaded"
        )
    return weights.folder / names[0]
