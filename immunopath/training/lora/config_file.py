"""From a configuration file to a checked `TrainConfig`; every fault names file and key."""

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from immunopath.domain.errors import CaseFileError
from immunopath.domain.files import read_bounded, require_file
from immunopath.guidelines.casefile import read_yaml
from immunopath.training.lora.config import TrainConfig, merged

MAX_BYTES: Final = 100_000
_PATHS: Final = ("cohort", "out")


def preset_names() -> tuple[str, ...]:
    """Return the names of the shipped presets, sorted."""
    folder = resources.files("immunopath.training.lora") / "presets"
    return tuple(sorted(f.name.removesuffix(".yaml") for f in folder.iterdir()))


def preset(name: str) -> dict[str, Any]:
    """Return what a preset says; raises `CaseFileError` for an unknown one."""
    if name not in preset_names():
        raise CaseFileError(f"preset {name!r} does not exist; choose {', '.join(preset_names())}")
    file = resources.files("immunopath.training.lora") / "presets" / f"{name}.yaml"
    found: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


def make_config(values: Mapping[str, Any], origin: str = "configuration") -> TrainConfig:
    """Return a checked configuration: the named preset with `values` over it.

    Raises `CaseFileError` with the key, e.g. for an unknown key, a NaN or a value out of range.
    """
    name = values.get("preset", "default")
    if not isinstance(name, str):
        raise CaseFileError(f"{origin}: preset: give one of {', '.join(preset_names())}")
    try:
        return TrainConfig.model_validate(merged(preset(name), {**values, "preset": name}))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "configuration"
        if first["type"] == "extra_forbidden":
            raise CaseFileError(f"{origin}: {key}: unknown key; check its spelling") from error
        raise CaseFileError(f"{origin}: {key}: {first['msg']}") from error


def read_config(path: Path, overrides: Mapping[str, Any] | None = None) -> TrainConfig:
    """Return the configuration of a YAML or TOML file; `overrides` are merged over it.

    ``cohort`` and ``out`` are relative to the file's folder, and so is ``base`` when it begins
    with a dot. Raises `CaseFileError`.
    """
    require_file(path, "a training configuration (YAML or TOML)")
    values = _table(path)
    for key in _PATHS:
        if isinstance(values.get(key), str):
            values[key] = str(path.parent / Path(values[key]).expanduser())
    if isinstance(values.get("base"), str) and values["base"].startswith("."):
        values["base"] = str(path.parent / values["base"])
    return make_config(merged(values, overrides or {}), origin=str(path))


def _table(path: Path) -> dict[str, Any]:
    found = _toml(path) if path.suffix == ".toml" else read_yaml(path)
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise CaseFileError(f"{path}: is no table of keys and values")
    return found


def _toml(path: Path) -> object:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CaseFileError(f"{path}: larger than a configuration file can be")
        return tomllib.loads(read_bounded(path, MAX_BYTES).decode("utf-8"))
    except OSError as error:
        raise CaseFileError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise CaseFileError(f"{path}: is not TOML ({str(error)[:200]})") from error
