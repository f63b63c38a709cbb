"""`ImmunoPath`: engines loaded lazily and once, cases run through the one graph."""

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any, Self

from immunopath import __version__
from immunopath.agents.context import RunContext
from immunopath.agents.state import INTAKE, REPORT, CaseState
from immunopath.domain import errors
from immunopath.domain.case import Case
from immunopath.domain.outcome import Failed, Ok, why_not
from immunopath.domain.quality import ImageSummary
from immunopath.domain.region import region_text
from immunopath.domain.report import CaseReport, CaseStatus, ReportProvenance
from immunopath.domain.sampling import SamplingBudget
from immunopath.models.lazy import LazyAtlas, LazyEngine
from immunopath.models.registry import ROLES
from immunopath.pipeline.checkpoints import Checkpoints
from immunopath.pipeline.cohort.case_run import CasePlan
from immunopath.pipeline.cohort.cohort import CohortResult, Machines, run_cohort
from immunopath.pipeline.cohort.manifest import rows_of
from immunopath.pipeline.figures import make_figures, neighbour_ids
from immunopath.pipeline.graph import build_graph
from immunopath.pipeline.heat import CaseHeat, plan_heat, run_heat
from immunopath.pipeline.settings import ProfileName, Settings
from immunopath.pipeline.side_files import SideFiles
from immunopath.pipeline.usable import require_usable
from immunopath.reporting.rendered import RenderedReport

NO_FILES = SideFiles()
Event = dict[str, Any]
EventSink = Callable[[Event], None]


class ImmunoPath:
    """A context manager that holds the engines and analyses cases.

    ::

        with ImmunoPath(profile="embedded") as path:
            report = path.analyze(Case(case_id="P-17", images="core.tif", mpp=0.5))

    Raises `EngineSpecError` at once for an engine string that cannot be understood, options
    included, and `EngineUnavailable` or `CaseFileError` for a folder, file or atlas that is named
    and is not there or not what it must be; loading an engine waits until a case needs it.
    heat_workers: processes that count a slide when the settings ask for its heat; 0 = the calling
    thread. The result is the same.
    """

    def __init__(  # noqa: PLR0913 - one keyword per role, as users type them
        self,
        profile: ProfileName = "embedded",
        *,
        predictor: str | None = None,
        phenotype: str | None = None,
        embedder: str | None = None,
        drugs: str | None = None,
        device: str = "cpu",
        settings: Settings | None = None,
        checkpoints: str | Path | None = None,
        heat_workers: int = 0,
    ) -> None:
        values: dict[str, object] = {
            "profile": profile,
            "predictor": predictor,
            "phenotype": phenotype,
            "embedder": embedder,
            "drugs": drugs,
            "device": device,
        }
        self.settings = settings.checked() if settings else Settings.make(values)
        require_usable(self.settings)
        self._engines = {
            role: LazyEngine(role, self.settings.spec(role), self.settings.device) for role in ROLES
        }
        self._atlas = LazyAtlas(self.settings.atlas)
        self._heat_workers = heat_workers
        self._checkpoints = None if checkpoints is None else Checkpoints(checkpoints)
        self._graph = build_graph(self._checkpoints.saver if self._checkpoints else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the engines go and close the checkpoint file."""
        for engine in self._engines.values():
            engine.close()
        if self._checkpoints is not None:
            self._checkpoints.close()

    def analyze(
        self,
        case: Case,
        *,
        as_of: date | None = None,
        on_event: EventSink | None = None,
        files: SideFiles = NO_FILES,
        figures: bool = True,
    ) -> RenderedReport:
        """Run a case through the graph and return its report.

        `as_of` is the date of the question (default: today). `on_event` receives start and end
        of every agent with its milliseconds. `files` names what else to write (nuclei, tiles,
        AnnData). Without `figures` the report's page says that it has no images, and costs less.
        Raises `ImageReadError` and its kin for input that cannot be read at all; unusable input
        (not H&E, no tissue) is a report with ``status: refused``. Works inside a running loop.
        """
        planned = plan_heat(case, self.settings)
        context = self._context(case, as_of)
        given, config = self._input(case, context)
        state: CaseState = {}
        # Events cost LangGraph a waiting thread per step: they are asked for when someone listens.
        modes = ["values"] if on_event is None else ["custom", "values"]
        stream = self._graph.stream(given, config, context=context, stream_mode=modes)
        with closing(stream):  # before anything else closes the file that its threads write to
            for mode, payload in stream:
                state = _take(mode, payload, state, on_event)
        report = self._report(state)
        refused = report.status is CaseStatus.refused
        heat = None if refused else run_heat(planned, self._heat_workers, on_event)
        return self._finish(report, context, files, heat, figures=figures)

    async def aanalyze(
        self,
        case: Case,
        *,
        as_of: date | None = None,
        on_event: EventSink | None = None,
        files: SideFiles = NO_FILES,
        figures: bool = True,
    ) -> RenderedReport:
        """Like `analyze`, without blocking the running event loop.

        The agents compute; nothing in them waits. So the same call runs in a worker thread, and
        `on_event` is called from that thread.
        """
        return await asyncio.to_thread(
            self.analyze, case, as_of=as_of, on_event=on_event, files=files, figures=figures
        )

    def cohort(
        self,
        cases: Iterable[Case],
        out: str | Path,
        *,
        as_of: date | None = None,
        fhir: bool = False,
    ) -> CohortResult:
        """Analyse many cases into the folder `out` with these engines, one after the other.

        What was done before in the same folder and still fits is not done again. fhir: write a
        bundle per case as well; `EngineUnavailable` without the extra ``interop``. Raises
        `InputError` for an id that two cases share, `OutputError` when another run is at work.
        """
        if fhir:
            from immunopath.reporting.fhir import require_fhir

            require_fhir()
        plan = CasePlan(Path(out), as_of or date.today(), self.settings.digest(), fhir=fhir)
        machines = Machines(engines=lambda: self)
        return run_cohort(rows_of(cases), self.settings, plan, machines)

    def _input(self, case: Case, context: RunContext) -> tuple[CaseState | None, dict[str, Any]]:
        fresh: CaseState = {"case": case.model_dump(mode="json"), "trace": []}
        if self._checkpoints is None:
            return fresh, {}
        config = self._checkpoints.config(case, context.as_of, self.settings.digest())
        return self._checkpoints.start(self._graph, config, context, fresh), config

    def _context(self, case: Case, as_of: date | None) -> RunContext:
        return RunContext(
            predictor=self._engines["predictor"],
            phenotype=self._engines["phenotype"],
            embedder=self._engines["embedder"],
            drugs=self._engines["drugs"],
            atlas=self._atlas,
            as_of=as_of or date.today(),
            provenance=ReportProvenance(
                package_version=__version__,
                configuration_digest=self.settings.digest(),
                input_digest="",
            ),
            neighbours=self.settings.neighbours,
            engine_timeout_s=self.settings.engine_timeout_s,
            sampling=SamplingBudget(
                rounds=self.settings.sampling_rounds, regions=self.settings.sampling_regions
            ),
            checkpointed=self._checkpoints is not None,
        )

    def _report(self, state: CaseState) -> CaseReport:
        """Return the graph's report; raises intake's failure, or that there is none."""
        _raise_if_unreadable(state)
        outcome = REPORT.read(state)
        if not isinstance(outcome, Ok):
            raise errors.ImmunoPathError(f"no report could be made: {why_not(outcome)}")
        return outcome.value

    def _finish(
        self,
        found: CaseReport,
        context: RunContext,
        files: SideFiles,
        heat: CaseHeat | None,
        *,
        figures: bool,
    ) -> RenderedReport:
        if heat is not None:
            found = found.model_copy(update={"heat": heat.report})
        report = RenderedReport.of(found, _stamped(found))
        slides = heat.slides if heat else ()
        files.write(report, context.workspace, slides)
        if not figures:
            return report
        thumbnails = self._atlas.thumbnails(neighbour_ids(report))
        pictures = make_figures(report, context.workspace, thumbnails, slides)
        return report.with_figures(pictures)


def _take(mode: str, payload: Any, state: CaseState, sink: EventSink | None) -> CaseState:  # noqa: ANN401
    if mode == "values":
        final: CaseState = payload
        return final
    if sink is not None:
        sink(payload)
    return state


def _raise_if_unreadable(state: CaseState) -> None:
    """Raise intake's failure as the exception of the tree that it was."""
    outcome = INTAKE.read(state)
    if isinstance(outcome, Ok):
        return
    if isinstance(outcome, Failed):
        kind = getattr(errors, outcome.error_id, errors.ImmunoPathError)
        raise kind(outcome.message)
    raise errors.ImmunoPathError(f"intake: {why_not(outcome)}")


def _stamped(report: Any) -> ReportProvenance:  # noqa: ANN401 - a CaseReport
    """Return the provenance with the digest of the case's parameters and image bytes."""
    parts = [report.case_id, report.patient_id or "", report.clinical.model_dump_json()]
    parts += [f"{image.sha256}@{image.mpp}{_place(image)}" for image in report.images]
    digest = hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
    stamped: ReportProvenance = report.provenance.model_copy(update={"input_digest": digest})
    return stamped


def _place(image: ImageSummary) -> str:
    """Return which region a person picked; where a slide is read unasked follows from its bytes."""
    return f"[{region_text(image.region)}]" if image.picked and image.region else ""
