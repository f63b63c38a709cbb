"""What `doctor` checks of a `mil` request: that the head is whole and its encoder is this one."""

from immunopath.domain.prediction import FIELD_VALUES
from immunopath.domain.words import counted
from immunopath.models.foundation.checks import Check, attempt
from immunopath.models.mil.build import (
    calibrator_of,
    embedder_of,
    evidence_for,
    folder_of,
    probe_of,
)
from immunopath.models.mil.network import read_head
from immunopath.models.mil.predictor import require_encoder
from immunopath.models.mil.record import read_record
from immunopath.models.registry import EMBEDDED, build_engine
from immunopath.models.spec import EngineSpec


def check_mil(head: str, spec: EngineSpec, device: str, *, loadable: bool) -> list[Check]:
    """Return the row of a head; an embedder with weights of its own is not loaded for it.

    The head runs on any device, and its own files were found when its sources were read, so
    neither `device` nor `loadable` changes what can be said.
    """
    return [attempt(f"{head}: head", lambda: _state(spec))]


def _state(spec: EngineSpec) -> str:
    folder = folder_of(spec)
    record = read_record(folder)
    read_head(folder, record)
    calibrator = calibrator_of(spec, folder, record)
    cards = evidence_for(folder, record, calibrator).cards
    probe = probe_of(folder)
    probed = probe is not None and probe.weights_digest == record.digest
    embedder = embedder_of(spec, record)
    if embedder.name == EMBEDDED:
        require_encoder(build_engine("embedder", embedder, "cpu"), record)
    return (
        f"{len(record.trained)} of {len(FIELD_VALUES)} fields, {len(cards)} validated, "
        f"{'not calibrated' if calibrator is None else 'calibrated'}, "
        f"{'probed' if probed else 'never probed'}; trained on "
        f"{counted(record.patients.get('train', 0), 'patient')}, labels: {record.origin}"
    )
