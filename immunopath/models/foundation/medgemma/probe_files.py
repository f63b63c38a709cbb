"""Where probe results and validations lie, and what a report must say about them."""

from pathlib import Path
from typing import Final

from pydantic import ValidationError

from immunopath.domain.errors import CaseFileError
from immunopath.domain.files import read_small, write_text
from immunopath.domain.prediction import EngineCaution
from immunopath.domain.words import counted
from immunopath.models.foundation.medgemma.probe import ProbeResult, ProbeSetup
from immunopath.models.foundation.pins import state_folder
from immunopath.models.foundation.weights import Weights
from immunopath.models.validation import FILE as VALIDATION

FILE: Final = "immunopath-probe.json"
_COMPARED: Final = ("images", "format", "mpp", "dtype", "quant")
_HOW: Final = "Run 'immunopath models probe' on patches of your own laboratory."


def probe_path(weights: Weights, digest: str) -> Path:
    """Return where the probe of an engine belongs.

    Beside the weights when they lie in a folder; in ``HF_HOME/immunopath/probes`` when they lie in
    the hub's cache, which is not ours to write to. `weights`: of the adapter, else of the base.
    """
    if weights.repo_id is None:
        return weights.folder / FILE
    return state_folder() / "probes" / f"{digest}.json"


def validation_path(weights: Weights, digest: str) -> Path:
    """Return where the validation of an engine belongs; see `probe_path`."""
    if weights.repo_id is None:
        return weights.folder / VALIDATION
    return state_folder() / "validations" / f"{digest}.json"


def write_probe(result: ProbeResult, path: Path) -> None:
    """Write a result in one step; raises `OutputError`."""
    write_text(path, result.model_dump_json(indent=2) + "\n")


def read_probe(path: Path, *, needed: bool) -> ProbeResult | None:
    """Return the result in a file, None when there is none and none is `needed`.

    Raises `CaseFileError` for a file that is needed and missing, or that is no probe result.
    """
    if not path.is_file() and not needed:
        return None
    try:
        return ProbeResult.model_validate_json(read_small(path, "a probe result"))
    except ValidationError as error:
        raise CaseFileError(
            f"{path}: is not a probe result; write one with 'immunopath models probe'"
        ) from error


def other_setup(result: ProbeResult, setup: ProbeSetup) -> tuple[str, ...]:
    """Return in what a probe was made for another configuration; empty when it is this one's."""
    found = []
    if result.weights_digest != setup.weights_digest:
        found.append("other weights")
    if result.prompt_digest != setup.prompt_digest:
        found.append("another prompt")
    pairs = {key: (getattr(result, key), getattr(setup, key)) for key in _COMPARED}
    found += [f"{key} {a or 'unknown'} instead of {b}" for key, (a, b) in pairs.items() if a != b]
    if not found and result.preprocess != setup.preprocess:
        theirs, ours = (set(s.preprocess.split(";")) for s in (result, setup))
        found.append(
            f"{';'.join(sorted(theirs - ours))} instead of {';'.join(sorted(ours - theirs))}"
        )
    return tuple(found)


def probe_caution(result: ProbeResult | None, setup: ProbeSetup) -> EngineCaution | None:
    """Return what a report says about the probe: None only when the image is used throughout."""
    if result is None:
        return EngineCaution(
            code="NOT_PROBED",
            severity="caution",
            message="Whether this predictor looks at the image at all was never probed.",
            action=_HOW,
        )
    others = other_setup(result, setup)
    if others:
        return EngineCaution(
            code="NOT_PROBED",
            severity="caution",
            message="The probe result at hand was made for another configuration "
            f"({', '.join(others)}), so whether this predictor looks at the image is not known.",
            action=_HOW,
        )
    return _verdict_caution(result)


def _verdict_caution(result: ProbeResult) -> EngineCaution | None:
    ignored, constant = result.keys("ignores"), result.keys("constant")
    if ignored or constant:
        worst = max(f.blank.high if f.verdict == "ignores" else f.shuffled.high
                    for f in result.fields if f.verdict in {"ignores", "constant"})  # fmt: skip
        all_of_them = len(ignored) == len(result.fields)
        named = "every field" if all_of_them else ", ".join((*ignored, *constant))
        against = "blank" if not constant else "blank or shuffled"
        return EngineCaution(
            code="IMAGE_IGNORED",
            severity="serious",
            message=f"The predictor ignores the image on {named}: against {against} images the "
            f"answer moved by at most {worst:.3f} (total variation, "
            f"{counted(result.n_units, 'prompt')}).",
            action="Take these values for what they are: the model's constant, not this patient's.",
            fields=(*ignored, *constant),
        )
    unclear = result.keys("unclear")
    if unclear:
        return EngineCaution(
            code="IMAGE_USE_UNCLEAR",
            severity="caution",
            message=f"A probe of {counted(result.n_units, 'prompt')} does not show whether the "
            f"predictor uses the image on {', '.join(unclear)}.",
            action="Probe it on more patches.",
            fields=unclear,
        )
    return None
