"""One way to load a transformers checkpoint: safetensors, no code of its own, nothing missing."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from immunopath.domain.errors import (
    CheckpointClassError,
    EngineUnavailable,
    PrecisionUnsupported,
    ProcessorMissing,
    UnsafeWeights,
    WeightsCorrupted,
    first_line,
)
from immunopath.models.foundation.batcher import out_of_memory
from immunopath.models.foundation.devices import check_device, has_bfloat16
from immunopath.models.foundation.weights import Weights
from immunopath.models.spec import EngineSpec
from immunopath.models.torchvision_guard import guard_torchvision

DTYPES: Final = ("float32", "bfloat16")
"""Never float16: activations of these models leave its range."""


VOCABULARIES: Final = (
    "tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt",
)  # fmt: skip


@dataclass(frozen=True)
class Placement:
    """Where a model goes: a torch dtype and a device such as ``cpu`` or ``cuda:0``.

    loading: further arguments of ``from_pretrained``, e.g. for NF4, which then places the model.
    """

    dtype: Any
    device: str
    loading: Mapping[str, Any] = field(default_factory=dict)


def transformers() -> Any:  # noqa: ANN401 - a module whose lazy names no type checker sees
    """Return the transformers module, torchvision guarded; raises `EngineUnavailable`."""
    guard_torchvision()
    try:
        import transformers as module
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            f"the package {error.name!r} is not installed: pip install 'immunopath[foundation]'"
        ) from error
    # The terminal belongs to the report; what is missing from a checkpoint is an error here.
    module.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    module.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    return module


def placement(spec: EngineSpec, device: str) -> Placement:
    """Return the device with the torch dtype of the option ``dtype`` (default float32).

    Raises `EngineSpecError` for an unknown one or what is no device, `EngineUnavailable` for a
    device that is not there, `PrecisionUnsupported` on a GPU without bfloat16.
    """
    import torch

    name = spec.choice("dtype", DTYPES)
    check_device(device)
    if name == "bfloat16" and not has_bfloat16(device):
        raise PrecisionUnsupported(f"{device} has no bfloat16: use dtype=float32")
    return Placement(getattr(torch, name), device)


def read_config(weights: Weights) -> Any:  # noqa: ANN401 - a config class per model
    """Return the configuration; raises `CheckpointClassError` and `UnsafeWeights`."""
    try:
        config = transformers().AutoConfig.from_pretrained(
            weights.folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError) as error:
        if _brings_code(error):
            raise _own_code(weights) from error
        raise CheckpointClassError(
            f"{weights.source}: config.json is missing or names a model that transformers does not "
            "know; give the folder of a transformers checkpoint"
        ) from error
    if getattr(config, "auto_map", None):
        raise _own_code(weights)
    return config


def _brings_code(error: Exception) -> bool:
    """Return whether transformers refused to run a checkpoint's own code."""
    return isinstance(error, ValueError) and "trust_remote_code" in str(error)


def _own_code(weights: Weights) -> UnsafeWeights:
    return UnsafeWeights(
        f"{weights.source}: the checkpoint brings code of its own, which is never run; use one "
        "whose class is part of transformers"
    )


def load_model(
    auto: Any,  # noqa: ANN401 - an Auto class
    weights: Weights,
    model_types: Sequence[str],
    where: Placement,
    may_miss: str = "",
) -> Any:  # noqa: ANN401 - the class is the checkpoint's
    """Return the model at its place, in evaluation mode, every weight from the file.

    `model_types` are the allowed ``config.model_type`` (none = any); `may_miss` is a pattern of
    keys that the caller does not use. Raises `CheckpointClassError`, `UnsafeWeights`,
    `WeightsCorrupted`, and `EngineUnavailable` when memory does not suffice.
    """
    require_class(weights, model_types)
    require_safetensors(weights)

    def load() -> tuple[Any, Any]:
        model, report = auto.from_pretrained(
            weights.folder,
            dtype=where.dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            **where.loading,
        )
        return model if where.loading else model.to(where.device), report

    model, report = _guarded(load, weights)
    missing = [k for k in report["missing_keys"] if not (may_miss and re.search(may_miss, k))]
    missing += [str(key) for key in report.get("mismatched_keys", ())]
    if missing:
        raise WeightsCorrupted(
            f"{weights.source}: {len(missing)} tensors of the model are not in the checkpoint "
            f"(first: {sorted(missing)[0]}); fetch it again or give the right one"
        )
    return model.eval()


def require_class(weights: Weights, model_types: Sequence[str]) -> Any:  # noqa: ANN401
    """Return the configuration; raises `CheckpointClassError` unless it is of an allowed type.

    `model_types`: as for `load_model`.
    """
    config = read_config(weights)
    if model_types and config.model_type not in model_types:
        raise CheckpointClassError(
            f"{weights.source}: is a {config.model_type} checkpoint, this engine runs "
            f"{' or '.join(model_types)}; give another id or folder"
        )
    return config


def require_safetensors(weights: Weights) -> None:
    """Raise `UnsafeWeights` unless the checkpoint has safetensors files."""
    if not any(name.endswith(".safetensors") for name in weights.files):
        raise UnsafeWeights(
            f"{weights.source}: no .safetensors file; pickled weights are never loaded, convert "
            "them or give another checkpoint"
        )


def require_vocabulary(weights: Weights) -> None:
    """Raise `ProcessorMissing` unless a tokenizer's vocabulary lies in the folder.

    transformers 5 makes an empty tokenizer of the model's kind in its place, without a word.
    """
    if not any(name in VOCABULARIES for name in weights.files):
        raise ProcessorMissing(
            f"{weights.source}: no tokenizer ({' or '.join(VOCABULARIES[:3])}); put the tokenizer "
            "files of the model repository beside the weights"
        )


def refuse_without_memory(error: BaseException, weights: Weights) -> None:
    """Raise `EngineUnavailable` when loading ended because memory ran out."""
    if out_of_memory(error):
        raise EngineUnavailable(
            f"not enough memory to load {weights.source}: use quant=nf4 or another device"
        ) from error


def _guarded(load: Callable[[], Any], weights: Weights) -> Any:  # noqa: ANN401
    from safetensors import SafetensorError

    try:
        return load()
    except (SafetensorError, OSError, RuntimeError, ValueError, MemoryError) as error:
        refuse_without_memory(error, weights)
        raise WeightsCorrupted(
            f"{weights.source}: the weights cannot be read ({first_line(error, 200)}); fetch "
            "them again"
        ) from error


def load_processor(kind: str, weights: Weights, **options: Any) -> Any:  # noqa: ANN401
    """Return ``AutoTokenizer``, ``AutoProcessor`` or ``AutoImageProcessor`` of a checkpoint.

    Raises `ProcessorMissing` naming what the folder lacks, `UnsafeWeights` for code of its own.
    """
    if kind != "AutoImageProcessor":
        require_vocabulary(weights)
    auto = getattr(transformers(), kind)
    what = {"AutoTokenizer": "tokenizer", "AutoImageProcessor": "image processor"}.get(
        kind, "processor"
    )
    try:
        return auto.from_pretrained(
            weights.folder, local_files_only=True, trust_remote_code=False, **options
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        if _brings_code(error):
            raise _own_code(weights) from error
        raise ProcessorMissing(
            f"{weights.source}: its {what} cannot be loaded ({first_line(error, 160)}); put "
            f"the {what} files of the model repository beside the weights"
        ) from error
