"""The report's block on how the slides of a case were sampled."""

from immunopath.domain.finding import Adjudication
from immunopath.domain.prediction import PredictorResult
from immunopath.domain.quality import IntakeResult
from immunopath.domain.sampling import SamplingBudget, SamplingReport
from immunopath.guidelines.phenotype_shares import phenotype_shares


def sampling_report(
    intake: IntakeResult,
    judged: Adjudication | None,
    predicted: PredictorResult | None,
    budget: SamplingBudget,
) -> SamplingReport | None:
    """Return the block, or None for a case without a slide that was read by regions."""
    log = intake.sampling
    if log is None:
        return None
    step = judged.sampling if judged else None
    calls = predicted.images if predicted and judged and judged.estimates else ()
    shares, notes = phenotype_shares(intake, calls)
    return SamplingReport(
        rounds=log.rounds,
        slides=log.slides,
        budget=budget,
        stop=(step.stop if step else None) or "no_estimate",
        stop_reason=step.reason if step else "the slides were not judged",
        estimates=judged.estimates if judged else (),
        phenotypes=shares,
        notes=notes,
    )
