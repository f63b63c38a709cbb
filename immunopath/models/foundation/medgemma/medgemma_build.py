"""From an engine string to a `medgemma` engine: weights, record, precision, adapter, probe."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from immunopath.domain.errors import EngineSpecError
from immunopath.domain.prediction import EngineCaution
from immunopath.models.calibration import Calibrator, chosen_calibrator, load_calibrator
from immunopath.models.foundation.decoding.decoded import conditioning_name
from immunopath.models.foundation.medgemma.adapter import LoadedAdapter, load_adapter
from immunopath.models.foundation.medgemma.compiled import compile_layers
from immunopath.models.foundation.medgemma.gemma import load_gemma
from immunopath.models.foundation.medgemma.medgemma import (
    MedGemmaPredictor,
    Serving,
    engine_digest,
    setup_of,
)
from immunopath.models.foundation.medgemma.probe import ProbeResult, ProbeSetup
from immunopath.models.foundation.medgemma.probe_files import (
    probe_caution,
    probe_path,
    read_probe,
    validation_path,
)
from immunopath.models.foundation.medgemma.published import BASE, PUBLISHED, SHORT_NAMES, V31
from immunopath.models.foundation.medgemma.record import (
    FILE,
    OVERRIDES,
    ZERO_SHOT,
    CheckpointRecord,
    overridden,
    read_record,
    record_from_options,
)
from immunopath.models.foundation.precision import check_words, choose_precision
from immunopath.models.foundation.weights import Source, Weights
from immunopath.models.spec import EngineSpec
from immunopath.models.validation import Evidence, evidence_of

OPTIONS: Final = (
    "adapter", "revision", "adapter_revision", "record", *OVERRIDES, "quant", "dtype", "device",
    "merge", "compile", "batch", "wait_ms", "patches", "head", "marginal", "probe",
    "calibration",
)  # fmt: skip
PACKAGES: Final = ("torch", "transformers", "safetensors", "peft", "accelerate")
DOCTOR: Final = "immunopath.models.foundation.medgemma.doctor_medgemma:check_request"


@dataclass(frozen=True)
class Request:
    """A parsed engine string; `adapter` None = the base model alone."""

    base: Source
    adapter: Source | None
    device: str
    serving: Serving
    merge: bool
    compiled: bool
    options: Mapping[str, str]


def parse(spec: EngineSpec, device: str) -> Request:
    """Return what an engine string asks for; raises `EngineSpecError` naming the option.

    Without id or folder the published base and adapter are meant; with one, no adapter is loaded
    unless it is named. ``adapter=none`` switches it off.
    """
    spec.refuse_extras(*OPTIONS, source=True)
    options = spec.options
    named = options.get("adapter", V31 if spec.source is None else "none")
    if named == "none" and "adapter_revision" in options:
        raise EngineSpecError(f"engine {spec}: adapter_revision= without an adapter; leave it out")
    serving = Serving(
        batch=spec.whole("batch", 8, 1, 4096),
        wait_s=spec.whole("wait_ms", 20, 0, 60_000) / 1000,
        patches=spec.whole("patches", 32, 1, 100_000),
        full_head=spec.choice("head", ("full", "candidates")) == "full",
        marginal=spec.whole("marginal", 0, 0, 1000),
    )
    overridden(ZERO_SHOT, options)
    check_words(options)
    return Request(
        base=Source.of(spec, spec.source or BASE),
        adapter=None if named == "none" else Source.of(spec, named, key="adapter_revision"),
        device=options.get("device", device),
        serving=serving,
        merge=spec.choice("merge", ("false", "true")) == "true",
        compiled=spec.choice("compile", ("false", "true")) == "true",
        options=options,
    )


def build(spec: EngineSpec, device: str = "cpu") -> MedGemmaPredictor:
    """Return the engine of ``medgemma[:<id-or-folder>][,adapter=…][,quant=nf4]…``.

    Everything that can be checked without the weights in memory is checked first. Raises
    `EngineSpecError` for options, a `HubError` or a `CheckpointError` for the checkpoint.
    """
    request = parse(spec, device)
    precision = choose_precision(request.options, request.device)
    base = request.base.resolve()
    adapter = None if request.adapter is None else request.adapter.resolve()
    record = choose_record(request, base, adapter)
    setup = setup_asked(request, record, base, adapter)
    caution = find_probe(request, adapter or base, setup)[1]
    calibrator = find_calibrator(request, base, adapter)
    evidence = find_evidence(request, adapter or base, setup, calibrator)
    cautions = [*record.cautions, *(c for c in (caution, evidence.caution) if c is not None)]
    gemma = load_gemma(base, precision, request.device)
    loaded = None if adapter is None else load_adapter(gemma, adapter, merge=request.merge)
    if request.compiled:
        compile_layers(gemma.model)
    if loaded is not None and not loaded.base_confirmed:
        cautions.append(_unconfirmed(loaded))
    return MedGemmaPredictor(
        gemma, loaded, record, request.serving, cautions, calibrator, evidence.cards
    )


def hub_sources(spec: EngineSpec) -> tuple[Source, ...]:
    """Return base and adapter of an engine string; raises `EngineSpecError`."""
    request = parse(spec, "cpu")
    return (request.base,) if request.adapter is None else (request.base, request.adapter)


def check_files(spec: EngineSpec) -> None:
    """Read the record and the calibration that are named, or that lie in a folder that is.

    Raises `RecordMissing` and `CaseFileError`.
    """
    request = parse(spec, "cpu")
    named, calibration = request.options.get("record"), request.options.get("calibration")
    trained = Path((request.adapter or request.base).name).expanduser()
    if named is not None and named not in SHORT_NAMES:
        read_record(Path(named))
    elif named is None and (trained / FILE).is_file():
        read_record(trained / FILE)
    if calibration not in {None, "none"}:
        load_calibrator(Path(str(calibration)).expanduser())


def choose_record(request: Request, base: Weights, adapter: Weights | None) -> CheckpointRecord:
    """Return how the checkpoint is to be asked.

    First ``record=`` (a file, v3.1 or v2), then ``immunopath.json`` beside the weights that were
    trained, then the shipped record of a published adapter, then prompt and format of the engine
    string, then (for a bare model only) the card's prompt. Raises `RecordMissing`.
    """
    options, trained = request.options, adapter or base
    named = options.get("record")
    beside = trained.folder / FILE
    if named is not None:
        known = SHORT_NAMES.get(named)
        record = PUBLISHED[known] if known else read_record(Path(named))
    elif beside.is_file():
        record = read_record(beside)
    elif (trained.repo_id or "").lower() in PUBLISHED:
        record = PUBLISHED[(trained.repo_id or "").lower()]
    elif adapter is not None or {"prompt", "format"} <= set(options):
        return record_from_options(options, trained.source)
    else:
        record = ZERO_SHOT
    return overridden(record, options)


def setup_asked(
    request: Request, record: CheckpointRecord, base: Weights, adapter: Weights | None
) -> ProbeSetup:
    """Return how the engine will ask, known before its weights are in memory."""
    precision = choose_precision(request.options, request.device)
    merged = None if adapter is None else request.merge
    return setup_of(engine_digest(base, adapter), record, request.serving, precision, merged)


def find_probe(
    request: Request, trained: Weights, setup: ProbeSetup
) -> tuple[ProbeResult | None, EngineCaution | None]:
    """Return the probe result that the engine finds, and what a report will say about it.

    trained: the weights that carry the record; setup: how the engine will ask. Raises
    `CaseFileError` for a file of ``probe=`` that is missing, and for one that is damaged.
    """
    given = request.options.get("probe")
    path = Path(given) if given else probe_path(trained, setup.weights_digest)
    result = read_probe(path, needed=given is not None)
    return result, probe_caution(result, setup)


def find_calibrator(request: Request, base: Weights, adapter: Weights | None) -> Calibrator | None:
    """Return the calibration of ``calibration=``, else the one beside the trained weights.

    ``calibration=none`` states raw tables. Raises `CaseFileError` for a file that is none, and
    `CalibratorMismatch` for that of another checkpoint.
    """
    folder = (adapter or base).folder
    return chosen_calibrator(request.options, folder, engine_digest(base, adapter))


def find_evidence(
    request: Request, trained: Weights, setup: ProbeSetup, calibrator: Calibrator | None
) -> Evidence:
    """Return what ``immunopath evaluate`` left beside the trained weights, if it is of them."""
    return evidence_of(
        validation_path(trained, setup.weights_digest),
        setup.weights_digest,
        None if calibrator is None else calibrator.digest,
        conditioning_name(request.serving.marginal),
        setup.preprocess,
    )


def _unconfirmed(loaded: LoadedAdapter) -> EngineCaution:
    return EngineCaution(
        code="ADAPTER_BASE_UNCONFIRMED",
        severity="note",
        message=f"All {loaded.layers} layers of the adapter fit the base model, but nothing names "
        "both, so that they belong together is not confirmed.",
        action="Give base and adapter by hub id, or make sure that the adapter was trained on it.",
    )
