"""From the engine string ``mil:<folder>`` to a predictor: record, weights, embedder, cards."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from immunopath.domain.errors import CheckpointError, EngineMismatch, EngineSpecError
from immunopath.models.calibration import Calibrator, chosen_calibrator
from immunopath.models.foundation import sources
from immunopath.models.foundation.medgemma.probe import ProbeResult
from immunopath.models.foundation.medgemma.probe_files import FILE as PROBE
from immunopath.models.foundation.medgemma.probe_files import read_probe
from immunopath.models.foundation.weights import Source
from immunopath.models.mil.declared import DeclaredEmbedder
from immunopath.models.mil.network import read_head
from immunopath.models.mil.predictor import NAME, MilPredictor
from immunopath.models.mil.record import EXTERNAL, WEIGHTS, MilRecord, read_record
from immunopath.models.protocols import Embedder
from immunopath.models.registry import build_engine
from immunopath.models.spec import EngineSpec
from immunopath.models.validation import FILE as VALIDATION
from immunopath.models.validation import Evidence, evidence_of

OWN_PACKAGES: Final = ("safetensors",)
DOCTOR: Final = "immunopath.models.mil.doctor:check_mil"


def build(spec: EngineSpec, device: str = "cpu") -> MilPredictor:
    """Return the engine of ``mil:<folder>[,embedder=<name[:id-or-folder]>][,calibration=…]``.

    ``embedder`` names another place of the same encoder; ``calibration`` a file, or ``none`` for
    raw tables, instead of the one beside the head.

    Raises `EngineSpecError` for options, a `CheckpointError` for the folder, `EngineMismatch`
    when the embedder, and `CalibratorMismatch` when the calibration, is that of another head;
    `CaseFileError` for a probe or calibration beside it that is damaged.
    """
    folder = folder_of(spec)
    return _predictor(
        spec,
        folder,
        lambda record: build_engine("embedder", embedder_of(spec, record), device),
    )


def build_on_vectors(folder: Path) -> MilPredictor:
    """Return a head of imported vectors that answers on vectors alone and embeds nothing."""
    return _predictor(EngineSpec(name=NAME, source=str(folder)), folder, DeclaredEmbedder)


def _predictor(
    spec: EngineSpec, folder: Path, embedder: Callable[[MilRecord], Embedder]
) -> MilPredictor:
    """Return the head of a folder with all that lies beside it; the embedder is made last."""
    record = read_record(folder)
    head = read_head(folder, record)
    calibrator = calibrator_of(spec, folder, record)
    probe = probe_of(folder)
    evidence = evidence_for(folder, record, calibrator)
    return MilPredictor(head, embedder(record), evidence, calibrator, probe)


def folder_of(spec: EngineSpec) -> Path:
    """Return the folder of an engine string; raises `EngineSpecError` or `CheckpointError`."""
    spec.refuse_extras("embedder", "calibration", source=True)
    if spec.source is None:
        raise EngineSpecError(
            "engine mil: name the folder of a trained head, mil:<folder>; "
            "'immunopath train-mil' makes one"
        )
    folder = Path(spec.source).expanduser()
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder; give that of a head (mil.json in it)")
    return folder


def embedder_of(spec: EngineSpec, record: MilRecord) -> EngineSpec:
    """Return which embedder is asked for: the option's, else the one of the record.

    Raises `EngineMismatch` for a head of imported vectors when no embedder is named.
    """
    if record.embedder == EXTERNAL and "embedder" not in spec.options:
        raise EngineMismatch(
            f"engine {spec}: the head was trained on imported vectors of {record.encoder}, which "
            f"nothing here makes by itself; name that encoder: {spec},embedder=ENGINE (answers on "
            "stored vectors: 'immunopath features predict')"
        )
    return EngineSpec.parse(spec.options.get("embedder", record.embedder))


def calibrator_of(spec: EngineSpec, folder: Path, record: MilRecord) -> Calibrator | None:
    """Return the calibration that is asked for, else the one beside the head, else None."""
    return chosen_calibrator(spec.options, folder, record.digest)


def probe_of(folder: Path) -> ProbeResult | None:
    """Return what ``immunopath models probe`` left beside the head, of whatever it was made."""
    return read_probe(folder / PROBE, needed=False)


def evidence_for(folder: Path, record: MilRecord, calibrator: Calibrator | None) -> Evidence:
    """Return what ``immunopath evaluate`` left beside the head, if it is of this head."""
    used = None if calibrator is None else calibrator.digest
    return evidence_of(folder / VALIDATION, record.digest, used)


def hub_sources(spec: EngineSpec) -> tuple[Source, ...]:
    """Return the head's folder and what its embedder needs."""
    folder = folder_of(spec)
    embedder = embedder_of(spec, read_record(folder))
    return (Source(str(folder), ()), *sources.sources_of("embedder", embedder))


def check_files(spec: EngineSpec) -> None:
    """Read the head's record and its calibration; raises as `build` does for these."""
    folder = folder_of(spec)
    calibrator_of(spec, folder, read_record(folder))
    if not (folder / WEIGHTS).is_file():
        raise CheckpointError(f"{folder / WEIGHTS}: no such file; copy the head's folder again")


def PACKAGES(spec: EngineSpec) -> tuple[str, ...]:  # noqa: N802 - the name that doctor asks for
    """Return the distributions that the engine and its embedder import beyond the core."""
    try:
        embedder = embedder_of(spec, read_record(folder_of(spec)))
    except (
        CheckpointError,
        EngineMismatch,
        EngineSpecError,
    ):  # said with the folder, not with the packages
        return OWN_PACKAGES
    return OWN_PACKAGES + sources.packages_of("embedder", embedder)
