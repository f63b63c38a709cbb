"""A LoRA adapter on a Gemma 3, loaded so that it cannot be there in name only.

peft warns about keys that are missing and says nothing about keys that nobody wanted; the model
then answers as the base model. Module paths of Gemma 3 moved in transformers 4.52 and again in 5,
so this happens to every older adapter. Here the key set must be equal after mapping, every shape
must fit, and LoRA B must not be zero on any layer.
"""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from immunopath.domain.errors import AdapterMismatch, EngineSpecError, UnsafeWeights, first_few
from immunopath.domain.files import read_bounded
from immunopath.models.foundation.medgemma.adapter_keys import mapped_key
from immunopath.models.foundation.medgemma.gemma import Gemma
from immunopath.models.foundation.medgemma.published import PUBLISHED
from immunopath.models.foundation.medgemma.record import FILE, CheckpointRecord, read_record
from immunopath.models.foundation.precision import quiet_bitsandbytes
from immunopath.models.foundation.weights import Weights, is_folder
from immunopath.models.torchvision_guard import guard_torchvision

CONFIG: Final = "adapter_config.json"
TENSORS: Final = "adapter_model.safetensors"
NAME: Final = "default"
_SHOWN: Final = 3


@dataclass(frozen=True)
class LoadedAdapter:
    """What was put on the model.

    layers: targeted modules; mapped: keys that had an older layout; merged: whether the weights
    now are part of the base weights; base_confirmed: whether base and adapter name the same model.
    """

    weights: Weights
    layers: int
    mapped: int
    merged: bool
    base_confirmed: bool


def load_adapter(gemma: Gemma, adapter: Weights, *, merge: bool = False) -> LoadedAdapter:
    """Put a LoRA adapter on `gemma.model`, in place, and prove that it is there.

    Raises `AdapterMismatch` for another base, for keys missing or left over, for shapes that do
    not fit and for layers whose LoRA B is zero; `UnsafeWeights` without a safetensors file;
    `EngineSpecError` when merging is asked for and would change the answers.
    """
    settings = read_settings(adapter)
    confirmed = check_base(gemma.weights, adapter, settings)
    if merge:
        _refuse_bad_merge(gemma, settings, adapter)
    found = _tensors(adapter)
    tensors = {mapped_key(key): tensor for key, tensor in found.items()}
    tuned = _empty_adapter(gemma.model, settings, adapter)
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    compare_shapes(_expected(tuned), shapes, adapter)
    _fill(tuned, tensors, adapter)
    layers = _check_not_zero(tuned, adapter)
    if merge:
        tuned.merge_and_unload(safe_merge=True)
    gemma.model.eval().requires_grad_(requires_grad=False)
    return LoadedAdapter(
        weights=adapter,
        layers=layers,
        mapped=sum(mapped_key(key) != key for key in found),
        merged=merge,
        base_confirmed=confirmed,
    )


def read_settings(adapter: Weights) -> dict[str, Any]:
    """Return ``adapter_config.json``; raises `AdapterMismatch` unless it is that of a LoRA."""
    path = adapter.folder / CONFIG
    try:
        settings = json.loads(read_bounded(path))
    except (OSError, ValueError) as error:
        raise AdapterMismatch(
            f"{adapter.source}: has no readable {CONFIG}; give the folder or id of a peft adapter"
        ) from error
    if not isinstance(settings, dict) or settings.get("peft_type") != "LORA":
        kind = settings.get("peft_type") if isinstance(settings, dict) else None
        raise AdapterMismatch(f"{adapter.source}: is a {kind} adapter; this engine runs LoRA")
    if settings.get("auto_mapping") and settings["auto_mapping"].get("parent_library") not in {
        None,
        "transformers.models.gemma3.modeling_gemma3",
    }:
        library = settings["auto_mapping"]["parent_library"]
        raise AdapterMismatch(
            f"{adapter.source}: was trained on a model of {library}, not on Gemma 3"
        )
    return settings


def check_base(base: Weights, adapter: Weights, settings: Mapping[str, Any]) -> bool:
    """Return whether adapter and base name the same model; None of both is proof of the contrary.

    Models of equal shape (two releases of MedGemma) take each other's adapters without a word, so
    two different hub ids are refused. An adapter trained on a folder is named by the `base` of its
    record, if it has one; a folder has no name to compare: then the digest of the base's files in
    the record confirms it, or shapes decide.
    """
    record = _record(adapter)
    made = None if record is None else record.training
    if made is not None and made.base_digest == base.digest:
        return True
    named = settings.get("base_model_name_or_path")
    if not isinstance(named, str) or is_folder(named):
        named = None if record is None else record.base
    if named is None or base.repo_id is None or is_folder(named):
        return False
    if named.lower() != base.repo_id.lower():
        raise AdapterMismatch(
            f"{adapter.source}: was trained on {named}, not on {base.repo_id}; load it on {named}"
        )
    return True


def _record(adapter: Weights) -> CheckpointRecord | None:
    path = adapter.folder / FILE
    if path.is_file():
        return read_record(path)
    return PUBLISHED.get((adapter.repo_id or "").lower())


def _refuse_bad_merge(gemma: Gemma, settings: Mapping[str, Any], adapter: Weights) -> None:
    if gemma.precision.quant != "none":
        raise EngineSpecError(
            "merge=true: merging into packed weights rounds them again; load the base in bfloat16 "
            "or float32 to merge, or leave merge out"
        )
    if settings.get("modules_to_save"):
        raise EngineSpecError(
            f"merge=true: {adapter.source} replaces {', '.join(settings['modules_to_save'])}, "
            "whose weights are tied, so merging would lose the trained head; leave merge out"
        )


def _tensors(adapter: Weights) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = adapter.folder / TENSORS
    if not path.is_file():
        raise UnsafeWeights(
            f"{adapter.source}: has no {TENSORS}; pickled adapters are never loaded, save it anew "
            "with save_pretrained"
        )
    try:
        tensors: dict[str, Any] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise AdapterMismatch(
            f"{path}: is not a whole safetensors file ({error}); fetch or copy it again"
        ) from error
    return tensors


def expected_shapes(
    model: Any,  # noqa: ANN401 - of transformers; may be on the meta device
    settings: Mapping[str, Any],
    adapter: Weights,
) -> dict[str, tuple[int, ...]]:
    """Return key and shape of every tensor that an adapter with these settings must bring."""
    return _expected(_empty_adapter(model, settings, adapter))


def _empty_adapter(model: Any, settings: Mapping[str, Any], adapter: Weights) -> Any:  # noqa: ANN401
    """Return a peft model with LoRA layers where the settings want them, not yet filled."""
    quiet_bitsandbytes()
    guard_torchvision()
    from peft import LoraConfig, PeftModel

    known = {k: v for k, v in settings.items() if k in LoraConfig.__dataclass_fields__}
    try:
        config = LoraConfig(**known | {"inference_mode": True})
        with warnings.catch_warnings():
            # peft reads a property of transformers that has a newer name: nothing for a terminal
            warnings.simplefilter("ignore", FutureWarning)
            return PeftModel(model, config, adapter_name=NAME, autocast_adapter_dtype=False)
    except (ValueError, TypeError) as error:
        raise AdapterMismatch(
            f"{adapter.source}: its target modules are not in this base model ({error}); load it "
            "on the model that it was trained on"
        ) from error


def _expected(tuned: Any) -> dict[str, tuple[int, ...]]:  # noqa: ANN401
    """Return key and shape of every tensor that the adapter must bring."""
    guard_torchvision()
    from peft import get_peft_model_state_dict

    state = get_peft_model_state_dict(tuned, adapter_name=NAME, save_embedding_layers=False)
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


def compare_shapes(
    expected: Mapping[str, tuple[int, ...]],
    found: Mapping[str, tuple[int, ...]],
    adapter: Weights,
) -> None:
    """Raise `AdapterMismatch` unless keys and shapes are the same, none missing and none over."""
    missing, left = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if missing or left:
        raise AdapterMismatch(
            f"{adapter.source}: {len(missing)} keys missing and {len(left)} left over after "
            f"mapping older layouts ({first_few(missing or left, _SHOWN)}); load it on the model "
            "and library version that it was trained with, or save it anew"
        )
    wrong = [key for key, shape in expected.items() if found[key] != shape]
    if wrong:
        key = wrong[0]
        raise AdapterMismatch(
            f"{adapter.source}: {len(wrong)} tensors do not fit this base model ({key} is "
            f"{found[key]}, needed {expected[key]}); load it on its own base"
        )


def _fill(tuned: Any, tensors: Mapping[str, Any], adapter: Weights) -> None:  # noqa: ANN401
    guard_torchvision()
    from peft import set_peft_model_state_dict

    result: Any = set_peft_model_state_dict(tuned, dict(tensors), adapter_name=NAME)
    if result.unexpected_keys:
        raise AdapterMismatch(
            f"{adapter.source}: peft left out {len(result.unexpected_keys)} keys "
            f"({first_few(sorted(result.unexpected_keys), _SHOWN)})"
        )


def _check_not_zero(tuned: Any, adapter: Weights) -> int:  # noqa: ANN401
    """Return how many layers are targeted; raises unless LoRA B is finite and non-zero on all."""
    import torch

    norms = {
        name: float(torch.linalg.vector_norm(parameter.detach().float()))
        for name, parameter in tuned.named_parameters()
        if f".lora_B.{NAME}." in name
    }
    dead = sorted(name for name, norm in norms.items() if not 0 < norm < float("inf"))
    if dead or not norms:
        raise AdapterMismatch(
            f"{adapter.source}: LoRA B is zero or not finite on {len(dead)} of {len(norms)} layers "
            f"({first_few(dead, _SHOWN)}), so the adapter changes nothing there; it is untrained "
            "or damaged"
        )
    return len(norms)
