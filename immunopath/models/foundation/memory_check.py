"""Does the model fit? Free memory of a device, and the bytes of weights before they are loaded."""

from pathlib import Path

from immunopath.models.foundation.precision import FULL_PRECISION_MODULES, Precision

NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
"""Per weight: four bits, one byte of scale for 64 weights, one float32 for 256 scales."""
_DTYPE_BYTES = {"float32": 4.0, "bfloat16": 2.0}


def free_bytes(device: str) -> int | None:
    """Return the free memory of a device in bytes, or None where it cannot be asked for."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def weight_bytes(files: list[Path], precision: Precision) -> int:
    """Return what the tensors of safetensors files take in memory at a precision.

    Reads headers only. Under NF4 the matrices outside `FULL_PRECISION_MODULES` and the embeddings
    are packed.
    """
    from safetensors import safe_open

    total = 0.0
    for path in files:
        with safe_open(path, framework="np") as file:
            for name in file.keys():  # noqa: SIM118 - not a mapping
                shape = file.get_slice(name).get_shape()
                count = 1
                for side in shape:
                    count *= side
                packed = precision.quant == "nf4" and len(shape) == 2 and _is_packed(name)
                total += count * (NF4_BYTES if packed else _DTYPE_BYTES[precision.dtype])
    return int(total)


def _is_packed(name: str) -> bool:
    kept = [part.rsplit(".", 1)[-1] for part in FULL_PRECISION_MODULES]
    return "embed" not in name and not any(part in name for part in kept)
