"""``immunopath analyze`` without a shell: what is asked, what is written, what is refused."""

import json
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from immunopath.cli.analyze_run import Outputs, Request, analyze_case
from immunopath.cli.exits import EXIT_REFUSED
from immunopath.domain.errors import (
    CaseFileError,
    EngineSpecError,
    EngineUnavailable,
    ImageReadError,
    OutputError,
    ResolutionError,
)
from immunopath.pipeline.side_files import SideFiles

AS_OF = date(2026, 11, 24)
OFF = dict.fromkeys(("predictor", "phenotype", "embedder"), "none")


@pytest.fixture
def patch(shared_images: Path) -> Path:
    return shared_images / "lung_he_til/u24_cae100/image_99.png"


def request(*images: Path, **changes: Any) -> Request:
    values: dict[str, Any] = {
        "mpp": 0.5, "clinical": None, "case_id": None, "patient_id": None, "config": None,
        "engines": OFF,
    }  # fmt: skip
    return Request(images=images, **values | changes)


def outputs(**changes: Any) -> Outputs:
    values: dict[str, Any] = dict.fromkeys(("json_path", "html", "md", "fhir"))
    beside = {name: changes.pop(name) for name in ("nuclei", "tiles", "anndata") if name in changes}
    return Outputs(**values | {"quiet": True, "files": SideFiles(**beside)} | changes)


def listing(folder: Path) -> Iterator[str]:
    return (str(path.relative_to(folder)) for path in sorted(folder.rglob("*")))


def test_every_output_holds_the_same_case(
    patch: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = outputs(
        json_path=str(tmp_path / "r.json"), html=tmp_path / "r.html", md=tmp_path / "r.md"
    )
    assert analyze_case(request(patch, case_id="CASE-77"), where, AS_OF) == 0
    assert list(listing(tmp_path)) == ["r.html", "r.json", "r.md"]
    for name in listing(tmp_path):
        assert "CASE-77" in (tmp_path / name).read_text("utf-8")
    assert capsys.readouterr() == ("", "")


def test_json_on_stdout_stands_alone_even_beside_a_page(
    patch: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    analyze_case(
        request(patch), outputs(json_path="-", html=tmp_path / "r.html", quiet=False), AS_OF
    )
    report = json.loads(capsys.readouterr().out)
    assert report["case_id"] == "image_99"
    assert report["as_of"] == "2026-11-24"


def test_without_any_output_the_report_is_printed(
    patch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    analyze_case(request(patch), outputs(quiet=False), AS_OF)
    shown = capsys.readouterr()
    assert "ImmunoPath report, case image_99" in shown.out
    assert shown.err == ""


def test_a_refused_image_has_an_exit_code_of_its_own(shared_images: Path, tmp_path: Path) -> None:
    cat = shared_images / "negatives/skimage_chelsea.png"
    where = outputs(json_path=str(tmp_path / "r.json"))
    assert analyze_case(request(cat), where, AS_OF) == EXIT_REFUSED == 3
    assert json.loads((tmp_path / "r.json").read_text())["status"] == "refused"


def test_the_patient_and_the_facts_are_passed_on(patch: Path, tmp_path: Path) -> None:
    facts = tmp_path / "case.yaml"
    facts.write_text("histology: squamous\n")
    where = outputs(json_path=str(tmp_path / "r.json"))
    analyze_case(request(patch, clinical=facts, patient_id="PAT-9"), where, AS_OF)
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["patient_id"] == "PAT-9"
    assert report["clinical"]["histology"] == "squamous"


def test_the_command_line_wins_over_the_configuration(patch: Path, tmp_path: Path) -> None:
    config = tmp_path / "i.toml"
    config.write_text('predictor = "none"\nphenotype = "none"\nembedder = "none"\ndrugs = "none"\n')
    where = outputs(json_path=str(tmp_path / "r.json"))
    analyze_case(request(patch, config=config, engines={"phenotype": "embedded"}), where, AS_OF)
    rows = json.loads((tmp_path / "r.json").read_text())["engines"]
    status = {row["agent"]: row["status"] for row in rows}
    assert status["predictor"] == "unavailable"
    assert status["phenotype"] == "ok"


@pytest.mark.parametrize("which", ["images", "clinical", "config"])
@pytest.mark.parametrize("output", ["json_path", "html", "md", "nuclei", "tiles", "anndata"])
def test_no_output_may_be_an_input(patch: Path, tmp_path: Path, which: str, output: str) -> None:
    paths = {name: tmp_path / name for name in ("images", "clinical", "config")}
    paths["images"].write_bytes(patch.read_bytes())
    paths["clinical"].write_text("histology: squamous\n")
    paths["config"].write_text("neighbours = 3\n")
    before = {name: path.read_bytes() for name, path in paths.items()}
    asked = request(paths["images"], clinical=paths["clinical"], config=paths["config"])
    roundabout = tmp_path / "x" / ".." / which
    target: Any = str(roundabout) if output == "json_path" else roundabout
    with pytest.raises(OutputError, match="named twice"):
        analyze_case(asked, outputs(**{output: target}), AS_OF)
    assert {name: path.read_bytes() for name, path in paths.items()} == before


def test_no_two_outputs_may_be_one_file(patch: Path, tmp_path: Path) -> None:
    target = tmp_path / "r.html"
    with pytest.raises(OutputError, match=r"r\.html"):
        analyze_case(request(patch), outputs(html=target, md=target), AS_OF)
    assert list(listing(tmp_path)) == []


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"mpp": 400.0}, ResolutionError),
        ({"mpp": float("nan")}, ResolutionError),
        ({"case_id": ""}, CaseFileError),
        ({"case_id": "x" * 201}, CaseFileError),
        ({"engines": {"predictor": "oracle"}}, EngineSpecError),
        ({"engines": {"profile": "magic"}}, CaseFileError),
        ({"clinical": Path("none.yaml")}, CaseFileError),
        ({"config": Path("none.toml")}, CaseFileError),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_one_line_and_writes_nothing(
    patch: Path, tmp_path: Path, change: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        analyze_case(request(patch, **change), outputs(html=tmp_path / "r.html"), AS_OF)
    assert str(caught.value).isprintable()
    assert list(listing(tmp_path)) == []


def test_one_missing_image_of_two_writes_nothing(patch: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match=r"none\.png"):
        analyze_case(
            request(patch, tmp_path / "none.png"), outputs(html=tmp_path / "r.html"), AS_OF
        )
    assert list(listing(tmp_path)) == []


def test_nuclei_that_were_not_counted_are_not_written(patch: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no nuclei were counted"):
        analyze_case(request(patch), outputs(nuclei=tmp_path / "n.geojson"), AS_OF)
    assert list(listing(tmp_path)) == []


def test_a_file_in_the_way_of_a_folder_is_named(patch: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        analyze_case(request(patch), outputs(html=tmp_path / "file" / "r.html"), AS_OF)


def test_files_are_named_after_the_report_on_the_terminal(
    patch: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = outputs(html=tmp_path / "r.html", quiet=False)
    analyze_case(request(patch), where, AS_OF)
    assert capsys.readouterr().out.rstrip().endswith(f"written: {tmp_path / 'r.html'}")


def test_fhir_without_its_package_is_said_before_the_image_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fhir.resources.R4B.bundle", None)
    with pytest.raises(EngineUnavailable, match=r"immunopath\[interop\]"):
        analyze_case(request(tmp_path / "none.png"), outputs(fhir=tmp_path / "f.json"), AS_OF)
