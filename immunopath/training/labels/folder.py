"""Writing a labelled cohort: ``samples.jsonl``, ``labels.json``, split ids, scores, a summary."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from immunopath.domain.files import write_text
from immunopath.training.cohort.barcodes import patient_key
from immunopath.training.labels.build import Built
from immunopath.training.labels.calls import NO_CALLS, Calls
from immunopath.training.labels.msi import count_msi
from immunopath.training.labels.recipe import LABELS, write_recipe
from immunopath.training.samples import SAMPLES, SPLITS, write_samples
from immunopath.training.splits import write_split
from immunopath.training.tables import write_csv

SPLIT_FOLDER: Final = "splits"
SCORES: Final = "scores.csv"
SUMMARY: Final = "cohort.json"
DROPPED: Final = "dropped.csv"
_SCORE_COLUMNS: Final = (
    "patient_id",
    "split",
    "til",
    "cd8",
    "ifng",
    "cd274",
    "msi",
    "tme",
    "tme_source",
    "clipped",
)


def write_cohort(folder: Path, built: Built, calls: Mapping[str, Calls]) -> dict[str, Any]:
    """Write all files of a cohort folder but the tiles; returns the summary that was written."""
    write_samples(folder / SAMPLES, built.samples)
    write_recipe(folder / LABELS, built.recipe)
    of = {s.patient_id: s.split for s in built.samples if s.split is not None}
    write_split(folder / SPLIT_FOLDER, of, built.plan)
    write_csv(folder / SCORES, _SCORE_COLUMNS, _scores(built))
    dropped = [{"patient_id": p, "reason": why} for p, why in sorted(built.dropped.items())]
    write_csv(folder / DROPPED, ("patient_id", "reason"), dropped)
    summary = summarise(built, calls)
    write_text(folder / SUMMARY, json.dumps(summary, indent=1) + "\n")
    return summary


def summarise(built: Built, calls: Mapping[str, Calls]) -> dict[str, Any]:
    """Return what the cohort holds, as plain data."""
    splits = Counter(sample.split for sample in built.samples)
    subtypes = built.recipe.subtypes
    return {
        "patients": len(built.samples),
        "splits": {name: splits[name] for name in SPLITS},
        "sites": len({sample.site for sample in built.samples if sample.site}),
        "variant": built.recipe.variant,
        "quantity": built.recipe.quantity.value,
        "cut_points": built.recipe.constants.cut_points(built.recipe.variant).model_dump(),
        "labels_of": "train" if splits["train"] else "all",
        "labels": [field.model_dump() for field in built.counts],
        "msi": count_msi(
            calls.get(patient_key(s.patient_id), NO_CALLS).msi for s in built.samples
        ).model_dump(),
        "tme_source": dict(
            sorted(Counter(row.tme_source for row in built.labelled.values()).items())
        ),
        "subtype_classifier": None
        if subtypes is None or subtypes.quality is None
        else subtypes.quality.model_dump(),
        "outside_the_training_range": sum(row.clipped for row in built.labelled.values()),
        "genes_missing": list(built.recipe.signatures.missing),
        "genes_constant": list(built.recipe.signatures.flat),
        "dropped": len(built.dropped),
    }


def _scores(built: Built) -> Iterator[dict[str, object]]:
    for sample in built.samples:
        found = built.labelled[sample.patient_id]
        yield {
            "patient_id": sample.patient_id,
            "split": sample.split,
            **found.scores.model_dump(),
            "tme_source": found.tme_source,
            "clipped": found.clipped,
        }
