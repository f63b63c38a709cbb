"""Statements of one case that cannot all be true: rejected with their fields, never resolved.

Only contradictions in terms are listed here. TNM against the stage group is `staging`, results of
one gene are `facts_molecular`, line against history is rule VAL-3.
"""

from collections.abc import Iterator

from immunopath.domain.clinical import ClinicalContext, InputProblem
from immunopath.guidelines.loader import Knowledge

_IN_THE_BRAIN = frozenset(
    {"asymptomatic_untreated", "treated_stable", "symptomatic", "leptomeningeal"}
)
_DISTANT = frozenset({"brain", "liver", "bone", "adrenal"})
_LIGHT_PACK_YEARS = 10
_NOT_METASTATIC = frozenset({"0", "IA1", "IA2", "IA3", "IB", "IIA", "IIB", "IIIA", "IIIB", "IIIC"})


def contradictions(kb: Knowledge, context: ClinicalContext) -> tuple[InputProblem, ...]:
    """Return every contradiction, with the field to correct."""
    parts = (_person, _extent, _treatment, _question)
    found = [problem for part in parts for problem in part(context)]
    return (*found, *_unknown_regimens(kb, context))


def _problem(field: str, code: str, message: str) -> InputProblem:
    return InputProblem(field=field, code=code, message=message)


def _person(context: ClinicalContext) -> Iterator[InputProblem]:
    if context.pregnancy_or_lactation == "yes" and context.sex_at_birth == "male":
        yield _problem("pregnancy", "PREGNANCY_INCONSISTENT", "pregnancy and male sex at birth")
    packs, smoking = context.pack_years, context.smoking_status
    never, light = smoking == "never", smoking == "light"
    if packs is not None and ((never and packs > 0) or (light and packs > _LIGHT_PACK_YEARS)):
        text = f"{packs:g} pack-years and smoking {smoking!r}"
        yield _problem("smoking", "SMOKING_INCONSISTENT", text)
    disease = context.autoimmune
    if disease is not None and not disease.present and (disease.disease or disease.active):
        yield _problem("autoimmune", "AUTOIMMUNE_INCONSISTENT", "a disease that is not present")


def _extent(context: ClinicalContext) -> Iterator[InputProblem]:
    sites = frozenset(context.metastatic_sites or ())
    brain = context.brain_mets in _IN_THE_BRAIN
    if "brain" in sites and context.brain_mets == "none":
        text = "brain among the metastatic sites and brain_mets none"
        yield _problem("brain_mets", "METASTASES_INCONSISTENT", text)
    early = context.m == "M0" or context.stage_group in _NOT_METASTATIC
    progressed = context.progression_after_crt is True
    if early and not progressed and (brain or sites & _DISTANT):
        named = "brain" if brain else sorted(sites & _DISTANT)[0]
        stated = context.m if context.m == "M0" else f"stage {context.stage_group}"
        yield _problem("stage", "METASTASES_INCONSISTENT", f"{named} metastases and {stated}")


def _treatment(context: ClinicalContext) -> Iterator[InputProblem]:
    if context.crt_status == "none" and (
        context.crt_end_date is not None or context.progression_after_crt is True
    ):
        yield _problem("crt_status", "CRT_INCONSISTENT", "an end or progression of no treatment")
    if context.crt_status == "ongoing_concurrent" and context.progression_after_crt is True:
        yield _problem("crt_status", "CRT_INCONSISTENT", "progression after an ongoing treatment")
    ended, diagnosed = context.crt_end_date, context.diagnosed_on
    if ended is not None and diagnosed is not None and ended < diagnosed:
        text = f"chemoradiation ended {ended} before the diagnosis of {diagnosed}"
        yield _problem("crt_end_date", "CRT_INCONSISTENT", text)
    surgery = context.surgery
    if surgery is not None and not surgery.done and (surgery.margin or surgery.on):
        yield _problem("margin", "SURGERY_INCONSISTENT", "a margin or date of no operation")
    io = context.prior_io
    if io is not None and not io.given and (io.agents or io.worst_irae or io.end):
        yield _problem("prior_io", "PRIOR_IO_INCONSISTENT", "details of ICI that was not given")


def _question(context: ClinicalContext) -> Iterator[InputProblem]:
    asked, line = context.question, context.line
    if (asked == "first_line_metastatic" and line is not None and line > 1) or (
        asked == "later_line_metastatic" and line == 1
    ):
        yield _problem("question", "QUESTION_INCONSISTENT", f"{asked} and line {line}")
    if asked == "post_resection" and context.surgery is not None and not context.surgery.done:
        yield _problem("question", "QUESTION_INCONSISTENT", "post_resection and no operation")


def _unknown_regimens(kb: Knowledge, context: ClinicalContext) -> Iterator[InputProblem]:
    """A history in unknown words says nothing of its drugs: read as none, it would open ICI."""
    named = [("prior_therapies", item.regimen) for item in context.prior_therapies or ()]
    named += [("neoadjuvant_given", regimen) for regimen in context.neoadjuvant_given or ()]
    for field, regimen in named:
        if regimen not in kb.regimens:
            yield _problem(field, "REGIMEN_UNKNOWN", f"{regimen!r} is no regimen of the catalogue")
