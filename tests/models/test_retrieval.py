"""Pooling over tiles and votes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pixel_store import ENCODER, entry, pixels, store_of, unit

from immunopath.domain.errors import EngineMismatch
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.models.atlas import Atlas, Hit, LeaveOut, load_atlas
from immunopath.models.embedded.embedder import EmbeddedEmbedder, shipped
from immunopath.models.protocols import EngineInfo
from immunopath.models.retrieval import MIN_VOTES, pool, retrieve, votes

SHARE = "lymphocyte_share_of_nuclei"


def density(*labels: str | None, similarity: float = 0.9) -> list[Hit]:
    return [
        Hit(entry(i, labels={} if x is None else {"til_density": x}), similarity - i / 100)
        for i, x in enumerate(labels)
    ]


def said(field: str, hits: list[Hit]) -> tuple[int, object]:
    vote = {v.field: v for v in votes(hits)}[field]
    return vote.n_votes, vote.value


def test_fewer_than_three_votes_are_no_opinion() -> None:
    assert said("til_density", density("high", "high")) == (2, None)
    assert said("til_density", density("high", "high", "high")) == (3, "high")
    assert said("til_density", []) == (0, None)


def test_a_neighbour_without_a_label_does_not_vote() -> None:
    assert said("til_density", density("high", None, None, "high", None)) == (2, None)
    assert said("til_density", density("low", None, "low", None, "high")) == (3, "low")


@given(st.lists(st.sampled_from(["high", "moderate", "low", None]), max_size=9))
def test_shares_are_counts_over_voters(labels: list[str | None]) -> None:
    vote = {v.field: v for v in votes(density(*labels))}["til_density"]
    voters = [x for x in labels if x is not None]
    assert vote.n_votes == len(voters)
    assert (vote.value is None) == (len(voters) < MIN_VOTES)
    assert vote.shares == {
        x: pytest.approx(voters.count(x) / len(voters)) for x in sorted(set(voters))
    }
    if vote.value is not None:
        assert vote.shares[str(vote.value)] == max(vote.shares.values())


def test_a_tie_goes_to_the_nearer_neighbours() -> None:
    nearer = density("low", "low", "high", "high")
    assert said("til_density", nearer) == (4, "low")


def test_every_profile_field_has_a_vote_in_order_and_extra_labels_follow() -> None:
    assert [v.field for v in votes([])] == list(FIELD_VALUES)
    rich = [Hit(entry(i, labels={"lymphocyte_rich": "no"}), 0.5) for i in range(3)]
    assert [v.field for v in votes(rich)] == [*FIELD_VALUES, "lymphocyte_rich"]


def test_numbers_vote_by_their_median_and_never_across_quantities() -> None:
    def fraction(value: float, quantity: str, i: int) -> Hit:
        return Hit(entry(i, labels={"til_fraction": value}, label_quantity=quantity), 0.9)

    same = [fraction(v, SHARE, i) for i, v in enumerate((0.1, 0.2, 0.9))]
    assert said("til_fraction", same) == (3, 0.2)
    mixed = [*same, fraction(0.5, "rna_score_minmax", 9)]
    assert said("til_fraction", mixed) == (4, None)


def test_pooling_ranks_by_the_mean_over_tiles_and_keeps_the_best_hit() -> None:
    a, b, c = entry(1), entry(2), entry(3)
    tiles = [[Hit(a, 0.99), Hit(b, 0.6)], [Hit(b, 0.7), Hit(c, 0.2)]]
    pooled = pool(tiles, 3)
    assert [h.entry.entry_id for h in pooled] == ["e002", "e001", "e003"]
    assert [h.similarity for h in pooled] == [0.7, 0.99, 0.2]
    assert pool(tiles, 1) == pooled[:1]
    assert pool(tiles[::-1], 3) == pooled


class FixedEmbedder:
    """Gives the same direction to every tile: only the plumbing is under test."""

    @property
    def info(self) -> EngineInfo:
        real = EmbeddedEmbedder(shipped()).info
        return replace(real, name="fixed", embedding_size=8)

    def embed(self, source: object) -> npt.NDArray[np.float32]:
        return np.repeat(unit([1.0]), len(source.tiles), axis=0)  # type: ignore[attr-defined]


def test_an_atlas_of_another_encoder_is_refused(shared_images: Path) -> None:
    store = store_of(pixels(shared_images / "he_other" / "01581x_25583y.png"))
    with pytest.raises(EngineMismatch, match="numbers"):
        retrieve(store, FixedEmbedder(), Atlas.build([entry(1)], unit([1.0]), ENCODER))


def test_a_case_without_tiles_has_no_neighbours_and_no_opinion() -> None:
    found = retrieve(store_of(), EmbeddedEmbedder(shipped()), load_atlas())
    assert found.neighbours == ()
    assert all(vote.value is None for vote in found.votes)


def test_a_real_case_on_the_shipped_atlas(shared_images: Path) -> None:
    atlas, embedder = load_atlas(), EmbeddedEmbedder(shipped())
    rgb = pixels(shared_images / "he_other" / "01581x_25583y.png")
    own = next(e for e in atlas.entries if e.image_id == "other-01581x_25583y")
    store = store_of(rgb)
    found = retrieve(store, embedder, atlas, 8)
    assert found.neighbours[0].neighbour_id == own.entry_id
    assert found.neighbours[0].similarity == pytest.approx(1, abs=1e-4)
    assert len(found.neighbours) == 8
    assert found.atlas_size == len(atlas)
    assert found.source.weights_digest == embedder.info.weights_digest

    honest = retrieve(store, embedder, atlas, 8, LeaveOut(None, frozenset({own.pixels_sha256})))
    assert own.entry_id not in {n.neighbour_id for n in honest.neighbours}
    assert honest.excluded == {"identical_pixels": 1}
