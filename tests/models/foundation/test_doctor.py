"""The doctor looks at the request: packages, files, numbers, adapter, record, memory, probe."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_medgemma import Folders, build_base

from immunopath.domain.errors import EngineSpecError, HubError
from immunopath.models.foundation.checks import GIB, Check
from immunopath.models.foundation.doctor import _fetchable, check_engine
from immunopath.models.foundation.sources import patterns_for, sources_of
from immunopath.models.foundation.weights import SAFE_PATTERNS
from immunopath.models.registry import ENTRIES, ROLES
from immunopath.models.spec import EngineSpec


def rows(text: str, device: str = "cpu") -> dict[str, Check]:
    found = check_engine("predictor", EngineSpec.parse(text), device)
    return {row.name.partition(": ")[2] or row.name: row for row in found}


def test_a_request_that_can_run_is_all_ok(medgemma: Folders) -> None:
    found = rows(medgemma.engine(quant="nf4"))
    optional = {"probe", "calibration"}
    assert {row.state for name, row in found.items() if name not in optional} == {"ok"}
    assert found["packages"].detail.count("bitsandbytes") == 1
    assert found["numbers"].detail == "nf4/float32 on cpu"
    assert "images of 28 px" in found["base model"].detail
    assert "tensors, all expected" in found["adapter"].detail
    assert "prompt tiny, 1 image(s), indented, 0.5 µm/px, 64 px" in found["record"].detail
    assert "for 8 prompts at once (weights 0.00, cache 0.00" in found["memory"].detail
    assert "free on cpu" in found["memory"].detail
    assert found["probe"].state == found["calibration"].state == "note"


def test_files_that_are_nowhere_are_named_with_the_way_to_get_them() -> None:
    found = rows("medgemma")
    for name in ("google/medgemma-1.5-4b-it", "hetanshwaghela/immunopath-medgemma-v3.1"):
        row = found[f"files of {name}"]
        assert row.state == "missing"
        assert "HubOffline" in row.detail
        assert f"models fetch {name}" in row.remedy
    assert found["numbers"].state == "ok"
    assert "record" not in found  # what cannot be looked at is not judged


@pytest.mark.parametrize(
    ("options", "row", "says"),
    [
        ("dtype=float16", "numbers", "PrecisionUnsupported"),
        ("device=cuda:0", "numbers", "sees no CUDA GPU"),
        ("colour=red", "options", "unknown option 'colour'"),
    ],
)
def test_what_cannot_run_here_is_named(
    medgemma: Folders, options: str, row: str, says: str
) -> None:
    found = rows(f"{medgemma.engine()},{options}")
    assert found[row].state == "missing"
    assert says in found[row].detail


def test_an_adapter_is_compared_with_the_base_before_anything_is_loaded(
    medgemma: Folders, tmp_path: Path
) -> None:
    other = build_base(tmp_path / "other", intermediate=192)
    found = rows(f"medgemma:{other},adapter={medgemma.seeing}")
    assert found["adapter"].state == "missing"
    assert "do not fit this base model" in found["adapter"].detail


def test_a_broken_base_and_a_missing_record_are_rows_of_their_own(
    medgemma: Folders, tmp_path: Path
) -> None:
    base = Path(shutil.copytree(medgemma.base, tmp_path / "base"))
    (base / "model.safetensors").write_bytes(b"x" * 64)
    bare = Path(shutil.copytree(medgemma.seeing, tmp_path / "bare"))
    (bare / "immunopath.json").unlink()
    found = rows(f"medgemma:{base},adapter={bare}")
    assert "WeightsCorrupted" in found["base model"].detail
    assert "RecordMissing" in found["record"].detail
    assert "prompt=" in found["record"].remedy
    assert found["memory"].detail.startswith("not estimated")


def test_weights_that_do_not_fit_into_memory(
    medgemma: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("immunopath.models.foundation.checks.free_bytes", lambda device: 1000)
    row = rows(medgemma.engine())["memory"]
    assert row.state == "missing"
    assert "batch=" in row.remedy
    assert "quant=nf4" in row.remedy


def test_a_package_that_is_missing_is_named(
    medgemma: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "immunopath.models.foundation.medgemma.medgemma_build.PACKAGES",
        ("torch", "no-such-package"),
    )
    found = rows(medgemma.engine())
    assert list(found) == ["packages"]
    assert found["packages"].remedy == "pip install no-such-package"


@pytest.mark.parametrize(
    ("engine", "package"),
    [
        ("path-foundation", "tensorflow-cpu"),
        ("path-foundation:{folder},runtime=onnx", "onnxruntime"),
        ("path-foundation:{folder}", "onnxruntime"),
        ("path-foundation:{folder},runtime=tf", "tensorflow-cpu"),
        ("path-foundation:{folder}/model.onnx", "onnxruntime"),
    ],
)
def test_path_foundation_names_the_runtime_that_its_files_need(
    engine: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.onnx").write_bytes(b"x")
    spec = EngineSpec.parse(engine.format(folder=tmp_path))
    monkeypatch.setattr("immunopath.models.foundation.doctor.version_of", lambda name: None)
    [row] = check_engine("embedder", spec, "cpu")
    assert (row.state, row.remedy) == ("missing", f"pip install {package}")
    monkeypatch.setattr(
        "immunopath.models.foundation.doctor.version_of",
        lambda name: "1" if name in ("tensorflow", "onnxruntime") else None,
    )
    found = check_engine("embedder", spec, "cpu")[0]
    assert (found.state, found.detail) == ("ok", f"{package.removesuffix('-cpu')} 1")


def test_every_file_that_will_be_fetched_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked: list[str] = []

    class Api:
        def model_info(self, repo: str, *, revision: str, files_metadata: bool) -> object:
            asked.append(revision)
            sizes = {"saved_model.pb": 1, "variables/variables.data": 2, "a.onnx": 4, "b.bin": 8,
                     "model.safetensors": 16}  # fmt: skip
            files = [SimpleNamespace(rfilename=n, size=s * GIB) for n, s in sizes.items()]
            return SimpleNamespace(siblings=files)

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(
        "immunopath.models.foundation.doctor.check_access",
        lambda repo, revision: asked.append(revision),
    )
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100 * GIB))
    [source] = sources_of("embedder", EngineSpec.parse("path-foundation,revision=v2"))
    assert "can be fetched: 7.0 GiB" in _fetchable(source)
    assert asked == ["v2"] * 2
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=6 * GIB))
    with pytest.raises(HubError, match=r"7\.0 GiB to fetch"):
        _fetchable(source)


def test_txgemma_has_its_numbers_and_memory(
    gemma2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(gemma2, tmp_path / "txgemma-tiny-predict"))

    def drugs(text: str) -> dict[str, Check]:
        found = check_engine("drugs", EngineSpec.parse(text), "cpu")
        return {row.name.partition(": ")[2] or row.name: row for row in found}

    found = drugs(f"txgemma:{folder}")
    assert found["numbers"].detail == "float32 on cpu"
    assert found["mode"].detail == "predict"
    assert found["memory"].state == "ok"
    assert "cache and activations not estimated" in found["memory"].detail
    refused = drugs(f"txgemma:{folder},dtype=float16")
    assert refused["numbers"].state == "missing"
    assert refused["memory"].detail.startswith("not estimated")
    assert drugs("txgemma")["memory"].detail.startswith("not estimated")
    size = (folder / "model.safetensors").stat().st_size
    monkeypatch.setattr("immunopath.models.foundation.checks.free_bytes", lambda d: size // 2)
    assert drugs(f"txgemma:{folder}")["memory"].state == "missing"
    monkeypatch.setattr("immunopath.models.foundation.checks.free_bytes", lambda d: size)
    assert drugs(f"txgemma:{folder}")["memory"].state == "ok"


def test_engines_without_weights_and_roles_switched_off() -> None:
    assert rows("embedded")["predictor embedded"].state == "ok"
    assert rows("none")["predictor none"].state == "note"


def test_a_probe_of_these_weights_is_shown(medgemma: Folders, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(medgemma.seeing, tmp_path / "copy"))
    (copy / "immunopath-probe.json").write_text(json.dumps({"x": 1}))
    found = rows(f"medgemma:{medgemma.base},adapter={copy}")
    assert "is not a probe result" in found["probe"].detail


def test_a_repository_of_an_engine_is_fetched_with_the_files_that_it_wants() -> None:
    for role in ROLES:
        for entry in ENTRIES:
            if entry.role != role or entry.name == "embedded":
                continue
            try:
                found = sources_of(role, EngineSpec(name=entry.name))
            except EngineSpecError:
                continue
            for source in found:
                assert set(source.patterns) <= set(patterns_for(source.name))
    assert patterns_for("somebody/else") == SAFE_PATTERNS
