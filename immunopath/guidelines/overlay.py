"""The predicted overlay (`guidelines.md` 3.1): tests, flags and appendix lines, nothing else."""

from collections.abc import Mapping

from pydantic import Field

from immunopath.domain.base import Frozen
from immunopath.domain.guidance import (
    BayesRow,
    Category,
    FiredRule,
    Flag,
    Guidance,
    TestRequest,
    Triage,
)
from immunopath.domain.prediction import BiomarkerProfile
from immunopath.guidelines.loader import Knowledge, load_knowledge
from immunopath.guidelines.predicates import Value
from immunopath.guidelines.tables import Hit, run_table
from immunopath.guidelines.triage import tie_breakers

_NO_QUEUE = frozenset({Category.REJECT_INVALID_INPUT, Category.REFUSE_OUT_OF_SCOPE})


class PredictedFacts(Frozen):
    """What the image engines say, and whether the trust gate (3.2) passed, field by field."""

    cd274: str | None = None
    msi: str | None = None
    tme: str | None = None
    phenotype: str | None = None
    til_fraction: float | None = Field(default=None, ge=0, le=1)
    til_density: str | None = None
    cd8: str | None = None
    immune_score: float | None = Field(default=None, ge=0, le=1)
    informative: frozenset[str] = frozenset()
    """Names of the eight fields whose gate passed."""
    reasons: dict[str, str] = Field(default_factory=dict)
    """Why a field is not informative."""


def predicted_facts(
    profile: BiomarkerProfile, gates: Mapping[str, tuple[bool, str]]
) -> PredictedFacts:
    """Return the overlay's input from a profile and the trust gate's verdicts by field name."""
    return PredictedFacts(
        cd274=profile.cd274_expression.value,
        msi=profile.msi_status.value,
        tme=profile.tme_subtype.value,
        phenotype=profile.immune_phenotype.value,
        til_fraction=profile.til_fraction.value,
        til_density=profile.til_density.value,
        cd8=profile.cd8_infiltration.value,
        immune_score=profile.immune_score.value,
        informative=frozenset(name for name, (passed, _) in gates.items() if passed),
        reasons={name: why for name, (passed, why) in gates.items() if not passed},
    )


def overlay(
    guidance: Guidance, predicted: PredictedFacts, *, knowledge: Knowledge | None = None
) -> Guidance:
    """Return the guidance with what predictions may add.

    Category, options, conditional branches and triage level are those of `guidance`, unchanged.
    """
    kb = knowledge or load_knowledge()
    if guidance.category in _NO_QUEUE:
        return guidance.model_copy(update={"appendix": _appendix(predicted), "bayes": _bayes(kb)})
    facts = _facts(guidance, predicted)
    hits = run_table(kb.tables["predicted"], facts)
    keys = [key for hit in hits for key in hit.rule.spec.references]
    shown = {row.key for row in guidance.references}
    tests = _tests(kb, guidance, hits)
    return guidance.model_copy(
        update={
            "tests": tests,
            "flags": (*guidance.flags, *_flags(kb, guidance, hits)),
            "fired": (*guidance.fired, *_fired(hits)),
            "appendix": _appendix(predicted),
            "bayes": _bayes(kb),
            "triage": _basis(guidance.triage, predicted, tests),
            "references": (
                *guidance.references,
                *(kb.references[k] for k in dict.fromkeys(keys) if k not in shown),
            ),
        }
    )


def _facts(guidance: Guidance, predicted: PredictedFacts) -> dict[str, Value]:
    stratum = guidance.measured.get("tps_stratum")
    known = stratum in {"neg", "low", "high"}
    return {
        "pred_cd274": predicted.cd274,
        "pred_cd274_informative": "cd274_expression" in predicted.informative,
        "pred_msi": predicted.msi,
        "pred_msi_informative": "msi_status" in predicted.informative,
        "pred_tme": predicted.tme,
        "pred_tme_informative": "tme_subtype" in predicted.informative,
        "pred_phenotype": predicted.phenotype,
        "pred_phenotype_informative": "immune_phenotype" in predicted.informative,
        "tps_stratum": stratum if known else None,
        "tps_known": known,
        "msi": guidance.measured.get("msi"),
        "msi_high": _as_bool(guidance.measured.get("msi_high")),
        "msi_known": "msi" in guidance.measured or "mmr" in guidance.measured,
        "driver_EGFR_ANY": _as_bool(guidance.measured.get("driver_EGFR_ANY")),
        "driver_ALK": _as_bool(guidance.measured.get("driver_ALK")),
        "cellularity": _as_number(guidance.measured.get("cellularity")),
        "gate_complete": not any(name.startswith("gene_") for name in guidance.missing),
    }


def _as_bool(value: str | None) -> bool | None:
    return None if value is None else value == "true"


def _as_number(value: str | None) -> float | None:
    return None if value is None else float(value)


def _tests(kb: Knowledge, guidance: Guidance, hits: tuple[Hit, ...]) -> tuple[TestRequest, ...]:
    """Add tests, and move `advance` tests to the front of their own level."""
    tests = list(guidance.tests)
    first: set[str] = set()
    for hit in hits:
        spec = hit.rule.spec
        for then in hit.thens:
            first.update(then.advance)
            for code in then.tests:
                if code not in {test.code for test in tests}:
                    info = kb.tests[code]
                    tests.append(
                        TestRequest(
                            code=code,
                            name=info.name,
                            level=info.level,
                            turnaround=info.turnaround,
                            reason=f"prediction only: {spec.summary}",
                            rule_ids=(spec.id,),
                        )
                    )
    return tuple(sorted(tests, key=lambda test: (test.level, test.code not in first)))


def _flags(kb: Knowledge, guidance: Guidance, hits: tuple[Hit, ...]) -> tuple[Flag, ...]:
    shown = guidance.flag_codes()
    found: dict[str, Flag] = {}
    for hit in hits:
        for then in hit.thens:
            for code in then.flags:
                if code not in shown:
                    info = kb.flags[code]
                    found.setdefault(
                        code,
                        Flag(
                            code=code,
                            meaning=info.meaning,
                            severity=info.severity,
                            rule_id=hit.rule.spec.id,
                        ),
                    )
    return tuple(found.values())


def _fired(hits: tuple[Hit, ...]) -> tuple[FiredRule, ...]:
    return tuple(hit.fired() for hit in hits)


def _appendix(predicted: PredictedFacts) -> tuple[str, ...]:
    lines: list[str] = []
    for name, value in (
        ("cd274_expression", predicted.cd274),
        ("msi_status", predicted.msi),
        ("tme_subtype", predicted.tme),
        ("immune_phenotype", predicted.phenotype),
        ("til_fraction", predicted.til_fraction),
        ("til_density", predicted.til_density),
        ("cd8_infiltration", predicted.cd8),
        ("immune_score", predicted.immune_score),
    ):
        if value is None:
            continue
        if name in predicted.informative:
            lines.append(f"{name}: {value} (prediction, passed the trust gate; no test result)")
        else:
            why = predicted.reasons.get(name, "trust gate closed")
            lines.append(f"{name}: {value} (prediction, not informative: {why})")
    return tuple(lines)


def _bayes(kb: Knowledge) -> tuple[BayesRow, ...]:
    return tuple(spec.row() for spec in kb.trust.bayes)


def _basis(triage: Triage, predicted: PredictedFacts, tests: tuple[TestRequest, ...]) -> Triage:
    if triage.level is None or not tie_breakers(predicted.informative, [t.code for t in tests]):
        return triage
    return triage.model_copy(update={"basis": "clinical_facts_then_informative_prediction"})
