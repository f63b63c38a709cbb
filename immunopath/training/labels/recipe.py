"""The whole way from expression to labels as one stored value, applicable to a new cohort."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from immunopath.domain.base import Frozen
from immunopath.domain.errors import CaseFileError, LabelError, LeakageError
from immunopath.domain.files import MAX_TABLE, read_small, write_text
from immunopath.domain.json_file import JsonFile
from immunopath.domain.prediction import FIELD_VALUES, Quantity
from immunopath.domain.words import counted
from immunopath.training.labels.calls import NO_CALLS, Calls
from immunopath.training.labels.fields import (
    QUANTITIES,
    LabelConstants,
    PatientScores,
    Variant,
    fit_constants,
    label_fields,
)
from immunopath.training.labels.genes import CHECKPOINT, GeneSets, load_gene_sets
from immunopath.training.labels.signatures import SignatureModel, fit_signatures
from immunopath.training.labels.subtypes import Kind, SubtypeModel, fit_subtypes
from immunopath.training.samples import Label, Split
from immunopath.training.seen import key_of

LABELS: Final = "labels.json"
RECIPE_VERSION: Final = "1"
HELD_OUT: Final = ("val", "test")


class Rna(Frozen):
    """What one patient's expression file gives.

    genes: log2(TPM + 1) of the genes that labels need; sets: enrichment by gene set of the user's
    GMT file, empty without one.
    """

    genes: dict[str, float]
    sets: dict[str, float] = Field(default_factory=dict)


class Labelled(Frozen):
    """The labels of one patient with what they were made of."""

    scores: PatientScores
    fields: dict[str, Label]
    tme_source: Literal["published", "classifier", "unknown"]
    clipped: bool
    """True when a score lies outside the training range, so that a number is 0 or 1."""


class LabelRecipe(Frozen):
    """Everything that turns expression and calls into the eight fields.

    unit: of the expression; train_digest: SHA-256 of the sorted training patient ids, one a line;
    train_keys: a short digest of each, so that a training patient is known again in another cohort
    (digests of ids that can be guessed hide nobody); without: fields that are unknown on purpose.
    """

    format: Literal["immunopath.labels"] = "immunopath.labels"
    version: Literal["1"] = RECIPE_VERSION
    variant: Variant
    unit: Literal["log2(TPM+1)"] = "log2(TPM+1)"
    train_digest: str
    train_keys: tuple[str, ...] = ()
    signatures: SignatureModel
    constants: LabelConstants
    subtypes: SubtypeModel | None = None
    without: tuple[str, ...] = ()

    @property
    def quantity(self) -> Quantity:
        """What stands behind ``til_fraction``."""
        return QUANTITIES[self.variant]

    def trained_on(self, patient_id: str) -> bool:
        """True for a patient whose scores the constants were fitted on, under any barcode."""
        return key_of(patient_id) in self.train_keys

    def require_held_out(self, of: Mapping[str, Split | None]) -> None:
        """Raise `LeakageError` for a patient of `val` or `test` whom the constants were fitted on.

        of: the split by patient. A cohort that is split anew needs its labels anew.
        """
        seen = [i for i, split in of.items() if split in HELD_OUT and self.trained_on(i)]
        if seen:
            raise LeakageError(
                f"{counted(len(seen), 'held-out patient is a', 'held-out patients are')} training "
                f"patient{'s' if len(seen) > 1 else ''} of the stored constants "
                f"({', '.join(seen[:5])}); put them into train or fit constants anew"
            )

    def scores(self, rna: Rna, calls: Calls = NO_CALLS, where: str = "the sample") -> PatientScores:
        """Return the scores of one patient; raises `GeneMissing` listing what its file lacks."""
        return _scores(self.signatures, rna, calls, where)

    def label(
        self, cohort: Mapping[str, Rna], calls: Mapping[str, Calls] | None = None
    ) -> dict[str, Labelled]:
        """Label every patient; published subtypes come first, the classifier fills the rest."""
        calls = calls or {}
        scores = {
            patient: self.scores(rna, calls.get(patient, NO_CALLS), f"patient {patient}")
            for patient, rna in cohort.items()
        }
        inferred = self._inferred(cohort, scores)
        return {p: self._labelled(s, inferred.get(p)) for p, s in scores.items()}

    def _inferred(
        self, cohort: Mapping[str, Rna], scores: Mapping[str, PatientScores]
    ) -> Mapping[str, str]:
        if self.subtypes is None:
            return {}
        unknown = [patient for patient, s in scores.items() if s.tme is None]
        return self.subtypes.predict({patient: cohort[patient].sets for patient in unknown})

    def _labelled(self, scores: PatientScores, inferred: str | None) -> Labelled:
        published = scores.tme is not None
        if inferred is not None:
            scores = PatientScores.model_validate({**scores.model_dump(), "tme": inferred})
        fields = label_fields(scores, self.constants, self.variant)
        for name in self.without:
            fields[name] = None
        spans = ((self.constants.til, scores.til), (self.constants.immune, scores.immune))
        return Labelled(
            scores=scores,
            fields=fields,
            tme_source="published" if published else "classifier" if inferred else "unknown",
            clipped=any(not span.low <= value <= span.high for span, value in spans),
        )


def fit_recipe(  # noqa: PLR0913 - the choices of a label file, each with a default
    cohort: Mapping[str, Rna],
    train_ids: Iterable[str],
    calls: Mapping[str, Calls] | None = None,
    *,
    variant: Variant = "run-v3.1",
    sets: GeneSets | None = None,
    gmt: Mapping[str, tuple[str, ...]] | None = None,
    classifier: Kind = "knn",
    without: Iterable[str] = (),
    allow_missing: bool = False,
    seed: int = 0,
) -> LabelRecipe:
    """Fit every constant on the training patients.

    cohort: all patients (those outside `train_ids` have no influence on any number; only with
    `allow_missing` do they say which genes are there); gmt: gene sets of the subtype classifier,
    None for none. Raises `LabelError`, `GeneMissing` or `OneClassField`.
    """
    ids = sorted(set(train_ids))
    absent = [i for i in ids if i not in cohort]
    if absent:
        raise LabelError(f"training patients without expression: {', '.join(absent[:5])}")
    left_out = _known_fields(without)
    signatures = fit_signatures(
        {patient: rna.genes for patient, rna in cohort.items()},
        ids,
        sets or load_gene_sets(),
        allow_missing=allow_missing,
    )
    published = {i: c.tme for i, c in (calls or {}).items() if c.tme is not None}
    train_sets = {i: cohort[i].sets for i in ids}
    scores = {i: _scores(signatures, cohort[i], NO_CALLS, f"patient {i}") for i in ids}
    return LabelRecipe(
        variant=variant,
        train_digest=hashlib.sha256("".join(i + "\n" for i in ids).encode()).hexdigest(),
        train_keys=tuple(sorted(map(key_of, ids))),
        signatures=signatures,
        constants=fit_constants(scores, ids),
        subtypes=None
        if gmt is None
        else fit_subtypes(train_sets, published, gmt, kind=classifier, seed=seed),
        without=left_out,
    )


def _known_fields(names: Iterable[str]) -> tuple[str, ...]:
    unknown = sorted(set(names) - FIELD_VALUES.keys())
    if unknown:
        raise LabelError(
            f"{', '.join(unknown)}: no such field; choose of {', '.join(FIELD_VALUES)}"
        )
    return tuple(name for name in FIELD_VALUES if name in set(names))


def _scores(signatures: SignatureModel, rna: Rna, calls: Calls, where: str) -> PatientScores:
    found = signatures.score(rna.genes, where)
    return PatientScores(
        til=found["til"],
        cd8=found["cd8"],
        ifng=found["ifng"],
        cd274=rna.genes[CHECKPOINT],
        msi=calls.msi.value,
        tme=calls.tme,
    )


def write_recipe(path: Path, recipe: LabelRecipe) -> None:
    """Write ``labels.json``; the same recipe gives the same bytes, and no digit is lost."""
    write_text(path, json.dumps(recipe.model_dump(mode="json"), indent=1) + "\n")


_FILE = JsonFile(LabelRecipe, f"label constants ({LABELS})", error=LabelError, limit=MAX_TABLE)


def read_recipe(path: Path) -> LabelRecipe:
    """Read ``labels.json``; raises `LabelError` for another file or version and for a bad value."""
    try:
        data = json.loads(read_small(path, _FILE.what, _FILE.limit).decode("utf-8"))
    except CaseFileError as error:
        raise LabelError(str(error)) from error
    except ValueError as error:
        raise LabelError(f"{path}: is no JSON ({error}); name label constants") from error
    known = data.get("version") if isinstance(data, dict) else None
    if known != RECIPE_VERSION:
        raise LabelError(f"{path}: is no label file of version {RECIPE_VERSION} (has {known!r})")
    return _FILE.of(path, data)
