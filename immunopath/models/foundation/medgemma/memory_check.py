"""How much memory a device has to give."""

from pathlib import Path


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
