"""Tiny files of features as TRIDENT, CLAM and AnnData write them."""

from pathlib import Path
from typing import Any

import numpy as np

SIZE = 6
TRIDENT: dict[str, Any] = {
    "patch_size": 256,
    "patch_size_level0": 512,
    "level0_magnification": 40,
    "target_magnification": 20,
    "overlap": 0,
    "level0_width": 4096,
    "level0_height": 4096,
}


def vectors(n: int, seed: int, centre: float = 0.0, size: int = SIZE) -> Any:
    found = np.random.default_rng(seed).normal(0, 1, (n, size)).astype(np.float32)
    found[:, 0] += centre
    return found


def grid(n: int, side: int = 512) -> Any:
    return np.array([[side * (i % 4), side * (i // 4)] for i in range(n)], np.int64).reshape(-1, 2)


def write_h5(
    path: Path, rows: Any, coords: Any = None, facts: dict[str, Any] | None = None
) -> Path:
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as stored:
        if rows is not None:
            stored.create_dataset("features", data=rows)
        if coords is not None:
            stored.create_dataset("coords", data=coords)
            stored["coords"].attrs.update(facts or {})
    return path


def trident(folder: Path, slide: str, n: int = 4, **changes: Any) -> Path:
    rows = changes.pop("rows", None)
    rows = vectors(n, sum(map(ord, slide))) if rows is None else rows
    facts = TRIDENT | {"name": slide} | changes
    return write_h5(folder / f"{slide}.h5", rows, grid(len(rows)), facts)


def h5ad(path: Path, n: int = 4, rows: Any = None, **parts: Any) -> Path:
    import anndata
    import pandas as pd

    rows = vectors(n, 5) if rows is None else rows
    n = rows.shape[0]
    names = [f"t{i}" for i in range(n)]
    obs = pd.DataFrame(parts.pop("obs", {}), index=names)
    data = anndata.AnnData(X=rows, obs=obs)
    spatial = parts.pop("spatial", grid(n) + 256.0)
    if spatial is not None:
        data.obsm["spatial"] = spatial
    if "uns" in parts:
        data.uns["immunopath"] = parts.pop("uns")
    path.parent.mkdir(parents=True, exist_ok=True)
    data.write_h5ad(path)
    return path
