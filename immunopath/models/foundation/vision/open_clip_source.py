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
from immunopath.models.foundation.weights import Source, Weights, is_folder, sha256_of
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


@dataclass(frozen=True)
class Meant:
    """What an engine string names, before any file of it is read.

    name: open_clip's name of the model, None for a repository or folder that says it itself;
    weights: one file, or a hub id or folder; preprocess: as in `Checkpoint`.
    """

    name: str | None
    weights: Path | Source
    preprocess: dict[str, Any]


def meant(spec: EngineSpec) -> Meant:
    """Return what an engine string names; raises `EngineSpecError`, `UnsafeWeights`."""
    source = spec.source
    if source is None:
        raise EngineSpecError(
            f"engine {spec}: no model; say which model, e.g. open_clip:ViT-B-32,pretrained="
        )
    clip = library()
    name, given = source.replace("/", "-"), spec.options.get("pretrained")
    if name in clip.list_models():
        if given is None:
            tags = ", ".join(clip.list_pretrained_tags_by_model(name)[:4]) or "none"
            raise EngineSpecError(
                f"engine {spec}: no weights; give its weights, pretrained=FILE.safetensors or a "
                f"tag ({tags})"
            )
        if not given.endswith(".safetensors"):
            return _of_tag(spec, name, given)
        if "revision" in spec.options:
            raise EngineSpecError(f"engine {spec}: revision= goes with a hub id; a file has none")
        return Meant(name, Path(given).expanduser(), {})
    source = source.removeprefix("hf-hub:")
    if not is_folder(source) and "/" not in source:
        raise EngineSpecError(
            f"open_clip:{source}: open_clip knows no model of that name; give one of "
            "open_clip.list_models(), a hub id (owner/name) or a folder"
        )
    if given is not None:
        raise EngineSpecError(
            f"engine {spec}: pretrained= goes with the name of a model of open_clip; leave it out"
        )
    return Meant(None, Source.of(spec, source, _PATTERNS), {})


def _of_tag(spec: EngineSpec, name: str, tag: str) -> Meant:
    config = _tag_config(name, tag)
    wanted = {"mean", "std", "interpolation", "resize_mode"}
    kept = {key: value for key, value in config.items() if key in wanted}
    return Meant(name, Source.of(spec, _tag_repo(name, tag, config), _PATTERNS), kept)


def find_checkpoint(what: Meant) -> Checkpoint:
    """Return the files that are meant; raises the `EngineUnavailable` family."""
    if isinstance(what.weights, Path):
        digest = sha256_of(what.weights)
        label = f"{what.name} sha256-{digest[:12]}"
        return Checkpoint(str(what.name), what.weights, label, digest, {})
    weights = what.weights.resolve()
    if what.name is None and CONFIG not in weights.files:
        raise CheckpointClassError(
            f"{weights.source}: no {CONFIG}, so it is no open_clip model; give its name and "
            "pretrained=FILE.safetensors instead"
        )
    name = what.name or f"local-dir:{weights.folder}"
    return Checkpoint(name, _only_file(weights), weights.label, weights.digest, what.preprocess)


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


def _only_file(weights: Weights) -> Path:
    """Return the file that open_clip would take of a folder; raises `UnsafeWeights` without one."""
    for name in _WEIGHTS:
        if name in weights.files:
            return weights.folder / name
    raise UnsafeWeights(
        f"{weights.source}: no {' or '.join(_WEIGHTS)}; pickled weights are never loaded"
    )
