"""``immunopath analyze``: one case from files to reports."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from immunopath.cli.exits import EXIT_REFUSED
from immunopath.cli.options import settings_of
from immunopath.cli.pace import EventWords
from immunopath.domain.base import fault_of
from immunopath.domain.case import Case, named_after
from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.errors import CaseFileError, InputError, OutputError
from immunopath.domain.files import require_place
from immunopath.domain.region import region_of
from immunopath.domain.report import CaseStatus
from immunopath.domain.units import checked_mpp
from immunopath.guidelines.casefile import load_clinical
from immunopath.pipeline.run import ImmunoPath
from immunopath.pipeline.side_files import SideFiles
from immunopath.reporting.rendered import RenderedReport
from immunopath.reporting.text import visible


@dataclass(frozen=True)
class Request:
    """What was asked on the command line."""

    images: tuple[Path, ...]
    mpp: float | None
    clinical: Path | None
    case_id: str | None
    patient_id: str | None
    config: Path | None
    engines: Mapping[str, object]
    regions: tuple[str, ...] = ()
    heat_workers: int | None = None
    """Processes of a dense pass; None = one per core."""


@dataclass(frozen=True)
class Outputs:
    """Where the report goes."""

    json_path: str | None
    html: Path | None
    md: Path | None
    fhir: Path | None
    files: SideFiles
    quiet: bool


def analyze_case(request: Request, outputs: Outputs, as_of: date) -> int:
    """Run one case and write its reports; returns the exit code (0, or 3 when refused)."""
    _check_outputs(request, outputs)
    if outputs.fhir is not None:
        from immunopath.reporting.fhir import require_fhir

        require_fhir()
    settings = settings_of(request.config, **request.engines)
    if outputs.files.heat is not None and not settings.heat:
        raise InputError(f"{outputs.files.heat}: --no-heat leaves nothing to write there")
    case = _case(request)
    with ImmunoPath(settings=settings, heat_workers=_workers(request)) as engines:
        report = _with_progress(engines, case, outputs, as_of)
    _write(report, outputs)
    return EXIT_REFUSED if report.status is CaseStatus.refused else 0


def _workers(request: Request) -> int:
    return (os.cpu_count() or 1) if request.heat_workers is None else request.heat_workers


def _case(request: Request) -> Case:
    mpp = None if request.mpp is None else checked_mpp(request.mpp)
    clinical = load_clinical(request.clinical) if request.clinical else ClinicalContext()
    case_id = named_after(request.images[0]) if request.case_id is None else request.case_id
    try:
        return Case(
            case_id=case_id,
            images=request.images,
            mpp=mpp,
            patient_id=request.patient_id,
            clinical=clinical,
            regions=tuple(map(region_of, request.regions)),
        )
    except ValidationError as error:
        raise CaseFileError(fault_of(error, "case")) from error


def _check_outputs(request: Request, outputs: Outputs) -> None:
    """No output may name an input or another output, and each can be written."""
    json_file = None if outputs.json_path in (None, "-") else Path(str(outputs.json_path))
    asked = (json_file, outputs.html, outputs.md, outputs.fhir, *outputs.files.paths)
    targets = [p for p in asked if p is not None]
    given = (*request.images, request.clinical, request.config)
    taken = [p.resolve() for p in given if p is not None]
    for target in targets:
        if target.resolve() in taken:
            raise OutputError(f"{target}: is named twice; give every output a file of its own")
        taken.append(target.resolve())
        require_place(target)


def _with_progress(
    engines: ImmunoPath, case: Case, outputs: Outputs, as_of: date
) -> RenderedReport:
    console = Console(stderr=True)
    if outputs.quiet or not console.is_terminal:
        return engines.analyze(case, as_of=as_of, files=outputs.files)
    with console.status("intake") as status:
        words = EventWords(perf_counter)

        def show(event: dict[str, Any]) -> None:
            status.update(Text(visible(words.of(event))))

        return engines.analyze(case, as_of=as_of, on_event=show, files=outputs.files)


def _write(report: RenderedReport, outputs: Outputs) -> None:
    _write_files(report, outputs)
    if outputs.json_path == "-":
        sys.stdout.write(report.to_json())
    elif not outputs.quiet:
        Console().print(report)
        _say_what_was_written(outputs)


def _say_what_was_written(outputs: Outputs) -> None:
    own = (outputs.html, outputs.json_path, outputs.md, outputs.fhir)
    files = (*own, *outputs.files.paths)
    for path in (path for path in files if path is not None):
        Console().print(f"written: {visible(str(path))}", soft_wrap=True, markup=False)


def _write_files(report: RenderedReport, outputs: Outputs) -> None:
    if outputs.html is not None:
        report.to_html(outputs.html)
    if outputs.md is not None:
        report.to_markdown(outputs.md)
    if outputs.fhir is not None:
        report.to_fhir(outputs.fhir)
    if outputs.json_path not in {None, "-"}:
        report.to_json(outputs.json_path)
