"""The probe of any predictor: asked about single tiles, as they are, blank and shuffled.

A language model is probed prompt by prompt (`medgemma.medgemma_probe`). Every other predictor is
asked through the door that cases use: one tile at a time, whose pixels are exchanged underway.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from immunopath.domain.errors import InputError
from immunopath.domain.prediction import FIELD_VALUES, FieldPrediction, PredictorResult
from immunopath.domain.quality import TileSummary
from immunopath.models.foundation.medgemma.probe import (
    SEED,
    ProbeResult,
    ProbeSetup,
    Tables,
    blank,
    compare,
    shuffled,
)
from immunopath.models.foundation.medgemma.probe_files import FILE, write_probe
from immunopath.models.protocols import RGB, EngineInfo, Predictor, TileSource
from immunopath.models.registry import build_engine, close_engine
from immunopath.models.spec import EngineSpec

ABSTAINS = "no answer"
"""A value of its own: an engine that falls silent on glass has looked at it."""
TILES = 32
"""Tiles of one case that are asked about, at even steps."""


class OneTile:
    """A case of one tile; implements `TileSource`. `change` is done to everything that is read."""

    def __init__(
        self, source: TileSource, tile: TileSummary, change: Callable[[RGB], RGB] | None = None
    ) -> None:
        self._source, self._tile, self._change = source, tile, change

    @property
    def tiles(self) -> Sequence[TileSummary]:
        """The tile."""
        return (self._tile,)

    def pixels(self, tile_id: str, mpp: float, halo_um: float = 0.0) -> RGB:
        """Return the tile's pixels, changed."""
        return self._changed(self._source.pixels(tile_id, mpp, halo_um))

    def halo(self, tile_id: str, halo_um: float) -> tuple[float, float, float, float]:
        """Return the surroundings that the tile has."""
        return self._source.halo(tile_id, halo_um)

    def image(self, image_index: int, max_px: int) -> RGB:
        """Return the tile's whole image, changed."""
        return self._changed(self._source.image(image_index, max_px))

    def _changed(self, pixels: RGB) -> RGB:
        return pixels if self._change is None else self._change(pixels)


def probe_cases(
    spec: EngineSpec, sources: Sequence[TileSource], out: Path | None, device: str = "cpu"
) -> tuple[ProbeResult, Path | None]:
    """Probe a predictor on up to `TILES` tiles of each case; returns the result and its file.

    `out` None = beside the weights when the engine string names a folder, else nowhere. Raises
    `InputError` without any tile, or when the engine answers no field of any tile.
    """
    engine: Predictor = build_engine("predictor", spec, device)
    try:
        result = probe_engine(engine, sources)
    finally:
        close_engine(engine)
    path = out or _home(spec)
    if path is not None:
        write_probe(result, path)
    return result, path


def probe_engine(engine: Predictor, sources: Sequence[TileSource]) -> ProbeResult:
    """Return the probe of a loaded predictor; raises as `probe_cases` does."""
    chosen = [(source, tile) for source in sources for tile in _spread(source.tiles)]

    def ask(change: Callable[[int], Callable[[RGB], RGB] | None]) -> list[Tables]:
        cases = [OneTile(source, tile, change(n)) for n, (source, tile) in enumerate(chosen)]
        return [tables_of(engine.predict(case).result) for case in cases]

    def mixed(n: int) -> Callable[[RGB], RGB]:
        return lambda pixels: shuffled(pixels, SEED + 97 * n)

    if not chosen:
        raise InputError("a probe needs at least one tile; give images with tissue")
    real = ask(lambda _: None)
    seen = [key for key in FIELD_VALUES if any(set(t[key]) != {ABSTAINS} for t in real)]
    if not seen:
        raise InputError(
            "the predictor answers no field of these tiles, so nothing can be compared; give "
            "images that it answers"
        )
    whole, empty, broken = (
        [{key: tables[key] for key in seen} for tables in asked]
        for asked in (real, ask(lambda _: blank), ask(mixed))
    )
    return compare(whole, empty, broken, setup_of(engine.info))


def setup_of(info: EngineInfo) -> ProbeSetup:
    """Return what a probe of an engine is a probe of."""
    return ProbeSetup(
        weights_digest=info.weights_digest or "",
        prompt_digest="",
        images=1,
        mpp=info.expected_mpp or 0.0,
        preprocess=info.preprocess,
    )


def tables_of(result: PredictorResult) -> Tables:
    """Return a table per field: its own, or its value, or that there is no answer.

    A number without a table is a share v of the whole, {1: v, 0: 1 - v}: total variation between
    two of them is their difference.
    """
    return {key: _table(getattr(result.profile, key)) for key in FIELD_VALUES}


def _table(field: FieldPrediction[str] | FieldPrediction[float]) -> dict[str, float]:
    if field.probabilities is not None:
        return field.probabilities
    if field.value is None:
        return {ABSTAINS: 1.0}
    if isinstance(field.value, str):
        return {field.value: 1.0}
    return {"1": field.value, "0": 1 - field.value}


def _spread(tiles: Sequence[TileSummary]) -> Sequence[TileSummary]:
    if len(tiles) <= TILES:
        return tiles
    return [tiles[(2 * i + 1) * len(tiles) // (2 * TILES)] for i in range(TILES)]


def _home(spec: EngineSpec) -> Path | None:
    folder = None if spec.source is None else Path(spec.source).expanduser()
    return folder / FILE if folder is not None and folder.is_dir() else None
