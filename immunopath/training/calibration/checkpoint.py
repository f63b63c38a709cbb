"""Which checkpoint lies in a folder, as far as the folder itself tells."""

from pathlib import Path

from immunopath.domain.errors import CheckpointError
from immunopath.models.foundation.medgemma.adapter import CONFIG, read_settings
from immunopath.models.foundation.medgemma.medgemma import engine_digest
from immunopath.models.foundation.medgemma.record import FILE as RECORD
from immunopath.models.foundation.weights import is_folder, resolve_weights
from immunopath.models.mil.record import FILE as MIL
from immunopath.models.mil.record import read_record


def require_folder(folder: Path) -> None:
    """Raise `CheckpointError` unless `folder` holds a checkpoint with its record."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder; give the folder of the checkpoint")
    if not any((folder / name).is_file() for name in (RECORD, MIL)):
        raise CheckpointError(
            f"{folder}: holds no {RECORD} and no {MIL}, so it is no checkpoint; give the folder "
            "that 'immunopath train' wrote"
        )


def digest_of(folder: Path) -> str | None:
    """Return the digest under which the predictor of this folder answers, or None.

    None: an adapter whose base is not a folder on this machine, so that the two cannot be named
    together; the predictor compares when it loads both. Raises `CheckpointError` without weights,
    `AdapterMismatch` for an adapter that is damaged or no LoRA.
    """
    if (folder / MIL).is_file():
        return read_record(folder).digest
    own = resolve_weights(str(folder.absolute()))
    if not own.files:
        raise CheckpointError(f"{folder}: holds a record and no weights; copy the weights there")
    if not (folder / CONFIG).is_file():
        return own.digest
    base = read_settings(own).get("base_model_name_or_path") or ""
    if not is_folder(base) or not Path(base).is_dir():
        return None
    return engine_digest(resolve_weights(base), own)
