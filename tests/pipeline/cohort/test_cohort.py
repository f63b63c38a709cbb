"""Cohorts: nothing is lost or doubled, nothing leaves the folder, the queue follows the rules."""

import csv
import json
import os
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from immunopath.cli.main import app
from immunopath.domain.case import Case
from immunopath.domain.cohort import CaseRecord
from immunopath.domain.errors import ImmunoPathError, InputError, OutputError
from immunopath.guidelines.vocabulary import parse_inputs
from immunopath.pipeline.cohort.case_run import CasePlan, run_case
from immunopath.pipeline.cohort.cohort import CohortResult, Machines, run_cohort
from immunopath.pipeline.cohort.manifest import ManifestRow, read_manifest, rows_of
from immunopath.pipeline.cohort.store import ResultStore, case_key
from immunopath.pipeline.run import ImmunoPath
from immunopath.pipeline.settings import Settings
from immunopath.reporting.rendered import RenderedReport

AS_OF = date(2026, 11, 24)
LUNG = "lung_he_til/u24_cae100/image_99.png"
SETTINGS = Settings(predictor="none", embedder="none")
"""The quickest engines that still make a whole report."""
RESULTS = ("cohort.csv", "worklist.csv", "cohort.parquet", "summary.html", "worklist.html")


def plan(out: Path, **more: bool) -> CasePlan:
    return CasePlan(out, AS_OF, SETTINGS.digest(), **more)


def bytes_below(out: Path) -> dict[str, bytes]:
    """Everything that is a result: all files but those that hold times and hosts."""
    kept = (*(out / name for name in RESULTS), *out.glob("cases/*"), *out.glob("records/*"))
    return {str(path.relative_to(out)): path.read_bytes() for path in kept}


@pytest.fixture
def cases(shared_images: Path, tmp_path: Path) -> list[Case]:
    crisis = parse_inputs({"histology": "adenocarcinoma", "tempo": "crisis", "stage": "IVB"}, False)
    return [
        Case(case_id="plain", images=(shared_images / LUNG,), mpp=0.5),
        Case(case_id="../up\n", images=(shared_images / LUNG,), mpp=0.5),
        Case(case_id="gone", images=(tmp_path / "none.png",)),
        Case(case_id="cat", images=(shared_images / "negatives/skimage_chelsea.png",)),
        Case(case_id="=1+1", images=(shared_images / LUNG,), mpp=0.5, clinical=crisis),
    ]


def test_failures_are_rows_and_the_others_go_on(cases: list[Case], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with ImmunoPath(settings=SETTINGS) as engines:
        result = engines.cohort(cases, out, as_of=AS_OF)
    assert [r.status for r in result.records] == [
        "partial",
        "partial",
        "failed",
        "refused",
        "partial",
    ]
    assert "none.png" in result.failures[0].reason
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    reports = sorted(str(p.relative_to(out)) for p in out.glob("cases/*.json"))
    assert reports == sorted(name for r in result.records if (name := r.file(".json")))
    with (out / "worklist.csv").open(newline="") as stream:
        assert "facts only" in stream.readline()
        lines = list(csv.DictReader(stream))
    assert (lines[0]["case_id"], lines[0]["triage_level"], lines[0]["rank"]) == ("'=1+1", "T0", "1")
    assert {line["case_id"] for line in lines} == {"'=1+1", "plain", "../up\\n"}


def test_a_second_run_keeps_what_is_whole_and_mends_what_is_not(
    cases: list[Case], tmp_path: Path
) -> None:
    with ImmunoPath(settings=SETTINGS) as engines:
        first = engines.cohort(cases, tmp_path / "out", as_of=AS_OF)
        before = bytes_below(tmp_path / "out")
        again = engines.cohort(cases, tmp_path / "out", as_of=AS_OF)
        assert (first.made, again.made) == (5, 1)  # an image that cannot be read has no key
        damaged = tmp_path / "out" / str(first.records[0].file(".json"))
        damaged.write_bytes(damaged.read_bytes()[:100])
        (tmp_path / "out" / str(first.records[1].file(".html"))).unlink()
        mended = engines.cohort(cases, tmp_path / "out", as_of=AS_OF)
    assert mended.made == 3
    assert bytes_below(tmp_path / "out") == before


def test_other_settings_date_image_or_facts_are_another_case(shared_images: Path) -> None:
    case = Case(case_id="a", images=(shared_images / LUNG,), mpp=0.5)
    other = Case(case_id="a", images=(shared_images / "he_other/stardist_histo.jpg",), mpp=0.5)
    keys = {
        case_key(case, "c", "2026-01-01", html=True),
        case_key(case, "d", "2026-01-01", html=True),
        case_key(case, "c", "2026-01-02", html=True),
        case_key(case, "c", "2026-01-01", html=False),
        case_key(case, "c", "2026-01-01", html=True, fhir=True),
        case_key(case.model_copy(update={"mpp": 0.25}), "c", "2026-01-01", html=True),
        case_key(other, "c", "2026-01-01", html=True),
    }
    assert len(keys) == 7


def test_every_case_has_a_valid_bundle_when_asked(cases: list[Case], tmp_path: Path) -> None:
    bundle = pytest.importorskip("fhir.resources.R4B.bundle").Bundle
    out = tmp_path / "out"
    with ImmunoPath(settings=SETTINGS) as engines:
        machines = Machines(engines=lambda: engines)
        asked = plan(out, fhir=True, html=False)
        first = run_cohort(rows_of(cases), SETTINGS, asked, machines)
        before = bytes_below(out)
        assert run_cohort(rows_of(cases), SETTINGS, asked, machines).made == 1  # unreadable image
        (out / str(first.records[0].file(".fhir.json"))).unlink()
        assert run_cohort(rows_of(cases), SETTINGS, asked, machines).made == 2
        assert bytes_below(out) == before
        for record in first.records:
            name = record.file(".fhir.json")
            assert (name is None) == (record.status == "failed")
            if name is not None:
                assert record.file(".json") != name
                found = bundle.model_validate_json((out / name).read_text("utf-8"))
                assert found.type == "collection"
        plain = run_cohort(rows_of(cases), SETTINGS, plan(out, html=False), machines)
    assert plain.made == 5
    assert not list(out.glob("cases/*.fhir.json"))


def test_the_command_line_writes_bundles_too(shared_images: Path, tmp_path: Path) -> None:
    pytest.importorskip("fhir.resources")
    manifest = tmp_path / "m.csv"
    manifest.write_text(f"case_id,images,mpp\na,{shared_images / LUNG},0.5\n")
    words = ["cohort", str(manifest), "-o", str(tmp_path / "out"), "--fhir", "--no-html"]
    words += ["--predictor", "none", "--embedder", "none", "--as-of", AS_OF.isoformat()]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    (written,) = (tmp_path / "out/cases").glob("*.fhir.json")
    assert json.loads(written.read_text())["resourceType"] == "Bundle"
    assert json.loads((tmp_path / "out/run.json").read_text())["fhir"] is True


class Broken:
    """Engines whose graph has a fault of ours."""

    def analyze(
        self, case: Case, *, as_of: date | None = None, figures: bool = True
    ) -> RenderedReport:
        raise ZeroDivisionError("a slip\nwith two lines")


def test_a_fault_of_ours_in_one_case_is_its_reason(shared_images: Path, tmp_path: Path) -> None:
    case = Case(case_id="a", images=(shared_images / LUNG,), mpp=0.5)
    done = run_case(Broken, case, 1, plan(tmp_path))
    assert (done.record.status, done.record.key) == ("failed", "")
    assert done.record.reason == "unexpected ZeroDivisionError: a slip"


class Refusing:
    """Engines that count how often they are asked and fail in a known way."""

    asked = 0

    def analyze(
        self, case: Case, *, as_of: date | None = None, figures: bool = True
    ) -> RenderedReport:
        Refusing.asked += 1
        raise ImmunoPathError("no")


def test_a_failure_is_tried_again_only_when_asked(shared_images: Path, tmp_path: Path) -> None:
    case = Case(case_id="a", images=(shared_images / LUNG,), mpp=0.5)
    Refusing.asked = 0
    for retry in (False, False, True):
        run_case(Refusing, case, 1, plan(tmp_path, retry_failed=retry))
    assert Refusing.asked == 2


def test_a_record_of_another_case_or_a_damaged_one_is_not_believed(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.write_record(CaseRecord(case_id="a", row=1, status="failed", key="k"))
    path = next((tmp_path / "records").iterdir())
    assert store.record("a") is not None
    path.write_text(path.read_text().replace('"a"', '"b"'))
    assert store.record("a") is None
    path.write_text("{")
    assert store.record("a") is None


def test_two_runs_do_not_share_a_folder(cases: list[Case], tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    out = tmp_path / "out"
    out.mkdir()
    with (out / ".lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="another run"):
            run_cohort(rows_of(cases), SETTINGS, plan(out), Machines())


def test_less_than_one_worker_is_refused(cases: list[Case], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="workers: 0"):
        run_cohort(rows_of(cases), SETTINGS, plan(tmp_path), Machines(workers=0))


def test_bad_rows_are_in_the_tables(tmp_path: Path, shared_images: Path) -> None:
    case = Case(case_id="a", images=(shared_images / LUNG,), mpp=0.5)
    rows = [ManifestRow(1, "", None, "case_id: is empty"), ManifestRow(2, "a", case)]
    with ImmunoPath(settings=SETTINGS) as engines:
        result = run_cohort(rows, SETTINGS, plan(tmp_path), Machines(engines=lambda: engines))
    assert [r.case_id for r in result.records] == ["row 1", "a"]
    with (tmp_path / "cohort.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["case_id"] for line in lines] == ["row 1", *["a"] * 8]
    assert lines[0]["reason"] == "case_id: is empty"
    assert lines[1]["field"] == "cd274_expression"


def run_by_manifest(
    tmp_path: Path, cases: list[Case], out: str, machines: Machines
) -> CohortResult:
    manifest = tmp_path / "m.jsonl"
    lines = [
        {"case_id": c.case_id, "images": [str(p) for p in c.images], "mpp": c.mpp} for c in cases
    ]
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run_cohort(read_manifest(manifest), SETTINGS, plan(tmp_path / out), machines)


def test_workers_make_the_same_bytes(cases: list[Case], tmp_path: Path) -> None:
    with ImmunoPath(settings=SETTINGS) as engines:
        run_by_manifest(tmp_path, cases, "here", Machines(engines=lambda: engines))
    run_by_manifest(tmp_path, cases, "there", Machines(workers=2))
    assert bytes_below(tmp_path / "here") == bytes_below(tmp_path / "there")


@pytest.mark.slow
def test_ray_makes_the_same_bytes(cases: list[Case], tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with ImmunoPath(settings=SETTINGS) as engines:
        run_by_manifest(tmp_path, cases, "here", Machines(engines=lambda: engines))
    asked = ["cohort", str(tmp_path / "m.jsonl"), "-o", str(tmp_path / "ray")]
    asked += ["--engine", "ray", "--workers", "2", "--as-of", AS_OF.isoformat()]
    asked += ["--predictor", "none", "--embedder", "none"]
    code = "from immunopath.cli.main import run; run()"
    command = [sys.executable, "-c", code, *asked]
    subprocess.run(command, check=False, capture_output=True)
    assert bytes_below(tmp_path / "here") == bytes_below(tmp_path / "ray")


KILLED = """
import os, signal, sys
from datetime import date
from pathlib import Path
from immunopath.domain import files
from immunopath.pipeline.cohort.manifest import read_manifest
from immunopath.pipeline.cohort.case_run import CasePlan
from immunopath.pipeline.cohort.cohort import Machines, run_cohort
from immunopath.pipeline.run import ImmunoPath
from immunopath.pipeline.settings import Settings

left = [int(sys.argv[3])]
replace = Path.replace

def counted(self, target):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)

Path.replace = counted
settings = Settings(predictor="none", embedder="none")
with ImmunoPath(settings=settings) as engines:
    run_cohort(read_manifest(Path(sys.argv[1])), settings,
               CasePlan(Path(sys.argv[2]), date(2026, 11, 24), settings.digest()),
               Machines(engines=lambda: engines))
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
@pytest.mark.parametrize("writes", [0, 2, 3, 7, 17])
def test_a_run_killed_before_any_write_goes_on_to_the_same_bytes(
    cases: list[Case], tmp_path: Path, writes: int
) -> None:
    with ImmunoPath(settings=SETTINGS) as engines:
        run_by_manifest(tmp_path, cases, "whole", Machines(engines=lambda: engines))
        arguments = [str(tmp_path / "m.jsonl"), str(tmp_path / "out"), str(writes)]
        ended = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
        assert ended.returncode == -signal.SIGKILL
        run_by_manifest(tmp_path, cases, "out", Machines(engines=lambda: engines))
    assert bytes_below(tmp_path / "whole") == bytes_below(tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.tmp"))


@pytest.mark.parametrize("name", ["cases", "records", "events.jsonl", ".lock"])
def test_nothing_is_written_through_a_link_in_the_folder(
    cases: list[Case], tmp_path: Path, name: str
) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / name).symlink_to(elsewhere if "." not in name else elsewhere / "file")
    with (
        ImmunoPath(settings=SETTINGS) as engines,
        pytest.raises(OutputError, match="is a link"),
    ):
        engines.cohort(cases[:1], out, as_of=AS_OF)
    assert list(elsewhere.iterdir()) == []


def test_a_pipe_for_a_log_or_a_record_is_not_waited_on(cases: list[Case], tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    (tmp_path / "records").mkdir()
    store.write_record(CaseRecord(case_id="plain", row=1, status="failed"))
    record = next((tmp_path / "records").iterdir())
    record.unlink()
    os.mkfifo(record)
    assert store.record("plain") is None
    os.mkfifo(tmp_path / "events.jsonl")
    with ImmunoPath(settings=SETTINGS) as engines, pytest.raises(OutputError, match=r"events"):
        engines.cohort(cases[:1], tmp_path, as_of=AS_OF)


def test_a_record_that_names_files_elsewhere_is_not_believed(
    cases: list[Case], tmp_path: Path
) -> None:
    store = ResultStore(tmp_path)
    for name in ("/dev/zero", "../secret"):
        record = CaseRecord(case_id="plain", row=1, status="ok", key="k", files={name: "0"})
        store.write_record(record)
        assert store.valid(cases[0], "k") is None


def test_a_file_that_only_claims_to_be_large_is_not_hashed(tmp_path: Path) -> None:
    with (tmp_path / "sparse.png").open("wb") as stream:
        stream.truncate(10**12)
    (tmp_path / "empty.png").touch()
    for name, said in (("sparse.png", "larger than any slide"), ("empty.png", "is empty")):
        with pytest.raises(InputError, match=said):
            case_key(Case(case_id="A", images=(tmp_path / name,)), "", "", html=False)


def test_a_case_that_could_not_be_written_is_tried_again(cases: list[Case], tmp_path: Path) -> None:
    with ImmunoPath(settings=SETTINGS) as engines:
        (tmp_path / "cases").touch()
        first = run_case(lambda: engines, cases[0], 1, plan(tmp_path))
        assert (first.record.status, first.record.key) == ("failed", "")
        assert "Not a directory" in first.record.reason
        assert "unexpected" not in first.record.reason
        (tmp_path / "cases").unlink()
        again = run_case(lambda: engines, cases[0], 1, plan(tmp_path))
    assert (again.record.status, again.resumed) == ("partial", False)
