"""The tree of everything ImmunoPath raises on purpose.

::

    ImmunoPathError
    ├── InputError              the caller's input cannot be used
    │   ├── ImageReadError      missing, empty, truncated, mislabelled, too large, unsupported mode
    │   ├── ResolutionError     mpp is not a number of micrometres per pixel, or out of range
    │   ├── RegionError         a picked region is no box, lies outside its slide or on another one
    │   ├── HeatTooLarge        a slide has more tissue tiles than a dense pass may read
    │   ├── CaseFileError       a clinical YAML or configuration file is invalid
    │   ├── EngineSpecError     an engine string cannot be understood
    │   ├── CohortError         a manifest, a barcode or the choice of samples cannot be used
    │   │   └── DuplicatePatient          a patient, slide or aliquot stands there twice
    │   ├── ExpressionError     an expression file is empty, unreadable or not what it says
    │   │   └── GeneMissing               genes of a signature are not in the file
    │   ├── LabelError          labels or label constants cannot be computed or applied
    │   │   └── OneClassField             every training patient has the same label
    │   ├── SplitError          patients cannot be split as asked
    │   │   └── LeakageError              what must stay in one split is in two
    │   └── OutputError         a result cannot be written where it was asked for
    ├── EngineError             an engine was asked and could not do its work
    │   ├── EngineUnavailable   it cannot run here: package, weights or licence missing
    │   │   ├── HubError                  a checkpoint cannot be had from the hub
    │   │   │   ├── HubTokenMissing           gated, and no valid token was sent
    │   │   │   ├── HubTermsNotAccepted       gated, and its terms are not accepted
    │   │   │   ├── HubNameUnknown            no such repository or revision
    │   │   │   └── HubOffline                not reached, and not in the local cache
    │   │   └── CheckpointError           a checkpoint is here and cannot be used as it is
    │   │       ├── CheckpointClassError      another architecture
    │   │       ├── ProcessorMissing          no tokenizer or image processor
    │   │       ├── TokenizerMismatch         a tokenizer of another model
    │   │       ├── WeightsCorrupted          truncated, altered or incomplete
    │   │       ├── UnsafeWeights             could run code when loaded
    │   │       ├── LogitsNotFinite           answers NaN or infinity
    │   │       ├── PrecisionUnsupported      no bfloat16 here
    │   │       ├── AdapterMismatch           a LoRA adapter that does not fit
    │   │       ├── RecordMissing             prompt and format are not known
    │   │       ├── CalibratorMismatch        a calibration of another checkpoint or other values
    │   │       └── ImageSizeError            no patch of the size that is needed
    │   └── EngineMismatch      a query made by another encoder, an index of another build
    ├── KnowledgeError          the shipped or given knowledge base is not consistent
    └── UnexpectedFault         a fault of the program in one case of several

Messages are one line: what is wrong, with which file or value, and what to do.
"""

from collections.abc import Sequence


class ImmunoPathError(Exception):
    """Root of the tree; ``str(error)`` is one printable line."""

    def __str__(self) -> str:
        """Return the message on one line, control characters made visible."""
        text = super().__str__()
        return "".join(
            c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
        )


def first_line(error: BaseException, limit: int | None = None) -> str:
    """Return the first line of what a library said, at most `limit` characters of it.

    The name of its class where it said nothing: those lines go into messages in parentheses.
    """
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:limit]


def first_few(names: Sequence[str], most: int = 5) -> str:
    """Return the first names of a list, with an ellipsis for the others: for a message."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


class InputError(ImmunoPathError):
    """The caller's input cannot be used."""


class ImageReadError(InputError):
    """The file is missing, empty, truncated, mislabelled, too large or of an unsupported kind."""


class ResolutionError(InputError):
    """The stated mpp (micrometres per pixel) is not usable."""


class RegionError(InputError):
    """A picked region is no box of whole pixels, lies outside its slide or on another region."""


class HeatTooLarge(InputError):
    """The slides of a case have more tissue tiles than a dense pass may read."""


class CaseFileError(InputError):
    """A clinical YAML file or a configuration file is invalid."""


class EngineSpecError(InputError):
    """An engine string cannot be understood."""


class CohortError(InputError):
    """A cohort manifest, a barcode or the choice of samples cannot be used."""


class DuplicatePatient(CohortError):
    """A patient, slide or aliquot stands in a table twice."""


class ExpressionError(InputError):
    """An expression file is empty, unreadable or not what it says."""


class GeneMissing(ExpressionError):
    """Genes of a signature are not in the expression file."""


class LabelError(InputError):
    """Labels or label constants cannot be computed or applied."""


class OneClassField(LabelError):
    """Every training patient has the same label of a field: nothing can be learned of it."""


class SplitError(InputError):
    """Patients cannot be split as asked."""


class LeakageError(SplitError):
    """A patient, slide, aliquot or site that must stay in one split is in two."""


class OutputError(InputError):
    """A result cannot be written where it was asked for."""


class EngineError(ImmunoPathError):
    """An engine was asked and could not do its work."""


class EngineUnavailable(EngineError):
    """The engine cannot run here: a package, weights or a licence is missing."""


class HubError(EngineUnavailable):
    """A checkpoint cannot be had from the hub."""


class HubTokenMissing(HubError):
    """The repository is gated and no token, or a token that is not valid, was sent."""


class HubTermsNotAccepted(HubError):
    """The repository is gated and the account behind the token has not accepted its terms."""


class HubNameUnknown(HubError):
    """The hub knows no repository or no revision of that name (or it is private)."""


class HubOffline(HubError):
    """The hub was not asked or not reached, and the files are not in the local cache."""


class CheckpointError(EngineUnavailable):
    """A checkpoint is here and cannot be used as it is."""


class CheckpointClassError(CheckpointError):
    """The checkpoint is of another architecture than the engine runs."""


class ProcessorMissing(CheckpointError):
    """The tokenizer or the image processor is not in the checkpoint's folder."""


class TokenizerMismatch(CheckpointError):
    """The tokenizer does not belong to the model: more tokens than rows, or other image tokens."""


class WeightsCorrupted(CheckpointError):
    """A safetensors file is truncated, altered or lacks tensors that the model needs."""


class UnsafeWeights(CheckpointError):
    """The checkpoint could run code when it is loaded: pickled weights or code of its own."""


class LogitsNotFinite(CheckpointError):
    """The model answers NaN or infinity."""


class PrecisionUnsupported(CheckpointError):
    """The device has no bfloat16, or the number format cannot hold the model's activations."""


class AdapterMismatch(CheckpointError):
    """A LoRA adapter does not fit: another base, keys missing or left over, or zero weights."""


class RecordMissing(CheckpointError):
    """Nobody says which prompt and answer format a checkpoint was trained with."""


class CalibratorMismatch(CheckpointError):
    """A calibration was fitted on another checkpoint or on tables over other values."""


class ImageSizeError(CheckpointError):
    """The image cannot give a patch of the size that the model takes."""


class EngineMismatch(EngineError):
    """A query or an index was made by another encoder or another build."""


class KnowledgeError(ImmunoPathError):
    """The knowledge base is not consistent."""


class UnexpectedFault(ImmunoPathError):
    """A fault of the program itself while it worked on one case of several."""
