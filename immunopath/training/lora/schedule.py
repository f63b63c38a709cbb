"""Which patient and which tiles stand where: a pure function of seed and place, so that a run that
was killed goes on with exactly the rows that it would have seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from immunopath.training.lora.cohort import Patient
from immunopath.training.lora.config import DataConfig

_ORDER, _TILES, _CHANGE = 1, 2, 3
"""Streams of random numbers: the order of an epoch, a patient's tiles, a row's changes."""


@dataclass(frozen=True)
class Place:
    """One row to be made: patient, its tiles, and the generator of its changes."""

    patient: int
    tiles: tuple[Path, ...]
    source: np.random.Generator


def groups(tiles: Sequence[Path], images: int) -> list[tuple[Path, ...]]:
    """Return prompts of `images` tiles each, as the engine makes them out of a case's patches.

    The last one is filled up from the first tiles; fewer tiles than `images` make one prompt.
    """
    if len(tiles) <= images:
        return [tuple(tiles)]
    found = [tuple(tiles[i : i + images]) for i in range(0, len(tiles), images)]
    found[-1] = (*found[-1], *tiles[: images - len(found[-1])])
    return found


def spread(tiles: Sequence[Path], n: int) -> list[Path]:
    """Return at most n tiles at even steps."""
    if len(tiles) <= n:
        return list(tiles)
    return [tiles[(2 * i + 1) * len(tiles) // (2 * n)] for i in range(n)]


class TrainSchedule:
    """The rows of all epochs in one sequence: row `i` belongs to epoch ``i // rows``."""

    def __init__(self, patients: Sequence[Patient], data: DataConfig, seed: int) -> None:
        self._patients, self._data, self._seed = patients, data, seed
        self._slots = [
            (index, part)
            for index, patient in enumerate(patients)
            for part in range(len(groups(self._pool(patient)[: data.tiles], data.images)))
        ]
        self._orders: dict[int, list[int]] = {}

    @property
    def rows(self) -> int:
        """Rows of one epoch."""
        return len(self._slots)

    def _pool(self, patient: Patient) -> tuple[Path, ...]:
        return patient.tiles if self._data.choice == "random" else patient.first

    def _order(self, epoch: int) -> list[int]:
        """Return the order of an epoch; the last two are kept."""
        if epoch not in self._orders:
            source = np.random.default_rng((self._seed, _ORDER, epoch))
            last = dict(list(self._orders.items())[-1:])
            self._orders = last | {epoch: [int(i) for i in source.permutation(self.rows)]}
        return self._orders[epoch]

    def place(self, index: int) -> Place:
        """Return what stands at a place of the whole run."""
        epoch, at = divmod(index, self.rows)
        patient, part = self._slots[self._order(epoch)[at]]
        pool = self._pool(self._patients[patient])
        if self._data.choice == "random":
            source = np.random.default_rng((self._seed, _TILES, epoch, patient))
            pool = tuple(pool[int(i)] for i in source.permutation(len(pool)))
        chosen = groups(pool[: self._data.tiles], self._data.images)[part]
        change = np.random.default_rng((self._seed, _CHANGE, epoch, patient, part))
        return Place(patient, chosen, change)


def validation_places(patients: Sequence[Patient], data: DataConfig) -> list[Place]:
    """Return the validation rows: the same tiles every time."""
    found: list[Place] = []
    for index, patient in enumerate(patients):
        pool = patient.tiles if data.choice == "random" else patient.first
        shown = groups(spread(pool, data.validation_tiles), data.images)
        found += [Place(index, tiles, np.random.default_rng(0)) for tiles in shown]
    return found
