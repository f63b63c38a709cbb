"""Pipes, devices and files with holes, wherever a file may be named: one line, nothing waits."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from immunopath.domain.errors import ImmunoPathError
from immunopath.guidelines.casefile import read_yaml
from immunopath.imaging.decode import decode_image
from immunopath.imaging.slides.opening import open_slide
from immunopath.imaging.tile_manifest import read_tiles
from immunopath.models.atlas import load_atlas
from immunopath.models.atlas_build import read_manifest as read_atlas_manifest
from immunopath.models.calibration import chosen_calibrator
from immunopath.models.mil.record import read_record
from immunopath.pipeline.cohort.manifest import read_manifest as read_cohort_manifest
from immunopath.pipeline.settings import Settings
from immunopath.training.cohort.gdc import read_gdc
from immunopath.training.evaluation.cohort_runs import read_run
from immunopath.training.imports.h5ad import read_h5ad
from immunopath.training.imports.hdf5 import read_hdf5
from immunopath.training.labels.expression import read_expression
from immunopath.training.labels.recipe import read_recipe
from immunopath.training.labels.ssgsea import read_gmt
from immunopath.training.mil.features import load_features
from immunopath.training.predictions import read_predictions
from immunopath.training.samples import read_samples
from immunopath.training.splits import read_split
from immunopath.training.synthetic.folder import read_truth
from immunopath.training.tables import read_table
from immunopath.training.tiles.inputs import collect

READERS: dict[str, Callable[[Path], object]] = {
    "facts.yaml": read_yaml,
    "atlas.csv": read_atlas_manifest,
    "mil.json": lambda path: read_record(path.parent),
    "settings.toml": Settings.from_toml,
    "metadata.json": lambda path: read_gdc((path,)),
    "records/a.json": lambda path: read_run(path.parent.parent),
    "rna.tsv": lambda path: read_expression(path, "tpm"),
    "labels.json": read_recipe,
    "sets.gmt": read_gmt,
    "features.safetensors": load_features,
    "predictions.json": read_predictions,
    "samples.jsonl": read_samples,
    "train.txt": lambda path: read_split(path.parent),
    "truth.json": read_truth,
    "table.csv": lambda path: read_table(path, "a table"),
    "calibration.json": lambda path: chosen_calibrator({"calibration": str(path)}, path.parent, ""),
    "slides.csv": lambda path: collect([path]),
}
OPENED_BY_NAME: dict[str, Callable[[Path], object]] = {
    "cases.csv": read_cohort_manifest,
    "cases.jsonl": read_cohort_manifest,
    "cases.parquet": read_cohort_manifest,
    "tiles.parquet": read_tiles,
    "S1.h5": read_hdf5,
    "S1.h5ad": read_h5ad,
    "vectors.safetensors": load_features,
    "core.png": decode_image,
    "S1.svs": open_slide,
    "dicom/a.dcm": lambda path: open_slide(path.parent),
    "atlas/index.atlas": lambda path: load_atlas(path.parent),
}
"""What reads these is given a path, or reads as long as something comes."""


CASES = [(name, kind) for name in READERS for kind in ("pipe", "device", "holes", "bytes")]
CASES += [(name, kind) for name in OPENED_BY_NAME for kind in ("pipe", "device", "kernel", "bytes")]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_one_line_and_no_waiting(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "kernel":
        path.symlink_to("/proc/kmsg")  # a regular file of 0 bytes that is waited on for ever
    elif kind == "bytes":
        path.write_bytes(b"\xff\xfe{\x00\x00")
    else:
        with path.open("wb") as stream:
            stream.truncate(10**12)
    with pytest.raises(ImmunoPathError) as caught:
        (READERS | OPENED_BY_NAME)[name](path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
