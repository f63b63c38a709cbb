"""Different tiles are chosen by what their pixels look like."""

import pickle

import numpy as np
import pytest
from he_fields import he_field
from hypothesis import given, settings
from hypothesis import strategies as st

from immunopath.training.tiles.select import Describe, choose, cluster


def looks(per_kind: tuple[int, ...]) -> np.ndarray:
    """Return unit vectors around one direction per kind."""
    rng = np.random.default_rng(0)
    kinds = np.eye(8)[np.repeat(np.arange(len(per_kind)), per_kind)]
    noisy = kinds + rng.normal(0, 0.02, kinds.shape)
    return (noisy / np.linalg.norm(noisy, axis=1, keepdims=True)).astype(np.float32)


def test_a_rare_kind_is_chosen_as_well() -> None:
    vectors = looks((90, 8, 2))
    labels = cluster(vectors, 3, seed=0)
    chosen = choose(vectors, labels, 3, seed=0)
    assert len({int(np.argmax(vectors[i])) for i in chosen}) == 3
    at_random = np.random.default_rng(0).permutation(100)[:3]
    assert len({int(np.argmax(vectors[i])) for i in at_random}) < 3


def test_the_first_of_a_cluster_is_nearest_to_its_centre() -> None:
    vectors = looks((20, 20))
    labels = cluster(vectors, 2, seed=1)
    for i in choose(vectors, labels, 2, seed=1):
        members = vectors[labels == labels[i]]
        distance = ((members - members.mean(0)) ** 2).sum(1)
        assert ((vectors[i] - members.mean(0)) ** 2).sum() == pytest.approx(distance.min())


@given(
    n=st.integers(1, 40), clusters=st.integers(1, 12), wanted=st.integers(1, 60),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
@settings(max_examples=12, deadline=None)
def test_as_many_as_wanted_each_once(n: int, clusters: int, wanted: int, seed: int) -> None:
    vectors = looks((n,))
    labels = cluster(vectors, clusters, seed)
    chosen = choose(vectors, labels, wanted, seed)
    assert list(chosen) == sorted(set(chosen))
    assert len(chosen) == min(n, wanted)
    assert chosen == choose(vectors, cluster(vectors, clusters, seed), wanted, seed)
    assert labels[0] == 0
    assert set(labels.tolist()) == set(range(max(labels) + 1))


def test_equal_tiles_are_no_obstacle() -> None:
    vectors = np.ones((9, 8), np.float32) / np.sqrt(np.float32(8))
    labels = cluster(vectors, 4, seed=0)
    assert len(choose(vectors, labels, 5, seed=0)) == 5


def test_a_tile_is_described_at_the_working_resolution() -> None:
    coarse, fine = he_field(256, 256), np.repeat(np.repeat(he_field(256, 256), 2, 0), 2, 1)
    describe = pickle.loads(pickle.dumps(Describe(0.25)))
    one, two = Describe(0.5)(coarse), describe(fine)
    assert one.shape == (128,)
    assert float(one @ two) > 0.999
    assert float(np.linalg.norm(one)) == pytest.approx(1, abs=1e-5)
