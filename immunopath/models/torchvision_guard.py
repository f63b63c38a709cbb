"""Makes an installed torchvision importable before transformers or open_clip meet it.

PyPI's torchvision is a CUDA build. Beside a CPU build of torch its C++ library cannot load, its
import dies on operators that nobody declared, and because transformers only looks whether the
package is there, every image processor of transformers dies with it. Declaring the operators first
is enough for all of torchvision that is written in Python; only its C++ operators then raise, when
they are called.
"""

import importlib
import importlib.util
import sys
from typing import Any, Final

from immunopath.domain.errors import EngineUnavailable, first_line

_SIGNATURE: Final = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_FAKED_AT_IMPORT: Final = ("nms", "qnms")
"""Operators for which torchvision registers a fake kernel while it is imported."""

_declared: list[Any] = []
"""torch forgets operators when the `Library` that declared them is collected."""


def guard_torchvision() -> bool:
    """Make ``import torchvision`` work; returns whether torchvision is installed.

    Call it before the first import of transformers or open_clip. Raises `EngineUnavailable` when
    torchvision is there and cannot be imported for another reason.
    """
    if importlib.util.find_spec("torchvision") is None:
        return False
    if "torchvision" in sys.modules:
        return True
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise _broken(error) from error
        _forget()
        _declare()
        _import_again()
    except (ImportError, OSError) as error:
        raise _broken(error) from error
    return True


def _import_again() -> None:
    try:
        importlib.import_module("torchvision")
    except (ImportError, OSError, RuntimeError) as error:
        raise _broken(error) from error


def _forget() -> None:
    """Purge the half-imported package: a second import would hand it out as it is."""
    for name in [n for n in sys.modules if n == "torchvision" or n.startswith("torchvision.")]:
        del sys.modules[name]


def _declare() -> None:
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in _FAKED_AT_IMPORT:
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}{_SIGNATURE}")  # type: ignore[no-untyped-call]
    _declared.append(library)


def _broken(error: Exception) -> EngineUnavailable:
    return EngineUnavailable(
        f"torchvision is installed and cannot be imported ({first_line(error)}); install the "
        "release that matches torch, or uninstall torchvision"
    )
