"""What `doctor` checks of a `txgemma` request: its numbers, and whether the weights fit."""

from collections.abc import Iterator

from immunopath.domain.errors import ImmunoPathError
from immunopath.models.foundation.checks import GIB, Check, attempt, memory_check
from immunopath.models.foundation.hf_loading import read_config
from immunopath.models.foundation.medgemma.memory import weight_bytes
from immunopath.models.foundation.precision import choose_precision
from immunopath.models.foundation.txgemma.txgemma import parse
from immunopath.models.foundation.txgemma.txgemma_model import mode_of
from immunopath.models.foundation.weights import Weights
from immunopath.models.spec import EngineSpec


def check_txgemma(head: str, spec: EngineSpec, device: str, *, loadable: bool) -> Iterator[Check]:
    """Return the rows of a `txgemma` engine string; `loadable`: its files are on this disk."""
    numbers = attempt(
        f"{head}: numbers", lambda: f"{choose_precision(spec.options, device)} on {device}"
    )
    yield numbers
    label = f"{head}: memory"
    if numbers.state != "ok" or not loadable:
        yield Check(label, "note", "not estimated: mend the rows above first")
        return
    try:
        weights = parse(spec).source.resolve()
        need = _weight_bytes(spec, weights, device)
    except ImmunoPathError as error:
        yield Check(f"{head}: weights", "missing", f"{type(error).__name__}: {error}")
        yield Check(label, "note", "not estimated: mend the rows above first")
        return
    yield attempt(f"{head}: mode", lambda: mode_of(spec, weights))
    text = f"weights {need / GIB:.2f} GiB; cache and activations not estimated"
    yield memory_check(
        label, need, text, device, "use quant=nf4, dtype=bfloat16, a smaller checkpoint or device"
    )


def _weight_bytes(spec: EngineSpec, weights: Weights, device: str) -> int:
    precision = choose_precision(spec.options, device)
    return weight_bytes(read_config(weights), precision, auto="AutoModelForCausalLM")
