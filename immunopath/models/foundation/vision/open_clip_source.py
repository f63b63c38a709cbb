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
    config = _tag_config(name, tag)
    weights = resolve_weights(_tag_repo(name, tag, config), patterns=_PATTERNS)
    wanted = {"mean", "std", "interpolation", "resize_mode"}
    kept = {key: value for key, value in config.items() if key in wanted}
    return Checkpoint(name, _only_file(weights), weights.label, weights.digest, kept)


def _tag_config(name: str, tag: str) -> dict[str, Any]:
    """Return what open_clip knows of a tag; raises for unknown tags and the wrong activation."""
    clip = library()
    config: dict[str, Any] = clip.get_pretrained_cfg(name, tag)
    if not config:
        if Path(tag).exists():
            raise UnsafeWeights(
                f"{tag}: is no .safetensors file; pickled weights are never loaded, convert it"
            )
        known = ", ".join(clip.list_pretrained_tags_by_model(name)) or "none"
        raise EngineSpecError(f"open_clip:{name}: no file and no tag {tag!r}; tags are {known}")
    wanted = bool(config.get("quick_gelu", False))
    if wanted != bool(clip.get_model_config(name).get("quick_gelu", False)):
        other = f"{name}-quickgelu" if wanted else name.removesuffix("-quickgelu")
        raise EngineSpecError(
            f"open_clip:{name}: the weights {tag!r} were trained with another activation; use "
            f"open_clip:{other}"
        )
    return config


def _tag_repo(name: str, tag: str, config: dict[str, Any]) -> str:
    repo = str(config.get("hf_hub", "")).rpartition("/")[0].rstrip("/")
    if not repo:
        raise UnsafeWeights(
            f"open_clip:{name}: {tag!r} is a pickled download only; use another tag or a file"
        )
    return repo


def hub_sources(spec: EngineSpec) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the repository or folder of an engine string; none for a name with a file."""
    source, given = spec.source or "", spec.options.get("pretrained", "")
    if given.endswith(".safetensors") or not source:
        return ()
    if given:
        name = source.replace("/", "-")
        return ((_tag_repo(name, given, _tag_config(name, given)), _PATTERNS),)
    return ((source.removeprefix("hf-hub:"), _PATTERNS),) if "/" in source else ()


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
    """Return the file that open_clip would take of a folder; raises `UnsafeWeights` without one."""
    for name in _WEIGHTS:
        if name in weights.files:
            return weights.folder / name
    raise UnsafeWeights(
        f"{weights.source}: no {' or '.join(_WEIGHTS)}; pickled weights are never loaded"
    )
