"""Who said a value, with what, from which pixels."""

from immunopath.domain.base import Frozen


class Provenance(Frozen):
    """The origin of one value or one set of values.

    Keys that do not apply to an engine stay ``None``; they are never filled with a guess.
    """

    engine: str
    """Registry name, e.g. ``embedded-predictor``."""
    revision: str
    """Version of the engine's code or of the checkpoint."""
    weights_digest: str | None = None
    """SHA-256 of the weights or fitted constants."""
    prompt_digest: str | None = None
    calibrator_digest: str | None = None
    """SHA-256 of the calibration that the probabilities went through; None = uncalibrated."""
    knowledge_version: str | None = None
    rule_id: str | None = None
    tile_ids: tuple[str, ...] = ()
    mpp: float | None = None
    """Resolution at which the engine saw the pixels, µm per pixel."""
    preprocess: str | None = None
    """Choices between the tile and the model, e.g. ``view=tile;resize=tf-bilinear``."""
    mpp_source: str | None = None
    kind: str = "measurement"
    """``measurement`` (image analysis), ``model``, ``curated`` text or ``rule``."""
