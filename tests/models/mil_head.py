"""A MIL head with random weights: nothing is learned, everything is of the right shape."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from immunopath.domain.prediction import FIELD_VALUES
from immunopath.models.atlas_entry import Encoder
from immunopath.models.embedded.embedder import EmbeddedEmbedder, shipped
from immunopath.models.mil.network import MilHead
from immunopath.models.mil.record import WEIGHTS, FieldRecord, MilRecord, write_record

HIDDEN, ATTENTION = 8, 4
TRAINED = ("til_fraction", "til_density", "immune_phenotype")


def encoder() -> Encoder:
    return Encoder.of(EmbeddedEmbedder(shipped()).info)


def tensors(
    names: Sequence[str], size: int, members: int = 1, seed: int = 0
) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    rng = np.random.default_rng(seed)

    def made(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        return rng.normal(size=shape).astype(np.float32)

    found = {"mean": np.zeros(size, np.float32), "scale": np.full(size, 0.1, np.float32)}
    for m in range(members):
        found |= {
            f"{m}.trunk.weight": made(HIDDEN, size) * np.float32(size**-0.5),
            f"{m}.trunk.bias": made(HIDDEN),
            f"{m}.gate.weight": made(ATTENTION, HIDDEN),
            f"{m}.gate.bias": made(ATTENTION),
            f"{m}.value.weight": made(ATTENTION, HIDDEN),
            f"{m}.value.bias": made(ATTENTION),
            f"{m}.score.weight": made(len(names), ATTENTION),
        }
        for name in names:
            outputs = len(FIELD_VALUES[name] or "mu")
            found[f"{m}.heads.{name}.weight"] = made(outputs, HIDDEN)
            found[f"{m}.heads.{name}.bias"] = made(outputs)
    return found


def record(names: Sequence[str] = TRAINED, **changes: object) -> MilRecord:
    fields = {
        name: FieldRecord(
            quantity=f"drawn_{name}",
            trainable=name in names,
            reason="" if name in names else "all 24 training labels are MSS",
            n=24,
        )
        for name in FIELD_VALUES
    }
    values: dict[str, object] = {
        "embedder": "embedded",
        "encoder": encoder(),
        "mpp": 0.5,
        "px": 96,
        "fields": fields,
        "cut_points": {"low": 0.3, "high": 0.6},
        "samples_digest": "a" * 64,
        "tiles_digest": "b" * 64,
        "origin": "synthetic",
        "members": 1,
        "hidden": HIDDEN,
        "attention": ATTENTION,
        "seed": 0,
        "patients": {"train": 24, "val": 12},
        "tiles_low": 2,
        "tiles_high": 4,
        "ood_limit": 3.0,
        "settings": {},
        "versions": {},
        "weights_sha256": "w" * 64,
    }
    return MilRecord.model_validate(values | changes)


def head(names: Sequence[str] = TRAINED, size: int = 128, **changes: object) -> MilHead:
    made = record(names, **changes)
    return MilHead(made, tensors(names, size, made.members))


def write(
    folder: Path, names: Sequence[str] = TRAINED, *, blind: bool = False, **changes: object
) -> MilRecord:
    """Write a checkpoint folder; returns its record. `blind`: its answers are their biases."""
    folder.mkdir(parents=True, exist_ok=True)
    made = record(names, **changes)
    parts = tensors(names, 128, made.members)
    if blind:
        parts |= {k: np.zeros_like(v) for k, v in parts.items() if ".heads." in k and v.ndim == 2}
    data = save(parts)
    (folder / WEIGHTS).write_bytes(data)
    sealed = made.model_copy(update={"weights_sha256": hashlib.sha256(data).hexdigest()})
    write_record(folder, sealed)
    return sealed
