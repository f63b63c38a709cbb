"""From a cohort folder to a checkpoint folder: checks first, then vectors, then the head."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from immunopath import __version__
from immunopath.domain.errors import CaseFileError, OutputError
from immunopath.domain.files import require_content, require_place, write_bytes, write_text
from immunopath.domain.packages import versions_of
from immunopath.domain.words import counted
from immunopath.models.foundation.weights import sha256_of
from immunopath.models.mil.network import F32
from immunopath.models.mil.record import EXTERNAL, WEIGHTS, FieldRecord, MilRecord, write_record
from immunopath.models.mil.record import FILE as RECORD
from immunopath.models.protocols import Embedder
from immunopath.models.registry import build_engine, close_engine
from immunopath.models.spec import EngineSpec
from immunopath.training.labels.recipe import LABELS, LabelRecipe, read_recipe
from immunopath.training.mil.cohort import Cohort, read_cohort, require_tiles
from immunopath.training.mil.features import FILE as FEATURES
from immunopath.training.mil.features import (
    Features,
    Progress,
    cohort_features,
    load_features,
    require_tiles_of,
)
from immunopath.training.mil.settings import MilSettings
from immunopath.training.mil.targets import cut_points_of, field_records, targets_of
from immunopath.training.samples import SAMPLES, Sample
from immunopath.training.seen import seen_of

if TYPE_CHECKING:
    from immunopath.training.mil.fit import Bags, Epoch, Fitted

HISTORY: Final = "history.csv"
LEAST_PATIENTS: Final = 8
"""Of each of the two splits that training reads."""


@dataclass(frozen=True)
class Plan:
    """Everything that is checked before the first second of work.

    embedder: the engine string as it goes into the record, `EXTERNAL` for imported vectors;
    recipe: what made labels from expression, when the cohort says so (``labels.json``);
    constants_sha256: of that file, whatever it holds, None without it.
    """

    cohort: Cohort
    train: tuple[Sample, ...]
    val: tuple[Sample, ...]
    fields: dict[str, FieldRecord]
    settings: MilSettings
    embedder: str
    recipe: LabelRecipe | None = None
    constants_sha256: str | None = None


@dataclass(frozen=True)
class Means:
    """With what a head is trained, and who is told.

    features: the file of vectors to use or to make, by default ``features.safetensors`` beside
    the head; workers: chunks of tiles embedded side by side; device: of the embedder.
    """

    features: Path | None = None
    workers: int = 1
    device: str = "cpu"
    on_tiles: Progress | None = None
    on_epoch: "Callable[[Epoch], None] | None" = None


def make_plan(folder: Path, embedder: str, settings: MilSettings) -> Plan:
    """Return what is to be trained.

    Raises `CaseFileError` for tables that cannot be used: see `read_cohort`, and no patients in a
    split, mixed origins, patients without tiles, fields that cannot be trained; `LabelError` for
    label constants that are damaged, `LeakageError` for those that saw held-out patients.
    """
    cohort = read_cohort(folder, rendered=embedder != EXTERNAL)
    train, val = cohort.of("train"), cohort.of("val")
    for name, split in (("train", train), ("val", val)):
        if len(split) < LEAST_PATIENTS:
            raise CaseFileError(
                f"{folder / SAMPLES}: {counted(len(split), 'patient')} in split "
                f"{name!r}, {LEAST_PATIENTS} "
                "are needed (val decides when to stop); assign splits first"
            )
    both = (*train, *val)
    origins = sorted({sample.origin for sample in both})
    if len(origins) > 1:
        raise CaseFileError(
            f"{folder / SAMPLES}: mixes labels of {' and '.join(origins)}; train on one kind"
        )
    require_tiles(cohort, both)
    constants = folder / LABELS  # of drawn patients: constants only, no recipe for expression
    digest = sha256_of(constants) if constants.is_file() else None
    recipe = read_recipe(constants) if digest is not None and origins == ["rna"] else None
    if recipe is not None:
        recipe.require_held_out({s.patient_id: s.split for s in cohort.samples})
    fields = field_records(train, settings, recipe)
    name = str(EngineSpec.parse(embedder))
    return Plan(cohort, train, val, fields, settings, name, recipe, digest)


def train_mil(plan: Plan, out: Path, means: Means | None = None) -> MilRecord:
    """Embed the cohort, fit the head, write the checkpoint folder `out`; returns its record.

    Raises `OutputError` for a folder that holds a head already: what was calibrated and evaluated
    beside it would be of another. What cannot be written is said before the first tile.
    """
    from immunopath.training.mil.fit import fit_head

    if (out / RECORD).exists():
        raise OutputError(f"{out}: holds a head already; name another folder, or remove that one")
    require_place(out / RECORD)
    means = means or Means()
    vectors = _imported(plan, means) if plan.embedder == EXTERNAL else _embedded(plan, out, means)
    train, val = (bags_of(plan, samples, vectors) for samples in (plan.train, plan.val))
    return write_head(out, plan, vectors, fit_head(train, val, plan.settings, means.on_epoch))


def _embedded(plan: Plan, out: Path, means: Means) -> Features:
    cache = means.features or out / FEATURES
    if cache.exists():
        require_content(cache, "a file of features")
    else:
        require_place(cache)
    embedder: Embedder = build_engine("embedder", EngineSpec.parse(plan.embedder), means.device)
    try:
        return cohort_features(
            plan.cohort, embedder, cache, workers=means.workers, progress=means.on_tiles
        )
    finally:
        close_engine(embedder)


def _imported(plan: Plan, means: Means) -> Features:
    """Return vectors that were made elsewhere; nothing here could make them again."""
    if means.features is None:
        raise CaseFileError("name the file of imported vectors (--features)")
    found = load_features(means.features)
    require_tiles_of(means.features, found, plan.cohort)
    return found


def bags_of(plan: Plan, samples: Sequence[Sample], vectors: Features) -> "Bags":
    """Return the tiles and labels of these patients, fields that can be trained only.

    Training patients bring all of their tiles, the others those that evaluation will show.
    """
    from immunopath.training.mil.fit import Bags

    names = [name for name, field in plan.fields.items() if field.trainable]
    cohort = plan.cohort
    rows: list[F32] = [
        vectors.rows[list((cohort.places if s.split == "train" else cohort.shown)[s.patient_id])]
        for s in samples
    ]
    return Bags(rows, targets_of(samples, names))


def write_head(out: Path, plan: Plan, vectors: Features, fitted: "Fitted") -> MilRecord:
    """Write weights, history and record, the record last: a folder without it is no checkpoint."""
    from safetensors.numpy import save

    data = save({name: np.ascontiguousarray(part) for name, part in fitted.tensors.items()})
    settings = plan.settings
    record = MilRecord(
        embedder=plan.embedder,
        encoder=vectors.encoder,
        fields=plan.fields,
        members=settings.members,
        hidden=settings.hidden,
        attention=settings.attention,
        seed=settings.seed,
        ood_limit=fitted.ood_limit,
        settings=settings.model_dump(exclude={"fields"}),
        versions={"immunopath": __version__} | versions_of("torch", "numpy", "safetensors"),
        weights_sha256=hashlib.sha256(data).hexdigest(),
        **_cohort_facts(plan),
    )
    write_bytes(out / WEIGHTS, data)
    write_text(out / HISTORY, _history(fitted))
    write_record(out, record)
    return record


def _cohort_facts(plan: Plan) -> dict[str, Any]:
    cohort = plan.cohort
    return {
        "mpp": cohort.mpp,
        "px": cohort.px,
        "stain": cohort.stain,
        "cut_points": cut_points_of(plan.train, plan.recipe),
        "label_constants_digest": plan.constants_sha256,
        "samples_digest": cohort.samples_sha256,
        "tiles_digest": cohort.tiles_sha256,
        "origin": plan.train[0].origin,
        "patients": {"train": len(plan.train), "val": len(plan.val)},
        "seen": seen_of(plan.train, plan.val),
        "tiles_low": min(len(cohort.shown[s.patient_id]) for s in plan.train),
        "tiles_high": max(len(cohort.places[s.patient_id]) for s in plan.train),
    }


def _history(fitted: "Fitted") -> str:
    lines = ["member,epoch,train_loss,val_loss"]
    lines += [f"{e.member},{e.epoch},{e.train_loss:.6f},{e.val_loss:.6f}" for e in fitted.history]
    return "\n".join(lines) + "\n"
