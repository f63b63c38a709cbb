"""Every rule of the knowledge fires at least once."""

from datetime import date

from guideline_support import AS_OF, HERE

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.measured import Measured, SpecimenRef, State
from immunopath.domain.molecular import Gene, GeneResult, Pdl1Result
from immunopath.guidelines.check import load_vignettes, run_inputs
from immunopath.guidelines.engine import evaluate
from immunopath.guidelines.loader import Knowledge


def egfr(value: str, method: str) -> GeneResult:
    measured = Measured[str](state=State.measured, value=value)
    return GeneResult.model_validate(
        {"gene": Gene.EGFR, "result": measured, "method": method, "shedding_detected": True}
    )


def tps(value: float, day: date) -> Pdl1Result:
    specimen = SpecimenRef(collected=day)
    return Pdl1Result(
        tps=Measured[float | str](state=State.measured, value=value, specimen=specimen)
    )


def beyond_the_vocabulary() -> list[ClinicalContext]:
    adeno = {"histology": "adenocarcinoma", "stage_group": "IVB"}
    return [
        ClinicalContext(histology="adenocarcinoma"),
        ClinicalContext.model_validate(adeno),
        ClinicalContext.model_validate(adeno | {"line": 2}),
        ClinicalContext.model_validate(adeno | {"stage_group": "IIB"}),
        ClinicalContext.model_validate(
            adeno | {"genes": (egfr("L858R", "PCR"), egfr("negative", "NGS_DNA"))}
        ),
        ClinicalContext.model_validate(
            adeno | {"line": 1, "genes": (egfr("L858R", "PCR"), egfr("negative", "CTDNA_NGS"))}
        ),
        ClinicalContext.model_validate(
            adeno | {"pdl1": (tps(80, date(2026, 1, 1)), tps(0, date(2026, 2, 1)))}
        ),
    ]


def test_every_rule_fires(kb: Knowledge) -> None:
    fired: set[str] = set()
    for name in ("vignettes.yaml", "vignettes_own.yaml"):
        for vignette in load_vignettes(HERE / name):
            fired |= set(run_inputs(vignette.inputs, as_of=AS_OF).rule_ids())
    for context in beyond_the_vocabulary():
        fired |= set(evaluate(context, as_of=AS_OF).rule_ids())
    every = {
        rule.spec.id
        for table in kb.tables.values()
        for rule in table.rules
        if table.name != "triage"  # its rules show in Triage.reasons; see test_triage
    }
    assert every - fired == set()
