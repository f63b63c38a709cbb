"""In which numbers a Gemma 3 runs: float32, bfloat16, or NF4 weights under either. Never float16.

Activations of Gemma 3 leave the range of float16 (65 504): the answers are then empty or NaN.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, Literal, get_args

from immunopath.domain.errors import EngineSpecError, EngineUnavailable, PrecisionUnsupported
from immunopath.models.foundation.devices import check_device, has_bfloat16
from immunopath.models.foundation.hf_loading import transformers

Dtype = Literal["float32", "bfloat16"]
Quant = Literal["none", "nf4"]

_HALF: Final = ("float16", "fp16", "half")
FULL_PRECISION_MODULES: Final = ("model.vision_tower", "model.multi_modal_projector", "lm_head")
"""Left as they are under NF4. Named from the start of the module path: transformers matches from
there, and a list replaces its own default, so a forgotten ``lm_head`` would be packed too. The
vision tower is a tenth of the weights, and its 4304-wide layers break bitsandbytes' CPU path."""


@dataclass(frozen=True)
class Precision:
    """dtype: of weights and activations (under NF4: of activations); quant: packing of weights."""

    dtype: Dtype
    quant: Quant = "none"

    @property
    def bytes_per_number(self) -> int:
        """Of activations, cache and unquantized weights."""
        return 4 if self.dtype == "float32" else 2

    def __str__(self) -> str:
        return self.dtype if self.quant == "none" else f"{self.quant}/{self.dtype}"


def default_dtype(device: str) -> Dtype:
    """Return what is taken where no option says: bfloat16 on a GPU, float32 on a CPU."""
    return "bfloat16" if device.startswith("cuda") else "float32"


def check_words(options: Mapping[str, str]) -> None:
    """Raise `EngineSpecError` for a ``quant`` or ``dtype`` that names nothing on any machine."""
    quant, dtype = options.get("quant", "none"), options.get("dtype", "float32")
    if quant not in get_args(Quant):
        raise EngineSpecError(f"quant={quant}: choose nf4 or none")
    if dtype not in (*get_args(Dtype), *_HALF):
        raise EngineSpecError(f"dtype={dtype}: choose bfloat16 or float32")


def choose_precision(options: Mapping[str, str], device: str) -> Precision:
    """Return what the options ``dtype`` and ``quant`` ask for on a device.

    Default: bfloat16 on a GPU, float32 on a CPU. Raises `EngineSpecError` for other words and
    `PrecisionUnsupported` for float16 or where bfloat16 does not exist.
    """
    check_words(options)
    check_device(device)
    quant, dtype = options.get("quant", "none"), options.get("dtype", default_dtype(device))
    if dtype in _HALF:
        raise PrecisionUnsupported(
            f"dtype={dtype}: Gemma 3 leaves the range of float16 and answers NaN; use bfloat16 or "
            "float32"
        )
    if dtype == "bfloat16" and not has_bfloat16(device):
        raise PrecisionUnsupported(
            f"{device} has no bfloat16, and float16 is no substitute; add dtype=float32 (twice the "
            "memory) or quant=nf4,dtype=float32"
        )
    return Precision(dtype, quant)  # type: ignore[arg-type]


def loading_options(precision: Precision, device: str) -> dict[str, Any]:
    """Return the keyword arguments of ``from_pretrained`` for a precision.

    Raises `EngineUnavailable` when NF4 is asked for and bitsandbytes is not installed.
    """
    import torch

    dtype = getattr(torch, precision.dtype)
    if precision.quant == "none":
        return {"dtype": dtype}
    quiet_bitsandbytes()
    if find_spec("bitsandbytes") is None:
        raise EngineUnavailable(
            "quant=nf4: bitsandbytes is not installed; run pip install 'immunopath[foundation]' or "
            "leave quant out"
        )
    config = transformers().BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=list(FULL_PRECISION_MODULES),
    )
    return {"dtype": dtype, "quantization_config": config, "device_map": {"": device}}


def quiet_bitsandbytes() -> None:
    """Silence its error about an optional package that would fetch compiled code from the hub."""
    logging.getLogger("bitsandbytes").setLevel(logging.CRITICAL)


def keep_plain_cpu_path(model: Any) -> int:  # noqa: ANN401 - any torch module
    """Stop bitsandbytes from repacking NF4 layers in place on CPUs; returns how many there are.

    On CPUs with AVX512-BF16 the first forward in evaluation mode repacks every 4-bit layer. After
    that, training loses gradients and merging an adapter gives wrong weights, both without a word.
    Call it after loading and before any forward. Changes nothing on a GPU.
    """
    nn: Any = import_module("bitsandbytes.nn")
    layers = [m for m in model.modules() if isinstance(m, nn.Linear4bit)]
    for layer in layers:
        layer.support_avx512bf16_for_cpu = False
    return len(layers)
