"""An image encoder in an ``.onnx`` file, and the comparison of two runtimes of one encoder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from immunopath.domain.errors import (
    CheckpointClassError,
    EngineMismatch,
    EngineUnavailable,
    WeightsCorrupted,
    first_line,
)
from immunopath.models.protocols import RGB

F32 = npt.NDArray[np.float32]
MIN_COSINE: Final = 0.9999
"""Two runtimes of one encoder are the same encoder when no patch falls below this."""
_CPU: Final = "CPUExecutionProvider"
_CUDA: Final = "CUDAExecutionProvider"


def onnxruntime() -> Any:  # noqa: ANN401 - no types
    """Return the onnxruntime module; raises `EngineUnavailable` without it."""
    try:
        return import_module("onnxruntime")
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            "the package 'onnxruntime' is not installed: pip install 'immunopath[foundation]'"
        ) from error


def _faults() -> tuple[type[Exception], ...]:
    """Return what onnxruntime raises for a file it cannot use; they share no base of its own."""
    state = import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoModel", "NotFound",
             "NotImplemented", "NoSuchFile", "RuntimeException")  # fmt: skip
    return tuple(getattr(state, name) for name in names if hasattr(state, name))


def require_onnx(path: Path) -> None:
    """Raise `WeightsCorrupted` unless there is such a file."""
    if not path.is_file() or not path.stat().st_size:
        raise WeightsCorrupted(
            f"{path}: no such file, or an empty one; give the .onnx file of the encoder"
        )


def onnx_encoder(path: Path, device: str, px: int, size: int) -> Callable[[RGB], F32]:
    """Return the encoder of a graph: (n, px, px, 3) uint8 to (n, size) float32.

    The graph takes one float input (n, px, px, 3) in [0, 1] and gives (n, size) as ``output_0`` or
    as its only output. Raises `WeightsCorrupted` when it cannot be read, `CheckpointClassError`
    when its shapes differ.
    """
    runtime = onnxruntime()
    require_onnx(path)
    offered = runtime.get_available_providers()
    wanted = [_CUDA, _CPU] if device.startswith("cuda") else [_CPU]
    try:
        session = runtime.InferenceSession(str(path), providers=[p for p in wanted if p in offered])
    except _faults() as error:
        raise WeightsCorrupted(
            f"{path}: not a usable ONNX graph ({first_line(error, 160)})"
        ) from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    chosen = next((o for o in outputs if o.name == "output_0"), outputs[0])
    fits = (
        len(inputs) == 1
        and (len(outputs) == 1 or chosen.name == "output_0")
        and _is(inputs[0], (px, px, 3))
        and _is(chosen, (size,))
    )
    if not fits:
        raise CheckpointClassError(
            f"{path}: the graph goes from {[i.shape for i in inputs]} to "
            f"{[o.shape for o in outputs]}, not from (n, {px}, {px}, 3) to (n, {size})"
        )
    name, output = inputs[0].name, chosen.name

    def encode(stacked: RGB) -> F32:
        pixels = stacked.astype(np.float32) / 255
        return np.asarray(session.run([output], {name: pixels})[0], np.float32)

    return encode


def _is(value: Any, tail: Sequence[int]) -> bool:  # noqa: ANN401 - a NodeArg
    return value.type == "tensor(float)" and tuple(value.shape[1:]) == tuple(tail)


@dataclass(frozen=True)
class RuntimeAgreement:
    """How alike two runtimes of one encoder are on the same patches."""

    n: int
    min_cosine: float
    max_difference: float
    """Largest absolute difference of a single number."""

    def check(self) -> None:
        """Raise `EngineMismatch` unless every patch has a cosine of at least `MIN_COSINE`."""
        if not self.min_cosine >= MIN_COSINE:
            raise EngineMismatch(
                f"the two files are not the same encoder: cosine {self.min_cosine:.6f} on the "
                f"worst of {self.n} patches, {MIN_COSINE} needed; convert it again"
            )


def compare(
    first: Callable[[RGB], F32], second: Callable[[RGB], F32], patches: RGB
) -> RuntimeAgreement:
    """Return how alike two encoders are on `patches` (n, px, px, 3) uint8, n at least 1."""
    if patches.ndim != 4 or not len(patches):
        raise ValueError(f"patches have shape {patches.shape}, not (n, px, px, 3)")
    one, other = first(patches).astype(np.float64), second(patches).astype(np.float64)
    cosine = (one * other).sum(1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1))
    return RuntimeAgreement(len(patches), float(cosine.min()), float(np.abs(one - other).max()))
