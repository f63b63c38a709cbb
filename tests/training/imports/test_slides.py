"""Names of slides: folders and suffixes do not count, patients are never mixed up."""

from pathlib import Path

import numpy as np
import pytest
from feature_files import h5ad
from hypothesis import given
from hypothesis import strategies as st

from immunopath.domain.errors import CaseFileError
from immunopath.training.imports.h5ad import read_h5ad
from immunopath.training.imports.slides import SUFFIXES, patient_of, slide_name, slide_names
from immunopath.training.imports.store import Declared, import_features
from immunopath.training.samples import SAMPLES, Sample, write_samples

WORD = st.text("abcXYZ019-_ é", min_size=1, max_size=12)


@given(WORD, st.sampled_from(SUFFIXES), st.sampled_from(["", "a/", "C:\\scans\\", "/x/y/"]))
def test_a_slide_is_known_by_its_name_alone(word: str, suffix: str, folder: str) -> None:
    assert slide_name(f"{folder}{word}{suffix}") == slide_name(word) == word
    assert slide_name(f"{word}{suffix.upper()}") == word


@given(st.dictionaries(WORD, WORD, min_size=1, max_size=6))
def test_every_named_slide_leads_to_its_patient_and_no_other(owner: dict[str, str]) -> None:
    patients = sorted(set(owner.values()))
    samples = [
        Sample(patient_id=p, labels={}, slides=tuple(s for s in owner if owner[s] == p))
        for p in patients
    ]
    names = slide_names(Path("s"), samples)
    assert {slide: patient_of(names, slide) for slide in owner} == owner
    assert patient_of(names, "no such slide!") is None


def test_only_a_barcode_is_cut_at_its_dot() -> None:
    names = {"TCGA-05-4244-01Z-00-DX1": "A", "lab": "B"}
    assert patient_of(names, "TCGA-05-4244-01Z-00-DX1.0F1A.svs") == "A"
    assert patient_of(names, "lab.1") is None


def test_our_files_of_two_resolutions_need_one_to_count_in(tmp_path: Path) -> None:
    pytest.importorskip("anndata")
    obs = {
        "image": ["a.svs", "b.svs"], "x": [0, 0], "y": [0, 0], "width": [512, 1024],
        "height": [512, 1024], "mpp": [0.5, 0.25], "mpp_source": ["tag", "vendor"],
    }  # fmt: skip
    said = {"engine": "embedded-embedder", "revision": "1", "weights_digest": "d" * 64}
    rows = np.eye(2, 6, dtype=np.float32)
    slides = read_h5ad(h5ad(tmp_path / "c.h5ad", rows=rows, obs=obs, uns={"embedding": said}))
    samples = [Sample(patient_id=p, labels={}, slides=(f"{p}.svs",)) for p in "ab"]
    write_samples(tmp_path / "c" / SAMPLES, samples)
    with pytest.raises(CaseFileError, match=r"2 resolutions \(0\.25, 0\.5 µm/px\)"):
        import_features(tmp_path / "c", slides, Declared(), tmp_path / "c")
    done = import_features(tmp_path / "c", slides, Declared(mpp=1.0), tmp_path / "c")
    assert (done.px, done.mpp, done.encoder.name) == (256, 1.0, "embedded")
