"""Guidance samples from the real domain types: one that tests first, one with options."""

from datetime import date

from immunopath.domain.drug import DrugFact, DrugId, DrugProfile
from immunopath.domain.guidance import (
    BayesRow,
    Category,
    ConditionalBranch,
    FiredRule,
    Flag,
    Guidance,
    Option,
    ReferenceRow,
    TestRequest,
    Triage,
    WhatWouldChange,
)
from immunopath.domain.report import RESEARCH_USE

AS_OF = date(2026, 7, 1)
KNOWLEDGE = "2026.06+0123456789ab"

REFERENCES = (
    ReferenceRow(
        key="K189",
        text="Gandhi L, et al. Pembrolizumab plus chemotherapy in metastatic NSCLC. NEJM 2018",
        ident="PMID 29658856",
        grade="M",
    ),
    ReferenceRow(
        key="ASCO-2026.3",
        text="ASCO living guideline, stage IV NSCLC without driver alterations, 2026.3.0",
        ident="doi 10.1200/JCO-25-02825",
        grade="V",
    ),
)
BAYES = (
    BayesRow(
        target="MSI-H in NSCLC",
        prevalence=0.007,
        sensitivity=0.8,
        specificity=0.95,
        ppv=0.1,
        npv=0.998,
    ),
    BayesRow(
        target="TPS >= 50 from H&E",
        prevalence=0.3,
        sensitivity=0.7,
        specificity=0.7,
        ppv=0.5,
        npv=0.84,
    ),
)


def option(rank: int, regimen_id: str, name: str, *drugs: str) -> Option:
    """Return an option whose text is taken from the regimen catalogue's style."""
    return Option(
        rank=rank,
        regimen_id=regimen_id,
        name=name,
        components=(drugs[:1], *((drug,) for drug in drugs[1:])),
        drugs=drugs,
        reason="non-squamous, drivers negative, TPS 1-49 %",
        strength="A1",
        rule_ids=("NSQ-L",),
        evidence=("K189",),
        regulatory="FDA-R",
        label="first line, non-squamous, no EGFR/ALK alteration, any PD-L1",
        schedule="every 3 weeks, four cycles, then maintenance",
        headline="KEYNOTE-189: OS HR 0.49 (initial), 5-year HR 0.60",
        grade="M",
        counter_indications_checked=("CX-1 transplant", "CX-2 autoimmune"),
        unknowns=("creatinine clearance", "ILD"),
        notes=("dose text is reference material, not an order",),
    )


MONO = option(1, "RX-PEMBRO", "Pembrolizumab", "pembrolizumab")
COMBINATION = option(
    1,
    "RX-PEMBRO-PEM-PLAT",
    "Pembrolizumab + pemetrexed + platinum",
    "pembrolizumab",
    "pemetrexed",
    "carboplatin",
)
SECOND = option(
    2, "RX-CEMI-CHEMO", "Cemiplimab + platinum doublet", "cemiplimab", "pemetrexed", "cisplatin"
)

TESTS = (
    TestRequest(
        code="PDL1_IHC",
        name="PD-L1 IHC (22C3 or SP263)",
        level="T1",
        turnaround="2-3 days",
        reason="decides between single agent and combination",
        rule_ids=("G-2",),
    ),
    TestRequest(
        code="NGS_DNA_RNA",
        name="NGS panel, DNA and RNA, tissue",
        level="T1",
        turnaround="10-14 days",
        reason="an actionable driver would change the line of treatment now",
        rule_ids=("G-2", "P-2"),
    ),
    TestRequest(
        code="HISTOLOGY_IHC",
        name="TTF-1 and p40",
        level="T0",
        turnaround="1-3 days",
        reason="histology is unknown",
        rule_ids=("SC-4",),
    ),
)
TREE = ConditionalBranch(
    question="Which result does the driver panel give?",
    condition="all gate genes negative",
    note="then PD-L1 decides",
    branches=(
        ConditionalBranch(
            question="What is the PD-L1 TPS?",
            condition="TPS >= 50 %",
            category=Category.ICI_MONO_OPTIONS,
            options=(MONO, COMBINATION),
        ),
        ConditionalBranch(
            question="What is the PD-L1 TPS?",
            condition="TPS 1-49 %",
            category=Category.ICI_CHEMO_OPTIONS,
            options=(COMBINATION, SECOND),
        ),
    ),
)
DRIVER = ConditionalBranch(
    question="Which result does the driver panel give?",
    condition="EGFR ex19del or L858R",
    category=Category.DRIVER_DIRECTED,
    note="targeted options, immunotherapy alone is not listed",
)
FIRED = (
    FiredRule(
        rule_id="SC-4",
        table="2.2",
        section="scope",
        summary="Histology unknown: morphology with p40 and TTF-1 first",
        strength="C",
        references=(),
        grade="M",
    ),
    FiredRule(
        rule_id="G-2",
        table="2.4",
        section="completeness gate",
        summary="Non-squamous and a gate gene not adequately measured: test first",
        strength="ASCO-S",
        references=("ASCO-2026.3", "K189"),
        grade="V",
    ),
)
CHANGE = (
    WhatWouldChange(
        question="EGFR",
        if_result="ex19del or L858R",
        category=Category.DRIVER_DIRECTED,
        opens=("RX-OSI", "RX-AMI-LAZ"),
        closes=("RX-PEMBRO-PEM-PLAT",),
    ),
)


def test_first() -> Guidance:
    """H&E alone: nothing measured, so tests come first and the rest is conditional."""
    return Guidance(
        category=Category.TEST_FIRST,
        headline="Histology, stage, drivers and PD-L1 are unknown: testing comes before options.",
        conditional=(TREE, DRIVER),
        tests=TESTS,
        flags=(
            Flag(
                code="DRIVER_UNKNOWN",
                meaning="no adequate driver result",
                severity="stop",
                rule_id="G-2",
            ),
            Flag(
                code="PRED_NOT_INFORMATIVE",
                meaning="predictions take no part in triage",
                severity="info",
                rule_id="TG-1",
            ),
        ),
        fired=FIRED,
        what_would_change=CHANGE,
        missing=("histology", "stage", "EGFR", "ALK", "ROS1", "PD-L1 TPS"),
        triage=Triage(level="T1", reasons=("a gate gene is missing", "case order by id")),
        appendix=("Inflamed fields are common in every TPS stratum.",),
        bayes=BAYES,
        references=REFERENCES,
        knowledge_version=KNOWLEDGE,
        knowledge_date=date(2026, 6, 1),
        as_of=AS_OF,
        research_use=RESEARCH_USE,
    )


def with_options() -> Guidance:
    """Complete clinical facts: driver-negative, TPS 30 %."""
    return test_first().model_copy(
        update={
            "category": Category.ICI_CHEMO_OPTIONS,
            "headline": "Driver-negative, TPS 30 %: combinations lead the listed options.",
            "options": (COMBINATION, SECOND),
            "conditional": (),
            "tests": (TESTS[0].model_copy(update={"done": True}), TESTS[1]),
            "missing": ("creatinine clearance",),
            "triage": Triage(level=None, reasons=()),
        }
    )


def drug() -> DrugProfile:
    """One curated drug with graded facts."""
    return DrugProfile(
        drug_id="pembrolizumab",
        name="pembrolizumab",
        drug_class="PD-1 inhibitor",
        classes=("PD1", "ICI"),
        modality="mab",
        facts=(
            DrugFact(topic="mechanism", text="blocks PD-1", source="label", grade="V"),
            DrugFact(
                topic="toxicity",
                text="immune-mediated pneumonitis, colitis, hepatitis, endocrinopathy",
                source="label",
                grade="M",
            ),
        ),
        ids=(
            DrugId(system="atc", value="L01FF02", status="matched"),
            DrugId(system="drugbank", value=None, status="absent"),
        ),
        us_status="nsclc_label",
        txgemma_applicable=False,
        label_asof=date(2026, 6, 1),
        curated_by="ImmunoPath curators",
        knowledge_version=KNOWLEDGE,
    )
