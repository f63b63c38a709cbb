"""`immunopath models fetch|verify|probe` and `doctor` with a request, as a user calls them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from immunopath.cli.models import _sources, fetch_all
from immunopath.domain.errors import EngineSpecError, InputError

FOUNDATION = Path(__file__).parents[1] / "models/foundation"
CORE = "he_other/instanseg_tma_HE_0.5mpp.tif"


def call(*args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "immunopath", *map(str, args)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Gemma 3 checkpoint, built in a process of its own."""
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("base")
    code = (
        f"import sys; sys.path.insert(0, {str(FOUNDATION)!r})\n"
        "from immunopath.models.torchvision_guard import guard_torchvision\n"
        "guard_torchvision()\n"
        "from pathlib import Path\nfrom tiny_medgemma import RECORD, build_base\n"
        "from immunopath.models.foundation.medgemma.record import write_record\n"
        f"write_record(RECORD, build_base(Path({str(folder)!r})))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return folder


def test_probe_keeps_its_result_where_the_engine_finds_it(
    base: Path, shared_images: Path, tmp_path: Path
) -> None:
    engine = f"medgemma:{base},patches=8"
    done = call("models", "probe", engine, shared_images / CORE, "--mpp", 0.5)
    assert done.returncode == 0, done.stderr
    kept = json.loads((base / "immunopath-probe.json").read_text())
    assert kept["n_units"] == 8
    assert len(kept["fields"]) == 8
    assert kept["verdict"] in done.stdout
    report = tmp_path / "r.json"
    done = call(
        "analyze", shared_images / CORE, "--mpp", 0.5, "--predictor", engine, "--json", report,
        "--quiet",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    codes = {f["code"] for f in json.loads(report.read_text())["findings"]}
    assert "NOT_PROBED" not in codes
    assert ("IMAGE_IGNORED" in codes) == any(
        field["verdict"] in {"ignores", "constant"} for field in kept["fields"]
    )
    (base / "immunopath-probe.json").unlink()


def test_a_probe_result_can_lie_in_a_file_of_ones_own(
    base: Path, shared_images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine.json"
    done = call("models", "probe", f"medgemma:{base},patches=2", shared_images / CORE,
                "--mpp", 0.5, "--out", out)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(out.read_text())["verdict"] == "unclear"
    assert not (base / "immunopath-probe.json").exists()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("models", "probe", "embedded", "x.png"), "x.png"),
        (("models", "fetch", "lab/none"), "HF_HUB_OFFLINE is set"),
        (("models", "fetch", "embedded"), "nor an engine that has weights"),
        (("models", "verify", "lab/none"), "was never fetched here"),
        (("doctor", "--predictor", "oracle"), "oracle"),
    ],
)
def test_what_cannot_be_done_is_one_line(args: tuple[str, ...], says: str) -> None:
    done = call(*args)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_verify_reads_a_folder_and_finds_a_broken_file(base: Path, tmp_path: Path) -> None:
    done = call("models", "verify", base)
    assert done.returncode == 0, done.stderr
    assert "model.safetensors" in done.stdout
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "model.safetensors").write_bytes(b"x" * 20)
    done = call("models", "verify", broken)
    assert done.returncode == 1
    assert "broken" in done.stdout


def test_verify_with_nothing_to_verify_is_no_success(tmp_path: Path) -> None:
    for args, says in (((), "nothing was fetched here"), ((tmp_path,), "holds no file of a")):
        done = call("models", "verify", *args)
        assert done.returncode == 2
        assert says in done.stderr
        assert len((done.stdout + done.stderr).strip().splitlines()) == 1


def test_doctor_of_a_request_exits_1_when_it_cannot_run(base: Path) -> None:
    good = call("doctor", "--predictor", f"medgemma:{base}")
    assert good.returncode == 0, good.stdout
    bad = call("doctor", "--profile", "foundation")
    assert bad.returncode == 1
    assert "HubOffline" in bad.stdout


def test_a_revision_is_that_of_one_hub_id(tmp_path: Path) -> None:
    with pytest.raises(EngineSpecError, match="write revision="):
        fetch_all(["medgemma"], "v1")
    with pytest.raises(InputError, match="one by one"):
        fetch_all(["lab/one", "lab/two"], "v1")
    [source] = _sources("lab/one", "v1")
    assert (source.name, source.revision) == ("lab/one", "v1")
    assert [s.revision for s in _sources("medgemma:a/b,revision=v2")] == ["v2"]
