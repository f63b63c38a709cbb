"""The guard against a torchvision whose C++ library cannot load; each case in its own process."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import immunopath

pytest.importorskip("torch")

CUDA_BUILD = """
import torch
for name in ("nms", "qnms"):
    @torch.library.register_fake(f"torchvision::{name}")
    def fake(dets, scores, iou_threshold):
        return dets
READY = True
"""
GUARD = "from immunopath.models.torchvision_guard import guard_torchvision\n"


def run(code: str, packages: Path | None = None) -> subprocess.CompletedProcess[str]:
    path = "" if packages is None else f"import sys; sys.path.insert(0, {str(packages)!r})\n"
    return subprocess.run(
        [sys.executable, "-c", path + code], capture_output=True, text=True, check=False
    )


def torchvision(folder: Path, source: str) -> Path:
    package = folder / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(source)
    return folder


def test_a_cuda_build_beside_cpu_torch_dies_without_the_guard_and_lives_with_it(
    tmp_path: Path,
) -> None:
    packages = torchvision(tmp_path, CUDA_BUILD)
    bare = run("import torchvision", packages)
    assert bare.returncode != 0
    assert "operator torchvision::nms does not exist" in bare.stderr
    guarded = run(
        GUARD + "import gc\nassert guard_torchvision()\ngc.collect()\nassert guard_torchvision()\n"
        "import torch, torchvision\nassert torchvision.READY\n"
        "assert hasattr(torch.ops.torchvision, 'nms')",
        packages,
    )
    assert guarded.returncode == 0, guarded.stderr


@pytest.mark.parametrize(
    "source",
    [
        "raise RuntimeError('compiled for another torch')",
        "raise ImportError('libtorch_cuda.so: cannot open')",
        CUDA_BUILD + "raise RuntimeError('still broken')",
    ],
)
def test_another_fault_is_a_named_error_with_the_remedy(tmp_path: Path, source: str) -> None:
    done = run(
        GUARD + "from immunopath.domain.errors import EngineUnavailable\n"
        "try:\n    guard_torchvision()\n"
        "except EngineUnavailable as error:\n    print(error)",
        torchvision(tmp_path, source),
    )
    assert done.returncode == 0, done.stderr
    assert "install the release that matches torch" in done.stdout


def test_without_torchvision_there_is_nothing_to_guard() -> None:
    code = (
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'torchvision' else find(name, *a)\n"
    )
    done = run(code + GUARD + "assert guard_torchvision() is False\nimport sys\n"
               "assert 'torch' not in sys.modules")  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(
    importlib.util.find_spec("torchvision") is None, reason="torchvision comes with an extra"
)
def test_the_installed_torchvision_and_transformers_work_together() -> None:
    done = run(
        GUARD
        + "guard_torchvision()\nfrom transformers import AutoProcessor, SiglipImageProcessor\n"
        "import torchvision.transforms\nSiglipImageProcessor()"
    )
    assert done.returncode == 0, done.stderr


PACKAGE = Path(immunopath.__file__).parent
MEET_TORCHVISION = {"transformers", "open_clip", "peft", "timm"}


def imported(node: ast.AST) -> set[str]:
    """Top-level names that a node imports, `import_module("name")` included."""
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        return {(node.module or "").partition(".")[0]}
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "import_module":
        first = node.args[0]
        return {str(first.value).partition(".")[0]} if isinstance(first, ast.Constant) else set()
    return set()


def unguarded(tree: ast.AST) -> list[int]:
    """Lines that import such a package outside a function that called the guard before."""
    found = [n.lineno for n in ast.walk(tree) if imported(n) & MEET_TORCHVISION]  # type: ignore[attr-defined]
    guarded: set[int] = set()
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            calls = [n for n in ast.walk(function) if isinstance(n, ast.Call)]
            guards = [n.lineno for n in calls if getattr(n.func, "id", "") == "guard_torchvision"]
            end = function.end_lineno or function.lineno
            guarded |= {line for line in found if guards and min(guards) < line <= end}
    return sorted(set(found) - guarded)


def test_whoever_imports_transformers_or_open_clip_calls_the_guard_first() -> None:
    assert unguarded(ast.parse("def f():\n    from transformers import X\n")) == [2]
    assert unguarded(ast.parse("def f():\n    import peft\n    guard_torchvision()\n")) == [2]
    assert unguarded(ast.parse("def f():\n    guard_torchvision()\n    import timm\n")) == []
    seen = 0
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text("utf-8")
        seen += "guard_torchvision()" in text
        assert unguarded(ast.parse(text)) == [], path
    assert seen > 4
