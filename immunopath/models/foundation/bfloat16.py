"""Which devices compute in bfloat16."""


def has_bfloat16(device: str) -> bool:
    """Return whether a device computes in bfloat16 by itself (GPUs: from Ampere on)."""
    import torch

    if not device.startswith("cuda"):
        return True
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))
