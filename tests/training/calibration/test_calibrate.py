"""`immunopath calibrate`: what it writes, what it refuses, and the law of its file."""

import hashlib
import json
from pathlib import Path

import pytest
from calibration_cases import DIGEST, write_case, write_checkpoint
from typer.testing import CliRunner

from immunopath.cli.main import app
from immunopath.domain.errors import (
    AdapterMismatch,
    CalibratorMismatch,
    CaseFileError,
    CheckpointError,
    ImmunoPathError,
    InputError,
    LeakageError,
)
from immunopath.models.calibration import FILE, load_calibrator
from immunopath.training.calibration.calibrate import fit_calibrator, require_checkpoint
from immunopath.training.calibration.checkpoint import digest_of, require_folder
from immunopath.training.predictions import read_predictions, write_predictions
from immunopath.training.samples import read_samples, write_samples
from immunopath.training.seen import seen_of


def run(*words: object) -> str:
    found = CliRunner().invoke(app, ["calibrate", *map(str, words)], catch_exceptions=False)
    assert found.exit_code == 0
    return found.output


def test_a_checkpoint_gets_its_calibration(tmp_path: Path) -> None:
    predictions, samples = write_case(tmp_path)
    folder = write_checkpoint(tmp_path / "checkpoint")
    said = run(predictions, "--samples", samples, "--checkpoint", folder, "--coverage", 0.8)
    found = load_calibrator(folder / FILE)
    assert (found.checkpoint, found.engine, found.n) == (DIGEST, "simulated", 200)
    assert (found.origins, found.n_tiles, found.split) == (("synthetic",), (4, 6), "val")
    assert found.coverage == found.field("tme_subtype").coverage == 0.8
    assert not found.field("msi_status").evaluable
    assert "msi_status: not evaluable: 2 of 200 are MSI-H, at least 10 are needed" in said
    assert "(labels: MSI-H 2, MSS 198)" in said
    assert "written, of checkpoint dddddddddddd" in said


def test_a_calibration_without_one_field_says_so(tmp_path: Path) -> None:
    predictions, samples = write_case(tmp_path, 8)
    said = run(predictions, "--samples", samples, "--checkpoint", write_checkpoint(tmp_path / "c"))
    assert "No field could be calibrated" in said
    assert "at best  set" not in said


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    predictions, samples = write_case(tmp_path)
    folder = write_checkpoint(tmp_path / "checkpoint")
    written = []
    for _ in range(2):
        run(predictions, "--samples", samples, "--checkpoint", folder)
        written.append((folder / FILE).read_bytes())
    assert written[0] == written[1]


def test_only_the_patients_of_the_split_are_used(tmp_path: Path) -> None:
    predictions, samples = write_case(tmp_path, 300, ("val", "test", "train"))
    found = fit_calibrator(predictions, samples)
    assert found.n == 100
    assert found.field("tme_subtype").n_fit + found.field("tme_subtype").n_conformal == 100


def test_patients_without_tiles_do_not_count_as_few_tiles(tmp_path: Path) -> None:
    predictions, samples = write_case(tmp_path, 60)
    found = read_predictions(predictions)
    silent = found.answers[0].model_copy(update={"n_tiles": 0})
    write_predictions(
        predictions, found.model_copy(update={"answers": (silent, *found.answers[1:])})
    )
    assert fit_calibrator(predictions, samples).n_tiles == (4, 6)


def test_how_the_engine_asked_is_kept(tmp_path: Path) -> None:
    asked = {"conditioning": "marginal:8", "preprocess": "px=512;prompt=card"}
    found = fit_calibrator(*write_case(tmp_path, 60, **asked))
    assert (found.conditioning, found.preprocess) == ("marginal:8", "px=512;prompt=card")


@pytest.mark.parametrize(
    ("split", "why"),
    [("test", "say nothing of the calibration"), ("train", "has seen"), ("all", "no such split")],
)
def test_another_split_is_refused(tmp_path: Path, split: str, why: str) -> None:
    predictions, samples = write_case(tmp_path, 60)
    with pytest.raises(InputError, match=f"--split {split}: .*{why}"):
        fit_calibrator(predictions, samples, split)


@pytest.mark.parametrize(
    ("splits", "named"),
    [(("test",), "test"), (("train", "test"), "test, train"), ((None,), "no split")],
)
def test_answers_on_other_patients_are_refused(
    tmp_path: Path, splits: tuple[str | None, ...], named: str
) -> None:
    predictions, samples = write_case(tmp_path, 60, splits)
    with pytest.raises(CaseFileError, match=rf"none of 60 .*\(they are of {named}\)"):
        fit_calibrator(predictions, samples)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"calibrated": True}, "calibrated already"),
        ({"control": "blank"}, "answers to blank images"),
        ({"answers": ()}, "holds no answer"),
    ],
)
def test_answers_that_must_not_be_used(
    tmp_path: Path, changes: dict[str, object], why: str
) -> None:
    predictions, samples = write_case(tmp_path, 60, **changes)
    with pytest.raises(CaseFileError, match=why):
        fit_calibrator(predictions, samples)


def test_samples_of_other_patients_are_a_wrong_table(tmp_path: Path) -> None:
    predictions, samples = write_case(tmp_path, 60)
    lines = samples.read_text().splitlines()
    samples.write_text("\n".join(lines[1:]))
    with pytest.raises(CaseFileError, match="patient 'p00000' is not in"):
        fit_calibrator(predictions, samples)


def test_patients_who_trained_the_checkpoint_are_refused(tmp_path: Path) -> None:
    predictions, samples = write_case(tmp_path, 60)
    real = [s.model_copy(update={"origin": "rna"}) for s in read_samples(samples)]
    write_samples(samples, real)
    folder = write_checkpoint(tmp_path / "checkpoint")
    record = f'{{"training": {{"seen": {seen_of(real[:3], ()).model_dump_json()}}}}}'
    (folder / "immunopath.json").write_text(record)
    with pytest.raises(LeakageError, match="3 of 60 patients of the split val"):
        fit_calibrator(predictions, samples, checkpoint=folder)
    with pytest.raises(LeakageError, match="made from 3 of 60"):
        run(predictions, "--samples", samples, "--checkpoint", folder)
    assert not (folder / FILE).exists()


def test_patients_who_chose_the_stop_are_counted_and_said(tmp_path: Path) -> None:
    predictions, samples = write_case(tmp_path, 60)
    folder = write_checkpoint(tmp_path / "checkpoint")
    assert fit_calibrator(predictions, samples, checkpoint=folder).stopped_on is None
    real = [s.model_copy(update={"origin": "rna"}) for s in read_samples(samples)]
    seen = seen_of((), real[:7])
    (folder / "immunopath.json").write_text(f'{{"training": {{"seen": {seen.model_dump_json()}}}}}')
    drawn = fit_calibrator(predictions, samples, checkpoint=folder)
    assert drawn.stopped_on is None, "rendered patients are in no record"
    write_samples(samples, real)
    assert fit_calibrator(predictions, samples).stopped_on is None
    said = run(predictions, "--samples", samples, "--checkpoint", folder)
    assert "Of 60 patients, 7 also decided when training stopped" in said.replace("\n", " ")
    found = load_calibrator(folder / FILE)
    assert found.stopped_on == 7
    assert "None of these" in found.model_copy(update={"stopped_on": 0}).stop_text


def test_a_file_from_before_the_count_keeps_its_digest(tmp_path: Path) -> None:
    found = fit_calibrator(*write_case(tmp_path, 60))
    old = json.loads(found.model_dump_json())
    del old["stopped_on"]
    assert found.stopped_on is None
    before = json.dumps(old, separators=(",", ":")).encode()
    assert found.digest == hashlib.sha256(before).hexdigest()
    assert found.model_copy(update={"stopped_on": 0}).digest != found.digest


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    for folder, why in ((tmp_path, "is no checkpoint"), (tmp_path / "x", "no such folder")):
        with pytest.raises(CheckpointError, match=why):
            require_folder(folder)
    (tmp_path / "immunopath.json").write_text("{}")
    with pytest.raises(CheckpointError, match="no weights"):
        digest_of(tmp_path)


def test_a_base_model_is_known_by_its_files_and_not_by_its_calibration(tmp_path: Path) -> None:
    (tmp_path / "immunopath.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    before = digest_of(tmp_path)
    (tmp_path / FILE).write_text("{}")
    assert digest_of(tmp_path) == before


def test_an_adapter_is_known_with_its_base(tmp_path: Path) -> None:
    base, adapter = tmp_path / "base", write_checkpoint(tmp_path / "adapter")
    base.mkdir()
    (base / "model.safetensors").write_bytes(b"weights")
    assert digest_of(adapter) is None
    config = adapter / "adapter_config.json"
    config.write_text(json.dumps({"peft_type": "LORA", "base_model_name_or_path": str(base)}))
    first = digest_of(adapter)
    (base / "model.safetensors").write_bytes(b"other weights")
    assert first is not None
    assert digest_of(adapter) != first
    config.write_text("{")
    with pytest.raises(AdapterMismatch, match=r"no readable adapter_config\.json"):
        digest_of(adapter)


def test_predictions_of_another_checkpoint_are_refused(tmp_path: Path) -> None:
    found = fit_calibrator(*write_case(tmp_path, 60))
    require_checkpoint(found, DIGEST, tmp_path)
    require_checkpoint(found, None, tmp_path)
    with pytest.raises(CalibratorMismatch, match="eeeeeeeeeeee…, the predictions are those of"):
        require_checkpoint(found, "e" * 64, tmp_path)


def test_errors_are_of_the_one_tree(tmp_path: Path) -> None:
    with pytest.raises(ImmunoPathError, match="no such file"):
        fit_calibrator(tmp_path / "nothing.json", tmp_path / "samples.jsonl")
