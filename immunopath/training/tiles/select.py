"""Which tiles of a slide are kept: different ones, by K-means on what their pixels look like."""

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from immunopath.domain.units import WORKING_MPP
from immunopath.imaging.arrays import RGB, FloatMap
from immunopath.imaging.tiles import resample
from immunopath.models.embedded.descriptor import describe
from immunopath.models.embedded.embedder import shipped


class Describe:
    """Maps a tile at `mpp` to the unit vector of the embedded embedder; pickles into processes."""

    def __init__(self, mpp: float) -> None:
        """`mpp`: µm per pixel of the tiles that will come."""
        self._mpp = mpp

    def __call__(self, rgb: RGB) -> FloatMap:
        """Return (128,) float32 of unit length."""
        seen = resample(rgb, self._mpp, WORKING_MPP)
        vectors = shipped().apply(describe(seen)[None].astype(np.float32))
        return np.asarray(vectors[0], np.float32)


def cluster(vectors: FloatMap, clusters: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the K-means cluster of each unit vector, (n,); at most one cluster per vector.

    Clusters are numbered by their first member, so the numbers say nothing and never change.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    count = min(clusters, len(vectors))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct tiles than clusters
        fitted = KMeans(count, n_init=4, random_state=seed).fit(vectors)
    labels = np.asarray(fitted.labels_, np.int64)
    _, first = np.unique(labels, return_index=True)
    renumbered = np.argsort(np.argsort(first))
    return renumbered[np.searchsorted(np.unique(labels), labels)]


def choose(
    vectors: FloatMap, labels: npt.NDArray[np.int64], wanted: int, seed: int
) -> tuple[int, ...]:
    """Return the indices of `wanted` tiles, ascending: turn by turn one from every cluster.

    The first of a cluster is the one nearest to its centre; the others follow at random, so that a
    large share of the slide does not stand for all of it and its inside still varies.
    """
    rng = np.random.default_rng(seed)
    queues: list[list[int]] = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        centre = vectors[members].mean(axis=0)
        distance = ((vectors[members] - centre) ** 2).sum(axis=1)
        nearest = int(members[int(distance.argmin())])
        rest = [int(i) for i in rng.permutation(members) if int(i) != nearest]
        queues.append([nearest, *rest])
    return tuple(sorted(_in_turn(queues, wanted)))


def _in_turn(queues: Sequence[list[int]], wanted: int) -> list[int]:
    taken: list[int] = []
    turn = 0
    while len(taken) < wanted and any(turn < len(queue) for queue in queues):
        taken += [queue[turn] for queue in queues if turn < len(queue)]
        turn += 1
    return taken[:wanted]
