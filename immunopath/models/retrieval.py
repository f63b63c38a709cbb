"""Neighbours of a case in an atlas, pooled over its tiles, and what they say of each field."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import median

from immunopath.domain.prediction import (
    FIELD_VALUES,
    FieldVote,
    Neighbour,
    RetrievalResult,
)
from immunopath.domain.provenance import Provenance
from immunopath.domain.quality import mpp_sources
from immunopath.models.atlas import NOBODY, Atlas, Hit, LeaveOut
from immunopath.models.atlas_entry import EXTRA_LABELS, AtlasEntry, Encoder
from immunopath.models.protocols import Embedder, TileSource

MIN_VOTES = 3
"""Fewer neighbours with a label for a field than this are no opinion."""


def retrieve(
    source: TileSource,
    embedder: Embedder,
    atlas: Atlas,
    k: int = 8,
    leave_out: LeaveOut = NOBODY,
) -> RetrievalResult:
    """Return up to `k` reference images near the accepted tiles of a case, and their votes.

    Every tile asks for its `k` nearest images; an image's rank is the mean over all tiles of its
    similarity (0 where it is not among a tile's nearest, or negative), and `similarity` is that of
    its best tile. `leave_out` names the case's own patient, pixels and files.
    Raises `EngineMismatch` when the atlas is of another encoder, `EngineError` when a tile cannot
    be embedded. A case without tiles has no neighbours.
    """
    encoder = Encoder.of(embedder.info)
    atlas.check_encoder(encoder)
    query = embedder.embed(source)
    found = atlas.search(query, k, encoder=encoder, leave_out=leave_out)
    pooled = pool(found.hits, k)
    return RetrievalResult(
        neighbours=tuple(_neighbour(hit) for hit in pooled),
        votes=votes(pooled),
        atlas_id=atlas.atlas_id,
        atlas_size=len(atlas),
        excluded={reason: n for reason, n in found.excluded.items() if n},
        source=Provenance(
            engine=f"{embedder.info.name}-embedder",
            revision=embedder.info.revision,
            weights_digest=embedder.info.weights_digest,
            tile_ids=tuple(t.tile_id for t in source.tiles),
            mpp=embedder.info.expected_mpp,
            mpp_source=mpp_sources(source.tiles),
            preprocess=embedder.info.preprocess or None,
        ),
    )


def pool(per_tile: Sequence[Sequence[Hit]], k: int) -> tuple[Hit, ...]:
    """Return the `k` images of highest mean similarity over tiles, each with its best hit."""
    total: defaultdict[str, float] = defaultdict(float)
    best: dict[str, Hit] = {}
    for hits in per_tile:
        for hit in hits:
            image = hit.entry.image_id
            total[image] += max(hit.similarity, 0.0)
            if image not in best or hit.similarity > best[image].similarity:
                best[image] = hit
    ranked = sorted(
        best.values(), key=lambda h: (-total[h.entry.image_id], -h.similarity, h.entry.entry_id)
    )
    return tuple(ranked[:k])


def votes(neighbours: Sequence[Hit]) -> tuple[FieldVote, ...]:
    """Return one vote per profile field, then one per extra label that a neighbour carries.

    A neighbour counts for a field only when it carries a label for it. With fewer than
    `MIN_VOTES` the value is None. Categories: the most frequent, ties to the greater similarity
    sum; numbers: the median, and none at all when the labels are of different quantities.
    """
    extra = [name for name in EXTRA_LABELS if any(name in h.entry.labels for h in neighbours)]
    return tuple(_vote(name, neighbours) for name in [*FIELD_VALUES, *extra])


def _vote(name: str, neighbours: Sequence[Hit]) -> FieldVote:
    voters = [hit for hit in neighbours if name in hit.entry.labels]
    if FIELD_VALUES.get(name, ()) is None:
        return FieldVote(field=name, n_votes=len(voters), value=_middle(name, voters))
    weight: defaultdict[str, tuple[int, float]] = defaultdict(lambda: (0, 0.0))
    for hit in voters:
        label = str(hit.entry.labels[name])
        count, similarity = weight[label]
        weight[label] = (count + 1, similarity + hit.similarity)
    shares = {label: weight[label][0] / len(voters) for label in sorted(weight)}
    enough = len(voters) >= MIN_VOTES
    value = max(sorted(weight), key=lambda label: weight[label]) if enough else None
    return FieldVote(field=name, n_votes=len(voters), value=value, shares=shares)


def _middle(name: str, voters: Sequence[Hit]) -> float | None:
    quantities = {hit.entry.label_quantity for hit in voters}
    if len(voters) < MIN_VOTES or len(quantities) > 1:
        return None
    return float(median(float(hit.entry.labels[name]) for hit in voters))


def _neighbour(hit: Hit) -> Neighbour:
    entry: AtlasEntry = hit.entry
    return Neighbour(
        neighbour_id=entry.entry_id,
        similarity=hit.similarity,
        title=entry.title,
        tissue=entry.tissue,
        labels=entry.labels,
        patient_id=entry.patient_id,
        licence=entry.licence,
        attribution=entry.attribution,
    )
