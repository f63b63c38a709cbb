"""The gated attention head in numpy: what the engine runs, on any machine, without torch.

Per member of the ensemble (Ilse, Tomczak, Welling 2018, with one attention map per field)::

    x = (embedding - mean) / scale                                  (tiles, size)
    h = relu(x W + b)                                               (tiles, hidden)
    s = (tanh(h V + v) * sigmoid(h U + u)) A                        (tiles, fields)
    a = softmax of s over the tiles of a patient
    z = sum over tiles of a h, per field                            (fields, hidden)
    y = z C + c, per field: logits of a class, or centre and scale of a number

A number is a logistic distribution on [0, 1], read on the grid 0.00 … 1.00: two parameters a
field, so that a few hundred patients can carry it. The tables of the members are averaged.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from immunopath.domain.errors import CheckpointError, WeightsCorrupted
from immunopath.domain.files import MAX_WEIGHTS, read_bounded
from immunopath.domain.prediction import FIELD_VALUES, GRID
from immunopath.models.mil.record import WEIGHTS, MilRecord

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

LEVELS: Final = len(GRID)
CLIP: Final = 6.0
"""Standardised inputs are cut here, so that a strange tile cannot dominate a sum."""
LEAST_SCALE: Final = 0.005
"""Of a number's distribution: half a step of the grid."""


@dataclass(frozen=True)
class FieldTables:
    """One field of one bag.

    case: probabilities of the case, (values,); tiles: of every tile on its own, (tiles, values);
    attention: weight of every tile, (tiles,), sum 1.
    """

    case: F64
    tiles: F64
    attention: F64


@dataclass(frozen=True)
class MilHead:
    """A trained head. `tensors` by name: ``mean``, ``scale``, and ``<member>.<part>``."""

    record: MilRecord
    tensors: Mapping[str, F32]

    def standardised(self, rows: F32) -> F64:
        """Return rows (n, size) as the network sees them."""
        z = (rows.astype(np.float64) - self.tensors["mean"]) / self.tensors["scale"]
        return np.clip(z, -CLIP, CLIP)

    def strange(self, rows: F32) -> float:
        """Return the share of tiles further from the training tiles than 99 % of those were."""
        distance = np.square(self.standardised(rows)).mean(axis=1)
        return float(np.mean(distance > self.record.ood_limit))

    def read(self, rows: F32) -> dict[str, FieldTables]:
        """Return the tables of every trained field of one bag; `rows`: (n, size), n ≥ 1."""
        x = self.standardised(rows)
        parts = [self._member(x, m) for m in range(self.record.members)]
        return {
            name: FieldTables(
                case=np.mean([part[name].case for part in parts], axis=0),
                tiles=np.mean([part[name].tiles for part in parts], axis=0),
                attention=np.mean([part[name].attention for part in parts], axis=0),
            )
            for name in self.record.trained
        }

    def _member(self, x: F64, member: int) -> dict[str, FieldTables]:
        def of(part: str) -> F64:
            return self.tensors[f"{member}.{part}"].astype(np.float64)

        h = np.maximum(x @ of("trunk.weight").T + of("trunk.bias"), 0)
        gate = _sigmoid(h @ of("gate.weight").T + of("gate.bias"))
        value = np.tanh(h @ of("value.weight").T + of("value.bias"))
        attention = _softmax((value * gate) @ of("score.weight").T, axis=0)
        found = {}
        for k, name in enumerate(self.record.trained):
            weight, bias = of(f"heads.{name}.weight"), of(f"heads.{name}.bias")
            own = h @ weight.T + bias
            case = attention[:, k] @ h @ weight.T + bias
            table = number_table if FIELD_VALUES[name] is None else _softmax
            found[name] = FieldTables(table(case), table(own), attention[:, k])
        return found


def number_table(raw: F64) -> F64:
    """Return probabilities over `GRID` for raw outputs (…, 2): centre and scale of a logistic.

    A grid point takes the mass within 0.005 of it; the ends take what lies beyond.
    """
    centre = _sigmoid(raw[..., :1])
    scale = np.logaddexp(0, raw[..., 1:2]) + LEAST_SCALE
    edges = (np.arange(1, LEVELS) - 0.5) / (LEVELS - 1)
    reached = _sigmoid((edges - centre) / scale)
    ends = np.zeros((*reached.shape[:-1], 1))
    return np.diff(np.concatenate([ends, reached, ends + 1], axis=-1), axis=-1)


def read_head(folder: Path, record: MilRecord) -> MilHead:
    """Return the head of a folder.

    Raises `CheckpointError` when the file of weights is missing and `WeightsCorrupted` when it is
    not the one that the record names or lacks tensors.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = folder / WEIGHTS
    try:
        data = read_bounded(path, MAX_WEIGHTS)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error
    if hashlib.sha256(data).hexdigest() != record.weights_sha256:
        raise WeightsCorrupted(f"{path}: is not the file that mil.json names; train the head again")
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise WeightsCorrupted(f"{path}: damaged ({error}); train the head again") from error
    missing = sorted(_needed(record) - set(tensors))
    if missing:
        raise WeightsCorrupted(f"{path}: lacks the tensor {missing[0]!r}; train the head again")
    return MilHead(record, tensors)


def _needed(record: MilRecord) -> set[str]:
    parts = ["trunk.weight", "trunk.bias", "gate.weight", "gate.bias", "value.weight"]
    parts += ["value.bias", "score.weight"]
    parts += [f"heads.{name}.{kind}" for name in record.trained for kind in ("weight", "bias")]
    members = range(record.members)
    return {"mean", "scale"} | {f"{member}.{part}" for member in members for part in parts}


def _sigmoid(x: F64) -> F64:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


def _softmax(x: F64, axis: int = -1) -> F64:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(e / e.sum(axis=axis, keepdims=True))
