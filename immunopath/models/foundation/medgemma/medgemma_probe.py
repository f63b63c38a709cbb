"""Running the probe on a `medgemma` engine and putting the result where the engine finds it."""

from collections.abc import Sequence
from pathlib import Path

from immunopath.models.foundation.medgemma.medgemma_build import build
from immunopath.models.foundation.medgemma.patches import cut_patches, units_of
from immunopath.models.foundation.medgemma.probe import ProbeResult, Tables, probe
from immunopath.models.foundation.medgemma.probe_files import probe_path, write_probe
from immunopath.models.protocols import RGB, TileSource
from immunopath.models.spec import EngineSpec


def probe_predictor(
    spec: EngineSpec, sources: Sequence[TileSource], out: Path | None, device: str = "cpu"
) -> tuple[ProbeResult, Path]:
    """Probe an engine on the patches of several cases; returns the result and where it was kept.

    `out` None = where the engine itself looks for it. The options ``patches`` (per case) and
    ``batch`` of the engine string apply. Raises what building the engine raises.
    """
    engine = build(spec, device)
    record = engine.record
    text = record.the_prompt.filled(None)

    def read(images: Sequence[Sequence[RGB]]) -> list[Tables]:
        answers = engine.read(images, text)
        return [{r.key: r.probabilities for r in answer.readings} for answer in answers]

    try:
        units = [
            [patch.pixels for patch in unit.patches]
            for source in sources
            for unit in units_of(
                cut_patches(source, record.mpp, record.patch_px, engine.serving.patches),
                record.images,
            )
        ]
        result = probe(
            units,
            read,
            engine.probe_setup,
        )
    finally:
        engine.close()
    path = out or probe_path(engine.trained, engine.digest)
    write_probe(result, path)
    return result, path
