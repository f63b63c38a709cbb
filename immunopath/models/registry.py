"""Which engine names exist for each role, and the builders behind them.

A builder is a short function that imports what it needs when it is called, so that listing
engines costs nothing. Roles and names are data: nothing registers itself at run time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from threading import RLock
from typing import Any, Literal, get_args

from immunopath.domain.errors import EngineSpecError, EngineUnavailable
from immunopath.models.spec import EngineSpec

Role = Literal["predictor", "phenotype", "embedder", "drugs"]
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True)
class Entry:
    """One line of the registry.

    builder: ``module:function`` taking the spec and the device.
    """

    role: Role
    name: str
    builder: str
    licence: str
    gated: bool
    description: str


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "predictor",
        "embedded",
        "immunopath.models.embedded.predictor:build",
        "MIT",
        False,
        "nuclei, lymphocytes and their layout by image analysis, CPU",
    ),
    Entry(
        "predictor",
        "medgemma",
        "immunopath.models.foundation.medgemma.medgemma_build:build",
        "HAI-DEF",
        True,
        "MedGemma 1.5 4B (any Gemma 3 image-text model) with a LoRA adapter",
    ),
    Entry(
        "predictor",
        "mil",
        "immunopath.models.mil.build:build",
        "per embedder",
        False,
        "attention-MIL head over tile embeddings, trained with 'immunopath train-mil', CPU",
    ),
    Entry(
        "phenotype",
        "embedded",
        "immunopath.models.embedded.phenotype:build",
        "MIT",
        False,
        "inflamed / excluded / desert from block texture, CPU",
    ),
    Entry(
        "phenotype",
        "medsiglip",
        "immunopath.models.foundation.vision.medsiglip:build",
        "HAI-DEF",
        True,
        "MedSigLIP zero-shot",
    ),
    Entry(
        "phenotype",
        "open_clip",
        "immunopath.models.foundation.vision.open_clip:build",
        "per model",
        False,
        "any open_clip model, zero-shot",
    ),
    Entry(
        "embedder",
        "embedded",
        "immunopath.models.embedded.embedder:build",
        "MIT",
        False,
        "stain-robust texture and morphology vector, CPU",
    ),
    Entry(
        "embedder",
        "path-foundation",
        "immunopath.models.foundation.vision.path_foundation:build",
        "HAI-DEF",
        True,
        "Path Foundation ViT-S, TensorFlow SavedModel or ONNX",
    ),
    Entry(
        "embedder",
        "hf-vision",
        "immunopath.models.foundation.vision.vision_embedder:build_hf",
        "per model",
        False,
        "any vision encoder of transformers",
    ),
    Entry(
        "embedder",
        "timm",
        "immunopath.models.foundation.vision.timm_embedder:build",
        "per model",
        False,
        "any vision encoder of timm",
    ),
    Entry(
        "drugs",
        "embedded",
        "immunopath.models.embedded.drug_knowledge:build",
        "MIT",
        False,
        "curated drug records with source and grade",
    ),
    Entry(
        "drugs",
        "txgemma",
        "immunopath.models.foundation.txgemma.txgemma:build",
        "HAI-DEF",
        True,
        "curated drug records, and TxGemma on small molecules after them",
    ),
)

PROFILES: dict[str, dict[Role, str]] = {
    "embedded": dict.fromkeys(ROLES, "embedded"),
    "foundation": {
        "predictor": "medgemma",
        "phenotype": "medsiglip",
        "embedder": "path-foundation",
        "drugs": "txgemma",
    },
}
"""Default engine of every role by profile."""

EMBEDDED = "embedded"
SWITCHED_OFF = "none"
"""Engine name that leaves a role out on purpose; its node answers `Unavailable`."""


_BUILDING = RLock()
"""One engine is built at a time: transformers changes settings of the whole process while it loads
a checkpoint, and a second one loaded meanwhile comes out wrong."""


def find_entry(role: Role, spec: EngineSpec) -> Entry:
    """Return the registry line of a spec; raises `EngineSpecError` for an unknown name."""
    for entry in ENTRIES:
        if entry.role == role and entry.name == spec.name:
            return entry
    names = ", ".join(e.name for e in ENTRIES if e.role == role)
    raise EngineSpecError(f"{role} engine {spec.name!r} does not exist; choose {names} or none")


def check_spec(role: Role, spec: EngineSpec) -> None:
    """Raise `EngineSpecError` unless `spec` names an engine of this role (or ``none``).

    The embedded engines take no options, which is said before any image is read; the options of
    a model are its builder's to judge.
    """
    if spec.name != SWITCHED_OFF:
        find_entry(role, spec)
    if spec.name in {SWITCHED_OFF, EMBEDDED}:
        spec.refuse_extras()


def build_engine(role: Role, spec: EngineSpec, device: str) -> Any:  # noqa: ANN401 - per role
    """Return the engine of a role, ready to work.

    Raises `EngineUnavailable` when it was switched off or its packages or weights are missing;
    `EngineSpecError` when its options are wrong.
    """
    if spec.name == SWITCHED_OFF:
        raise EngineUnavailable(f"the {role} engine was switched off")
    entry = find_entry(role, spec)
    module, _, function = entry.builder.partition(":")
    try:
        builder: Callable[[EngineSpec, str], Any] = getattr(import_module(module), function)
        with _BUILDING:
            return builder(spec, device)
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            f"{entry.name}: the package {error.name!r} is not installed; 'immunopath doctor' says "
            "which extra brings it"
        ) from error


def close_engine(engine: object) -> None:
    """Close an engine that holds a worker or memory; the others have nothing to close."""
    end = getattr(engine, "close", None)
    if callable(end):
        end()
