"""The encoder of imported vectors: it has a name, and nothing to embed with."""

from dataclasses import dataclass

from immunopath.domain.errors import EngineMismatch
from immunopath.models.mil.network import F32
from immunopath.models.mil.record import MilRecord
from immunopath.models.protocols import EngineInfo, TileSource


@dataclass(frozen=True)
class DeclaredEmbedder:
    """Implements `Embedder` for a head that is asked about stored vectors; it refuses pixels."""

    record: MilRecord

    @property
    def info(self) -> EngineInfo:
        """What was declared when the vectors were imported."""
        encoder = self.record.encoder
        return EngineInfo(
            role="embedder",
            name=encoder.name,
            revision=encoder.revision,
            weights_digest=encoder.weights_digest,
            expected_mpp=self.record.mpp,
            input_px=self.record.px,
            embedding_size=encoder.size,
            licence="not stated",
            gated=False,
            description="vectors made elsewhere, encoder as declared",
        )

    def embed(self, source: TileSource) -> F32:
        """Raise `EngineMismatch`: only vectors were imported."""
        raise EngineMismatch(
            f"vectors of {self.record.encoder} were imported and cannot be made here; name that "
            "encoder: mil:FOLDER,embedder=ENGINE"
        )
