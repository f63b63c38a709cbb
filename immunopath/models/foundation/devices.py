"""Whether a device is there, and whether it computes in bfloat16."""

from immunopath.domain.errors import EngineSpecError, EngineUnavailable


def check_device(device: str) -> None:
    """Raise `EngineSpecError` for a name that is no device, `EngineUnavailable` if it is absent."""
    import torch

    try:
        kind = torch.device(device)
    except RuntimeError as error:
        raise EngineSpecError(
            f"device {device!r}: is not a device such as cpu or cuda:0"
        ) from error
    if kind.type == "cuda" and not torch.cuda.is_available():
        raise EngineUnavailable(
            f"device {device}: torch {torch.__version__} sees no CUDA GPU; use device=cpu or "
            "install a CUDA build of torch"
        )
    if kind.type == "cuda" and (kind.index or 0) >= torch.cuda.device_count():
        raise EngineUnavailable(
            f"device {device}: there are {torch.cuda.device_count()} GPUs, counted from cuda:0"
        )


def has_bfloat16(device: str) -> bool:
    """Return whether a device computes in bfloat16 by itself (GPUs: from Ampere on)."""
    import torch

    if not device.startswith("cuda"):
        return True
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))
