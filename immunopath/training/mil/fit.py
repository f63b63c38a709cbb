"""How the members of a head are fitted. Imports torch: only `train` imports it, when asked."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from immunopath.models.mil.network import CLIP, F32
from immunopath.training.mil.module import GatedAttention, field_loss
from immunopath.training.mil.settings import MilSettings
from immunopath.training.mil.targets import Target, class_weights

_FLAT: Final = 1e-6
_STEP: Final = 1e-5
"""A validation loss counts as fallen by more than this."""


@dataclass(frozen=True)
class Bags:
    """Patients of one split: unit rows (n_i, size) each, and the labels in the same order."""

    rows: Sequence[F32]
    targets: Mapping[str, Target]


@dataclass(frozen=True)
class Epoch:
    """Mean losses of one epoch of one member."""

    member: int
    epoch: int
    train_loss: float
    val_loss: float


@dataclass(frozen=True)
class Fitted:
    """tensors: as `MilHead` wants them; ood_limit: see `MilRecord`; history: every epoch."""

    tensors: dict[str, F32]
    ood_limit: float
    history: tuple[Epoch, ...]


Report = Callable[[Epoch], None]


def fit_head(train: Bags, val: Bags, settings: MilSettings, report: Report | None = None) -> Fitted:
    """Return a fitted head. Equal bags and settings give equal bytes, on any number of cores.

    Every member starts from its own seed and stops when its validation loss has not fallen for
    `patience` epochs; its best epoch counts.
    """
    every = np.concatenate(train.rows).astype(np.float64)
    mean, spread = every.mean(axis=0), every.std(axis=0)
    scale = np.where(spread > _FLAT, spread, 1.0)
    squares = np.square(np.clip((every - mean) / scale, -CLIP, CLIP)).mean(axis=1)
    tensors = {"mean": mean.astype(np.float32), "scale": scale.astype(np.float32)}
    data = _tensors(train, tensors), _tensors(val, tensors)
    history: list[Epoch] = []

    def note(epoch: Epoch) -> None:
        history.append(epoch)
        if report is not None:
            report(epoch)

    with _reproducible():
        for member in range(settings.members):
            parts = _fit_member(*data, settings, member, note)
            tensors |= {f"{member}.{name}": part for name, part in parts.items()}
    return Fitted(tensors, max(float(np.quantile(squares, 0.99)), _FLAT), tuple(history))


@dataclass(frozen=True)
class _Data:
    """rows: standardised; labels: (n,) per field, NaN = unknown; weights: of classes."""

    rows: list[Tensor]
    labels: dict[str, Tensor]
    targets: Mapping[str, Target]

    def batch(self, chosen: Sequence[int], tiles: Sequence[Tensor]) -> "_Batch":
        """Return these patients with these tiles each, padded to the longest."""
        x = torch.nn.utils.rnn.pad_sequence(list(tiles), batch_first=True)
        lengths = torch.tensor([len(part) for part in tiles])
        mask = torch.arange(x.shape[1])[None] < lengths[:, None]
        index = torch.tensor(list(chosen))
        return _Batch(x, mask, {name: own[index] for name, own in self.labels.items()})


@dataclass(frozen=True)
class _Batch:
    x: Tensor
    mask: Tensor
    labels: dict[str, Tensor]


def _tensors(bags: Bags, standard: Mapping[str, F32]) -> _Data:
    rows = [
        torch.from_numpy(np.clip((part - standard["mean"]) / standard["scale"], -CLIP, CLIP))
        for part in bags.rows
    ]
    labels = {
        name: torch.tensor(target.labels, dtype=torch.float32)
        for name, target in bags.targets.items()
    }
    return _Data(rows, labels, bags.targets)


@contextmanager
def _reproducible() -> Iterator[None]:
    """One thread (sums depend on how they are shared out), and torch's own seed left as it was."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(before)


def _fit_member(
    train: _Data, val: _Data, settings: MilSettings, member: int, note: Report
) -> dict[str, F32]:
    rng = np.random.default_rng([settings.seed, member])
    torch.manual_seed(int(rng.integers(2**31)))
    weights = {
        name: None
        if target.values is None
        else torch.tensor(class_weights(target, settings.balance), dtype=torch.float32)
        for name, target in train.targets.items()
    }
    dims = {name: len(target.values or "mu") for name, target in train.targets.items()}
    size = int(train.rows[0].shape[1])
    model = GatedAttention(size, settings.hidden, settings.attention, settings.dropout, dims)
    model.begin_at({name: _first_bias(train.targets[name], weights[name]) for name in dims})
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.rate, weight_decay=settings.decay)
    best, best_epoch, kept = math.inf, 0, _copied(model)
    for epoch in range(settings.epochs):
        train_loss = _train_epoch(model, optimizer, train, settings, weights, rng)
        val_loss = _loss_of(model, val, settings, weights)
        note(Epoch(member, epoch, train_loss, val_loss))
        if val_loss < best - _STEP:
            best, best_epoch, kept = val_loss, epoch, _copied(model)
        elif epoch - best_epoch >= settings.patience:
            break
    for name, weight in weights.items():
        if weight is not None:  # back to the frequencies of the training split
            kept[f"heads.{name}.bias"] -= np.log(weight.numpy())
    return kept


def _train_epoch(  # noqa: PLR0913, PLR0917 - what one epoch needs
    model: GatedAttention,
    optimizer: torch.optim.Optimizer,
    data: _Data,
    settings: MilSettings,
    weights: Mapping[str, Tensor | None],
    rng: np.random.Generator,
) -> float:
    model.train()
    order, losses = rng.permutation(len(data.rows)), []
    for start in range(0, len(order), settings.batch):
        chosen = order[start : start + settings.batch]
        tiles = [_some(data.rows[i], settings, rng) for i in chosen]
        batch = data.batch(chosen.tolist(), tiles)
        loss = _total(model(batch.x, batch.mask), batch.labels, weights)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        losses.append(float(loss.detach()))
    return float(np.mean(losses))


def _some(rows: Tensor, settings: MilSettings, rng: np.random.Generator) -> Tensor:
    """Return a random part of a patient's tiles: never all of many, never none."""
    n = len(rows)
    keep = max(1, min(settings.max_tiles, round(n * (1 - settings.tile_dropout))))
    return rows[torch.from_numpy(np.sort(rng.permutation(n)[:keep]))]


def _loss_of(
    model: GatedAttention,
    data: _Data,
    settings: MilSettings,
    weights: Mapping[str, Tensor | None],
) -> float:
    """Return the mean loss over patients, all tiles shown."""
    model.eval()
    outputs: dict[str, list[Tensor]] = {name: [] for name in weights}
    every = range(len(data.rows))
    with torch.inference_mode():
        for start in range(0, len(every), settings.batch):
            chosen = every[start : start + settings.batch]
            batch = data.batch(chosen, [data.rows[i] for i in chosen])
            for name, raw in model(batch.x, batch.mask).items():
                outputs[name].append(raw)
        raw = {name: torch.cat(parts) for name, parts in outputs.items()}
        return float(_total(raw, data.labels, weights))


def _total(
    raw: Mapping[str, Tensor], labels: Mapping[str, Tensor], weights: Mapping[str, Tensor | None]
) -> Tensor:
    losses = [field_loss(raw[name], labels[name], weights[name]) for name in raw]
    return torch.stack(losses).mean()


def _first_bias(target: Target, weights: Tensor | None) -> Tensor:
    """Return the output of a head that has seen no image: the constant that fits best."""
    known = target.labels[~np.isnan(target.labels)]
    if target.values is None:
        centre = float(np.clip(np.mean(known), 0.01, 0.99))
        spread = max(float(np.std(known)) * math.sqrt(3) / math.pi, 0.01)
        return torch.tensor([math.log(centre / (1 - centre)), math.log(math.expm1(spread))])
    count = np.array([np.sum(known == k) for k in range(len(target.values))]) + 0.5
    frequency: npt.NDArray[np.float64] = count / count.sum()
    bias = torch.tensor(np.log(frequency), dtype=torch.float32)
    return bias if weights is None else bias + torch.log(weights)


def _copied(model: GatedAttention) -> dict[str, F32]:
    return {name: part.numpy().copy() for name, part in model.state_dict().items()}
