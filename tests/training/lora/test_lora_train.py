"""From a cohort folder to a checkpoint that the product's engine loads, and what it has learned."""

import csv
import json
import pickle
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lora_cohort import TEXT, build_cohort, tiny_config
from rna_cohort import make_cohort
from tiny_lora import field
from tiny_medgemma import build_base, loaded

from immunopath.domain.case import Case
from immunopath.domain.errors import (
    CaseFileError,
    EngineUnavailable,
    LabelError,
    LeakageError,
    LogitsNotFinite,
)
from immunopath.domain.report import CaseStatus
from immunopath.models.foundation.medgemma.adapter import load_adapter
from immunopath.models.foundation.medgemma.medgemma import MedGemmaPredictor
from immunopath.models.foundation.medgemma.record import read_record
from immunopath.models.foundation.weights import resolve_weights
from immunopath.models.registry import build_engine
from immunopath.models.seen import Seen
from immunopath.models.spec import EngineSpec
from immunopath.pipeline.run import ImmunoPath
from immunopath.pipeline.settings import Settings
from immunopath.training.labels.recipe import LABELS, LabelRecipe, Rna, fit_recipe, write_recipe
from immunopath.training.lora.cohort import checked_cohort
from immunopath.training.lora.config_file import make_config
from immunopath.training.lora.dataset import RowMaker
from immunopath.training.lora.run import TrainedCheckpoint, train
from immunopath.training.samples import SAMPLES, Sample, read_samples, write_samples

CORE = "nucls_til/images/train_2.png"


def rows(path: Path, split: str) -> list[dict[str, str]]:
    with path.open() as stream:
        return [row for row in csv.DictReader(stream) if row["split"] == split]


def test_the_loss_falls_in_every_field_and_the_table_says_so(trained: TrainedCheckpoint) -> None:
    found = rows(trained.metrics, "val")
    assert trained.steps == 72
    assert trained.val_loss == min(float(row["loss"]) for row in found)
    for name in ("cd274_expression", "til_fraction", "immune_phenotype"):
        first, last = (float(found[i][f"nll_{name}"]) for i in (0, -1))
        assert last < 0.5 * first, name


def test_the_adapter_answers_by_the_image_through_the_product(trained: TrainedCheckpoint) -> None:
    spec = EngineSpec.parse(trained.engine)
    engine = build_engine("predictor", spec, "cpu")
    assert isinstance(engine, MedGemmaPredictor)
    dark, bright = engine.read([[field(70, 900)], [field(190, 901)]], TEXT)
    engine.close()
    said = [json.loads(answer.text) for answer in (dark, bright)]
    assert [s["immune_phenotype"] for s in said] == ["desert", "inflamed"]
    assert said[0]["til_fraction"] < 0.5 < said[1]["til_fraction"]


def test_a_case_runs_through_the_graph_with_the_trained_adapter(
    trained: TrainedCheckpoint, shared_images: Path
) -> None:
    settings = Settings.make({"predictor": f"{trained.engine},patches=2,px=64"})
    with ImmunoPath(settings=settings) as path:
        report = path.analyze(
            Case(case_id="a", images=(shared_images / CORE,), mpp=0.5), as_of=date(2026, 11, 24)
        )
    assert report.status is CaseStatus.ok, [row.reason for row in report.engines]
    assert {row.agent: row.engine for row in report.engines}["predictor"] == "medgemma"
    assert not report.profile.til_fraction.abstained
    codes = {finding.code for finding in report.findings}
    assert "TRAINED_ON_SYNTHETIC_FIELDS" in codes
    assert "ADAPTER_BASE_UNCONFIRMED" not in codes


def test_the_record_and_the_manifest_say_what_was_done(
    trained: TrainedCheckpoint, cohort: Path
) -> None:
    record = read_record(trained.folder / "immunopath.json")
    facts = record.training
    assert facts is not None
    assert facts.seen == Seen(train=())  # drawn patients have no names
    assert (record.prompt_text, record.images, record.decimals) == (TEXT, 1, 2)
    assert (record.mpp, record.patch_px, record.base) == (0.5, 64, None)
    assert (facts.patients, facts.origins) == ({"train": 6, "val": 2}, {"synthetic": 8})
    assert (facts.steps, facts.best_step, facts.val_loss) == (
        trained.steps, trained.best_step, trained.val_loss,
    )  # fmt: skip
    manifest = json.loads((trained.folder.parent / "run.json").read_text())
    assert manifest["cohort"]["digests"] == facts.cohort_digests
    assert manifest["base"]["digest"] == facts.base_digest
    assert make_config(manifest["arguments"]).data.prompt_text == TEXT
    assert manifest["versions"]["torch"] == facts.versions["torch"]
    assert set(manifest["parts"][0]["seconds"]) == {"prepared", "loaded", "trained", "saved"}
    settings = json.loads((trained.folder / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] is None  # no path of this machine
    assert settings["target_modules"] == sorted(settings["target_modules"])
    assert {p.name for p in trained.folder.iterdir()} == {
        "adapter_config.json", "adapter_model.safetensors", "immunopath.json",
    }  # fmt: skip


def test_the_recipe_of_the_labels_goes_into_the_record(base: Path, tmp_path: Path) -> None:
    folder = build_cohort(tmp_path / "c", train=4, val=0)
    rna = make_cohort(12, seed=5)
    recipe = fit_recipe({p: Rna(genes=rna.log2[p]) for p in rna.patients}, rna.patients[:8])
    write_recipe(folder / LABELS, recipe)
    found = train(tiny_config(base, folder, tmp_path / "run", optim={"epochs": 1}))
    assert found.record.quantity == "rna_score_minmax"
    assert found.record.cut_points == recipe.constants.cut_points(recipe.variant)
    assert found.record.training is not None
    assert LabelRecipe.model_validate(found.record.training.label_constants) == recipe
    table = read_samples(folder / SAMPLES)
    held_out = Sample(patient_id=rna.patients[0], split="test", labels={}, origin="synthetic")
    write_samples(folder / SAMPLES, [*table, held_out])
    with pytest.raises(LeakageError, match="1 held-out patient is a training patient of"):
        checked_cohort(tiny_config(base, folder, tmp_path / "leak"))
    write_samples(folder / SAMPLES, table)
    (folder / LABELS).unlink()
    (folder / "synthetic-labels.json").write_text('{"cut": 0.5}')
    config = tiny_config(base, folder, tmp_path / "other")
    assert checked_cohort(config).constants == {"cut": 0.5}
    (folder / LABELS).write_text("{}")
    with pytest.raises(LabelError, match="no label file of version 1"):
        train(config)


def test_the_base_is_confirmed_by_its_digest_alone(
    trained: TrainedCheckpoint, base: Path, tmp_path: Path
) -> None:
    adapter = resolve_weights(str(trained.folder))
    assert load_adapter(loaded(base), adapter).base_confirmed
    other = loaded(build_base(tmp_path / "other", seed=5))
    assert not load_adapter(other, adapter).base_confirmed


def test_accumulated_batches_make_the_step_of_one_large_batch(
    base: Path, cohort: Path, tmp_path: Path
) -> None:
    """Rows of different length and unknown labels must weigh the same either way."""
    folder = build_cohort(tmp_path / "c", train=4, val=0, til_fraction=None, msi_status=None)
    losses = []
    for batch, accumulation in ((4, 1), (1, 4)):
        out = tmp_path / f"run{batch}"
        config = tiny_config(
            base,
            folder,
            out,
            data={"tiles": 1},
            optim={"batch": batch, "accumulation": accumulation, "epochs": 3, "lr": 1e-3},
            run={"log": 1},
        )
        train(config)
        losses.append([float(r["loss"]) for r in rows(out / "metrics.csv", "train")])
    assert len(losses[0]) == 3
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_patience_ends_a_run_and_the_best_weights_are_kept(
    base: Path, cohort: Path, tmp_path: Path
) -> None:
    config = tiny_config(
        base,
        cohort,
        tmp_path / "run",
        optim={"lr": 0.2, "epochs": 40},
        run={"every": 1, "patience": 2, "log": 2},
    )
    found = train(config)
    losses = [float(row["loss"]) for row in rows(found.metrics, "val")]
    assert found.stopped_early
    assert found.steps == len(losses) < 120
    assert found.val_loss == min(losses) == losses[-3]
    assert found.best_step == found.steps - 2


def test_packed_weights_train_and_their_adapter_loads_on_plain_ones(
    base: Path, cohort: Path, tmp_path: Path
) -> None:
    config = tiny_config(
        base,
        cohort,
        tmp_path / "run",
        optim={"epochs": 4},
        run={"quant": "nf4", "gradient_checkpointing": True},
    )
    found = train(config)
    losses = [float(row["loss"]) for row in rows(found.metrics, "train")]
    assert losses[-1] < 0.7 * losses[0]
    adapter = load_adapter(loaded(base), resolve_weights(str(found.folder)), merge=True)
    assert adapter.merged
    assert json.loads((tmp_path / "run" / "run.json").read_text())["precision"] == "nf4/float32"


@pytest.mark.parametrize(
    "preset",
    [
        pytest.param("card-v3.1", marks=pytest.mark.slow),
        pytest.param("default", marks=pytest.mark.slow),
        "run-v3.1",
    ],
)
def test_every_preset_runs_as_it_is(preset: str, base: Path, cohort: Path, tmp_path: Path) -> None:
    """Packed weights, bfloat16 where it says so, its prompt, its images; only fewer epochs."""
    values = {
        "preset": preset,
        "base": str(base),
        "cohort": str(cohort),
        "out": str(tmp_path / "r"),
    }
    config = make_config({**values, "optim": {"epochs": 5}, "run": {"every": 2, "device": "cpu"}})
    found = train(config)
    assert found.val_loss is not None
    assert (found.record.prompt, found.record.images) == (config.data.prompt, config.data.images)
    assert found.record.training is not None
    assert found.record.training.preset == preset
    manifest = json.loads((tmp_path / "r" / "run.json").read_text())
    precise = "float32" if preset == "default" else "bfloat16"
    assert manifest["precision"] == f"nf4/{precise}"
    assert load_adapter(loaded(base), resolve_weights(str(found.folder))).layers > 0


def test_a_row_that_is_too_long_is_named_before_training(
    base: Path, cohort: Path, tmp_path: Path
) -> None:
    config = tiny_config(base, cohort, tmp_path / "run", data={"max_length": 100})
    with pytest.raises(CaseFileError, match=r"'P00': the row has \d+ tokens, data\.max"):
        train(config)


def test_a_run_that_would_only_warm_up_is_refused(base: Path, cohort: Path, tmp_path: Path) -> None:
    config = tiny_config(
        base, cohort, tmp_path / "run", optim={"epochs": 1, "batch": 64, "warmup": 0.1}
    )
    with pytest.raises(CaseFileError, match=r"has 1 step and optim\.warmup takes 1"):
        train(config)
    assert not (tmp_path / "run").exists()


def test_a_whole_model_can_be_trained_and_asked(base: Path, cohort: Path, tmp_path: Path) -> None:
    config = tiny_config(
        base, cohort, tmp_path / "run", lora={"method": "full"}, optim={"lr": 2e-3, "epochs": 2}
    )
    found = train(config)
    assert not found.adapter
    engine = build_engine("predictor", EngineSpec.parse(found.engine), "cpu")
    assert isinstance(engine, MedGemmaPredictor)
    assert engine.record == found.record.model_copy(
        update={"prompt_digest": found.record.the_prompt.digest}
    )
    engine.close()


def test_a_loss_that_is_not_finite_ends_the_run_with_its_name(
    base: Path, cohort: Path, tmp_path: Path
) -> None:
    config = tiny_config(
        base, cohort, tmp_path / "run", optim={"lr": 1.0, "max_grad_norm": 1e30, "epochs": 40}
    )
    changed: Any = config.model_copy(update={"optim": config.optim.model_copy(update={"lr": 1e30})})
    with pytest.raises(LogitsNotFinite, match="is not a finite number; lower"):
        train(changed)


def test_a_device_that_is_not_there_is_said_before_the_weights_are_read(
    cohort: Path, tmp_path: Path
) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    config = tiny_config(Path("no-base"), cohort, tmp_path / "run", run={"device": "cuda:0"})
    with pytest.raises(EngineUnavailable, match="sees no CUDA GPU"):
        train(config)
    assert not (tmp_path / "run").exists()


def test_a_launcher_with_several_processes_is_refused(
    base: Path, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(EngineUnavailable, match="one process on one GPU"):
        train(tiny_config(base, cohort, tmp_path / "run"))


def test_reading_processes_change_nothing_and_take_no_weights(
    base: Path, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch.multiprocessing as processes

    # the suite shuts every socket; tensors then travel through shared files
    monkeypatch.setattr(processes, "_sharing_strategy", "file_system")
    made = []
    for workers in (0, 2):
        out = tmp_path / f"run{workers}"
        changes: dict[str, Any] = {"optim": {"epochs": 1}, "run": {"workers": workers}}
        made.append(train(tiny_config(base, cohort, out, **changes)).metrics.read_bytes())
    assert made[0] == made[1]
    config = tiny_config(base, cohort, tmp_path / "none")
    maker = RowMaker(loaded(base), config.data, config.loss)
    patients = checked_cohort(config).train
    before = [maker.row(p.sample, 1).input_ids for p in patients]
    packed = pickle.dumps(maker)
    assert len(packed) < 500_000
    after = [pickle.loads(packed).row(p.sample, 1).input_ids for p in patients]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_two_runs_of_one_configuration_are_equal(base: Path, cohort: Path, tmp_path: Path) -> None:
    made = [
        train(tiny_config(base, cohort, tmp_path / name, optim={"epochs": 2}))
        for name in ("a", "b")
    ]
    names = ("adapter_model.safetensors", "adapter_config.json", "immunopath.json")
    for name in names:
        assert (made[0].folder / name).read_bytes() == (made[1].folder / name).read_bytes()
    assert made[0].metrics.read_bytes() == made[1].metrics.read_bytes()
    assert np.isfinite(made[0].val_loss or np.nan)
