"""Stand-ins for Path Foundation: a ViT-like SavedModel and an ONNX graph written byte by byte.

Both can hold the same one-layer patch network, so that the comparison of the runtimes is real.
"""

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

PX, PATCH, SIZE = 224, 32, 384
FLOAT, INT64 = 1, 7


def patch_weights(seed: int = 0) -> np.ndarray:
    """Weights of a patch embedding, (3 * 32 * 32, 384) float32, rows in the order y, x, channel."""
    rows = np.random.default_rng(seed).normal(size=(PATCH * PATCH * 3, SIZE))
    return (rows / 30).astype(np.float32)


def build_vit_saved_model(folder: Path, seed: int = 0, size: int = SIZE) -> Path:
    """Save a one-block vision transformer with Path Foundation's signature; needs TensorFlow."""
    import tensorflow as tf

    rng = np.random.default_rng(seed)
    width, side = 32, PX // PATCH

    def weight(*shape: int) -> Any:
        return tf.Variable((rng.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32))

    class Vit(tf.Module):
        def __init__(self) -> None:
            self.embed, self.place = weight(PATCH * PATCH * 3, width), weight(side * side, width)
            self.query, self.key, self.value = (weight(width, width) for _ in range(3))
            self.head = weight(width, size)

        @tf.function(input_signature=[tf.TensorSpec((None, PX, PX, 3), tf.float32, name="inputs")])
        def serve(self, inputs: Any) -> dict[str, Any]:
            patches = tf.nn.space_to_depth(inputs, PATCH)
            tokens = tf.reshape(patches, (-1, side * side, PATCH * PATCH * 3)) @ self.embed
            tokens += self.place
            query, key, value = tokens @ self.query, tokens @ self.key, tokens @ self.value
            seen = tf.nn.softmax(query @ tf.transpose(key, (0, 2, 1)) / width**0.5)
            mixed = tf.nn.gelu(tokens + seen @ value)
            return {"output_0": tf.reduce_mean(mixed, axis=1) @ self.head}

    model = Vit()
    tf.saved_model.save(model, str(folder), signatures={"serving_default": model.serve})
    return folder


def build_patch_saved_model(folder: Path, seed: int = 0) -> Path:
    """Save the patch network as a SavedModel; needs TensorFlow."""
    import tensorflow as tf

    class Net(tf.Module):
        def __init__(self) -> None:
            self.kernel = tf.Variable(patch_weights(seed).reshape(PATCH, PATCH, 3, SIZE))

        @tf.function(input_signature=[tf.TensorSpec((None, PX, PX, 3), tf.float32, name="inputs")])
        def serve(self, inputs: Any) -> dict[str, Any]:
            maps = tf.nn.conv2d(inputs, self.kernel, PATCH, "VALID")
            return {"output_0": tf.reduce_mean(tf.nn.relu(maps), axis=(1, 2))}

    net = Net()
    tf.saved_model.save(net, str(folder), signatures={"serving_default": net.serve})
    return folder


def build_patch_onnx(path: Path, seed: int = 0, px: int = PX) -> Path:
    """Write the patch network as an ONNX graph, opset 13: Transpose, Conv, Relu, ReduceMean."""
    kernel = patch_weights(seed).reshape(PATCH, PATCH, 3, SIZE).transpose(3, 2, 0, 1)
    nodes = [
        _node("Transpose", ["inputs"], ["nchw"], _ints("perm", [0, 3, 1, 2])),
        _node("Conv", ["nchw", "kernel"], ["maps"], _ints("strides", [PATCH, PATCH])),
        _node("Relu", ["maps"], ["positive"]),
        _node("ReduceMean", ["positive"], ["output_0"], _ints("axes", [2, 3]), _int("keepdims", 0)),
    ]
    graph = b"".join(_part(1, node) for node in nodes)
    graph += _part(2, b"patches") + _part(5, _tensor("kernel", kernel))
    graph += _part(11, _value("inputs", ["n", px, px, 3]))
    graph += _part(12, _value("output_0", ["n", SIZE]))
    opset = _part(8, _number(2, 13))
    path.write_bytes(_number(1, 8) + opset + _part(7, graph))
    return path


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _part(field: int, data: bytes | str) -> bytes:
    raw = data.encode() if isinstance(data, str) else data
    return _varint(field << 3 | 2) + _varint(len(raw)) + raw


def _int(name: str, value: int) -> bytes:
    return _part(1, name) + _number(3, value) + _number(20, 2)


def _ints(name: str, values: Iterable[int]) -> bytes:
    return _part(1, name) + b"".join(_number(8, v) for v in values) + _number(20, 7)


def _node(kind: str, inputs: list[str], outputs: list[str], *attributes: bytes) -> bytes:
    out = b"".join(_part(1, i) for i in inputs) + b"".join(_part(2, o) for o in outputs)
    return out + _part(4, kind) + b"".join(_part(5, a) for a in attributes)


def _tensor(name: str, values: np.ndarray) -> bytes:
    data = struct.pack(f"<{values.size}f", *np.ascontiguousarray(values).ravel().tolist())
    dims = b"".join(_number(1, d) for d in values.shape)
    return dims + _number(2, FLOAT) + _part(8, name) + _part(9, data)


def _value(name: str, shape: list[int | str]) -> bytes:
    dims = b"".join(_part(1, _number(1, d) if isinstance(d, int) else _part(2, d)) for d in shape)
    kind = _part(1, _number(1, FLOAT) + _part(2, dims))
    return _part(1, name) + _part(2, kind)
