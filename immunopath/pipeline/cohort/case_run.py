"""One case of a cohort, from the manifest to its record: the same in every worker."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

from immunopath.domain.case import Case
from immunopath.domain.cohort import CaseRecord
from immunopath.domain.errors import ImmunoPathError, OutputError, UnexpectedFault
from immunopath.pipeline.cohort.record import failure_of, record_of
from immunopath.pipeline.cohort.store import (
    NOTHING_KNOWN,
    ResultStore,
    case_key,
    image_digests,
    refuse_unreadable,
)
from immunopath.pipeline.faults import faults_told
from immunopath.reporting.rendered import RenderedReport


class Analyzer(Protocol):
    """What a cohort needs: one case in, one report out."""

    def analyze(
        self, case: Case, *, as_of: date | None = None, figures: bool = True
    ) -> RenderedReport:
        """Return the report of a case; raises `ImmunoPathError`."""


@dataclass(frozen=True)
class CasePlan:
    """What is the same for all cases of a run.

    configuration: digest of the run's settings; engine_files: that of the files behind them, see
    `files_digest`, which `run_cohort` fills in; html: whether a page is written per case; fhir:
    whether a FHIR R4B bundle is (extra ``interop``); retry_failed: whether a case that failed
    before is tried again.
    """

    out: Path
    as_of: date
    configuration: str
    html: bool = True
    fhir: bool = False
    retry_failed: bool = False
    engine_files: str = ""

    def key(self, case: Case, known: Mapping[str, str] = NOTHING_KNOWN) -> str:
        """Return `case_key` of a case in this run."""
        return case_key(
            case,
            self.configuration + self.engine_files,
            self.as_of.isoformat(),
            html=self.html,
            fhir=self.fhir,
            known=known,
        )


@dataclass(frozen=True)
class Done:
    """A finished case; resumed: it had been done before and its files are whole."""

    record: CaseRecord
    resumed: bool


def run_case(engines: Callable[[], Analyzer], case: Case, row: int, plan: CasePlan) -> Done:
    """Return the record of a case, taken from the store or made now.

    `engines` is called only when the case has to be analysed. What cannot be read or analysed is a
    record with its reason; it stops nothing.
    """
    store = ResultStore(plan.out)
    try:
        with faults_told():
            refuse_unreadable(case)
            before = _kept(store, case, plan)
            if before is not None:
                return Done(before.model_copy(update={"row": row}), resumed=True)
            report = engines().analyze(case, as_of=plan.as_of, figures=plan.html)
            key = plan.key(case, image_digests(report))
            files = store.write_report(report, html=plan.html, fhir=plan.fhir)
            record = record_of(report, row=row, key=key, files=files)
    except (OutputError, UnexpectedFault) as error:  # not of the case: the next run tries again
        record = failure_of(case, row=row, key="", reason=str(error))
    except ImmunoPathError as error:
        record = _failed(case, row, plan, error)
    store.write_record(record)
    return Done(record, resumed=False)


def _kept(store: ResultStore, case: Case, plan: CasePlan) -> CaseRecord | None:
    """Return the record of a case that is done and whole.

    Its images are hashed only when there is something to compare them with: a new case is read
    once, by intake, and its key is made of what intake saw.
    """
    kept = store.record(case.case_id)
    if kept is None or not kept.key or (kept.status == "failed" and plan.retry_failed):
        return None
    return store.valid(case, plan.key(case))


def _failed(case: Case, row: int, plan: CasePlan, error: ImmunoPathError) -> CaseRecord:
    """Return the record of a failure; an image that cannot be read has no key and is the reason."""
    try:
        return failure_of(case, row=row, key=plan.key(case), reason=str(error))
    except ImmunoPathError as unreadable:
        return failure_of(case, row=row, key="", reason=str(unreadable))
