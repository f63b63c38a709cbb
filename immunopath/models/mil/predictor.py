"""The predictor ``mil:<folder>``: an attention head over the embeddings of a case's tiles."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from immunopath.domain.errors import EngineMismatch
from immunopath.domain.prediction import PredictorResult
from immunopath.domain.provenance import Provenance
from immunopath.domain.quality import Verdict, mpp_sources
from immunopath.models.atlas import unit_rows
from immunopath.models.atlas_entry import Encoder
from immunopath.models.calibrated import calibrated_result
from immunopath.models.calibration import Calibrator
from immunopath.models.foundation.case_probe import setup_of
from immunopath.models.foundation.medgemma.probe import ProbeResult
from immunopath.models.foundation.medgemma.probe_files import probe_caution
from immunopath.models.mil.cautions import UNCALIBRATED, cautions_of
from immunopath.models.mil.fields import CaseFacts, build_profile
from immunopath.models.mil.image_calls import image_calls
from immunopath.models.mil.network import F32, MilHead
from immunopath.models.mil.pixels import SquareTiles, squares_of
from immunopath.models.mil.record import EXTERNAL, MilRecord
from immunopath.models.protocols import Embedder, EngineInfo, Prediction, TileSource
from immunopath.models.registry import close_engine
from immunopath.models.validation import Evidence, validated_profile

NAME: Final = "mil"


@dataclass(frozen=True)
class MilPredictor:
    """Implements `Predictor`; holds nothing that a case changes.

    evidence: what ``immunopath evaluate`` found of this head; calibrator: of this head; probe: what
    ``immunopath models probe`` found, which every answer speaks of.
    """

    head: MilHead
    embedder: Embedder
    evidence: Evidence = field(default_factory=Evidence)
    calibrator: Calibrator | None = None
    probe: ProbeResult | None = None

    def __post_init__(self) -> None:
        require_encoder(self.embedder, self.record)

    @property
    def record(self) -> MilRecord:
        """What the head was trained on."""
        return self.head.record

    @property
    def digest(self) -> str:
        """What identifies the head, see `MilRecord.digest`."""
        return self.record.digest

    @property
    def info(self) -> EngineInfo:
        """What the engine is; the revision names the head, `preprocess` squares and encoder."""
        record = self.record
        return EngineInfo(
            role="predictor",
            name=NAME,
            revision=f"sha256-{self.digest[:12]}",
            weights_digest=self.digest,
            expected_mpp=record.mpp,
            input_px=record.px,
            embedding_size=None,
            licence=self.embedder.info.licence,
            gated=self.embedder.info.gated,
            description="attention-MIL head over tile embeddings",
            preprocess=f"px={record.px};encoder={record.encoder}",
        )

    def predict(self, source: TileSource) -> Prediction:
        """Return the profile of a case from all of its accepted tiles.

        Raises `ImageSizeError` when no tile holds a square of the trained size and what the
        embedder raises.
        """
        squares = squares_of(source, self.record.mpp, self.record.px)
        rows = embed_rows(self.embedder, SquareTiles(squares, self.record.mpp))
        return Prediction(self.answer(rows, tuple(square.tile_id for square in squares), source))

    def answer(self, rows: F32, tile_ids: Sequence[str], source: TileSource) -> PredictorResult:
        """Return what the head says of vectors that are already there.

        rows: (n, size), unit length; tile_ids: of the tile behind each row; source: the tiles,
        for what quality control and resolution say (its pixels are not read).
        """
        record = self.record
        distinct = tuple(dict.fromkeys(tile_ids))
        accepted = all(t.quality.verdict is Verdict.accept for t in source.tiles)
        strange = round(self.head.strange(rows), 4) if len(rows) else None
        facts = CaseFacts(
            record=record,
            n_tiles=len(distinct),
            qc_pass=bool(source.tiles) and accepted,
            ood_score=strange,
            source=self._provenance(source, distinct),
        )
        index_of = {tile.tile_id: tile.image_index for tile in source.tiles}
        found = self.head.read(rows) if len(rows) else {}
        profile = build_profile(found, facts)
        found_out = (probe_caution(self.probe, setup_of(self.info)), self.evidence.caution)
        cautions = [*cautions_of(record, len(rows), strange)]
        cautions += [caution for caution in found_out if caution is not None]
        cautions += [] if self.calibrator is not None else [UNCALIBRATED]
        result = PredictorResult(
            profile=validated_profile(profile, self.evidence.cards),
            cut_points=record.cut_points,
            cautions=tuple(cautions),
            images=image_calls(found, [index_of[tile_id] for tile_id in tile_ids]),
        )
        return calibrated_result(result, self.calibrator)

    def close(self) -> None:
        """Close the embedder if it can be closed."""
        close_engine(self.embedder)

    def _provenance(self, source: TileSource, tile_ids: tuple[str, ...]) -> Provenance:
        info = self.info
        return Provenance(
            engine=NAME,
            revision=info.revision,
            weights_digest=info.weights_digest,
            tile_ids=tile_ids,
            mpp=self.record.mpp,
            mpp_source=mpp_sources(source.tiles),
            preprocess=info.preprocess,
            kind="model",
        )


def embed_rows(embedder: Embedder, source: TileSource) -> F32:
    """Return the unit rows of squares, (n, size); checks size, unit norm and that they are finite.

    Raises `EngineMismatch` or `EngineError`.
    """
    size = Encoder.of(embedder.info).size
    return unit_rows(embedder.embed(source).reshape(-1, size), size)


def require_encoder(embedder: Embedder, record: MilRecord) -> None:
    """Raise `EngineMismatch` unless the embedder is the one that the head was trained on."""
    found = Encoder.of(embedder.info)
    if record.embedder == EXTERNAL:
        require_declared(found, record)
    elif found != record.encoder:
        raise EngineMismatch(
            f"the head was trained on vectors of {record.encoder}, the embedder "
            f"{record.embedder!r} is now {found}; install what made them or train the head again"
        )


def require_declared(found: Encoder, record: MilRecord) -> None:
    """Raise `EngineMismatch` unless an encoder is the one that imported vectors were declared of.

    Name, revision and size are compared, and the weights where their digest was declared; what
    happened to the pixels is not known of vectors made elsewhere.
    """
    said = record.encoder
    known = said.weights_digest is None or said.weights_digest == found.weights_digest
    same = (found.name, found.revision, found.size) == (said.name, said.revision, said.size)
    if not (known and same):
        raise EngineMismatch(
            f"the head was trained on imported vectors declared as of {said}, the embedder named "
            f"is {found}; name one of the same encoder"
        )
