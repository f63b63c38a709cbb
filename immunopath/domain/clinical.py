"""What a tumour board knows of a patient. Open world: a key that is absent is unknown."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from immunopath.domain.base import Frozen
from immunopath.domain.measured import Measured, SpecimenRef
from immunopath.domain.molecular import GeneResult, Pdl1Result

Sex = Literal["female", "male", "intersex", "unknown"]
Pregnancy = Literal["yes", "no", "not_applicable", "unknown"]
Smoking = Literal["never", "light", "former", "current", "unknown"]
Jurisdiction = Literal["US", "EU", "UK", "JP", "CN", "other"]
Question = Literal[
    "first_line_metastatic",
    "later_line_metastatic",
    "stage_iii_unresectable",
    "resectable_preop",
    "post_resection",
    "triage_only",
]
Histology = Literal[
    "adenocarcinoma", "squamous", "adenosquamous", "large_cell", "nsclc_nos", "sarcomatoid",
    "lcnec", "sclc", "combined_sclc", "carcinoid", "nut", "salivary_type", "mesothelioma",
    "metastasis_other_primary", "unknown",
]  # fmt: skip
HistologyEvidence = Literal[
    "TTF1", "NapsinA", "p40", "CK5/6", "neuroendocrine", "mucin", "morphology_only"
]
StagingSystem = Literal["AJCC7", "AJCC8", "AJCC9"]
TStage = Literal["Tis", "T1mi", "T1a", "T1b", "T1c", "T2a", "T2b", "T3", "T4", "TX"]
NStage = Literal["N0", "N1", "N2", "N2a", "N2b", "N3", "NX"]
MStage = Literal["M0", "M1a", "M1b", "M1c", "M1c1", "M1c2", "MX"]
StageGroup = Literal[
    "0", "IA1", "IA2", "IA3", "IB", "IIA", "IIB", "IIIA", "IIIB", "IIIC", "IVA", "IVB",
    "recurrent_unresectable",
]  # fmt: skip
Resectability = Literal[
    "resectable", "borderline", "unresectable", "medically_inoperable", "unknown"
]
CrtStatus = Literal[
    "none", "ongoing_concurrent", "completed_concurrent", "completed_sequential", "unknown"
]
AdjuvantChemo = Literal["yes", "no", "not_fit", "planned", "unknown"]
BrainMets = Literal[
    "none", "asymptomatic_untreated", "treated_stable", "symptomatic", "leptomeningeal",
    "not_imaged", "unknown",
]  # fmt: skip
MetastaticSite = Literal[
    "brain", "liver", "bone", "adrenal", "pleura", "contralateral_lung", "node", "other"
]
Emergency = Literal[
    "svco", "cord_compression", "massive_haemoptysis", "tamponade", "visceral_crisis",
    "hypercalcaemia",
]  # fmt: skip
EcogCause = Literal["tumour_driven", "comorbidity", "mixed", "unknown"]
Tempo = Literal["routine", "rapid", "crisis", "unknown"]
Transplant = Literal[
    "none", "solid_kidney", "solid_liver", "solid_heart", "solid_lung", "allo_hsct", "unknown"
]
Ild = Literal[
    "none", "ILA_mild", "ild_stable", "ild_active", "radiation_pneumonitis_g1",
    "radiation_pneumonitis_g2plus", "unknown",
]  # fmt: skip
PrednisoneReason = Literal[
    "irAE", "cns_oedema", "dyspnoea", "palliation", "copd", "replacement", "unknown"
]
Percent = Annotated[float, Field(ge=0, le=100)]
Positive = Annotated[float, Field(ge=0)]


class InputProblem(Frozen):
    """One value that could not be taken over; `evaluate` rejects the case and lists them."""

    field: str
    code: str
    message: str


class Surgery(Frozen):
    """An operation that has taken place."""

    done: bool
    on: date | None = None
    margin: Literal["R0", "R1", "R2"] | None = None


class PriorTherapy(Frozen):
    """One earlier systemic therapy, by regimen id of the knowledge base."""

    regimen: str
    start: date | None = None
    end: date | None = None
    reason_stopped: str | None = None


class PriorIo(Frozen):
    """Earlier immune checkpoint inhibition."""

    given: bool
    agents: tuple[str, ...] = ()
    end: date | None = None
    days_since_last_dose: int | None = Field(default=None, ge=0)
    progressed: bool | None = None
    worst_irae: str | None = None
    worst_irae_grade: int | None = Field(default=None, ge=1, le=5)


class Autoimmune(Frozen):
    """Autoimmune disease: present or not, and how."""

    present: bool
    disease: str | None = None
    active: bool | None = None
    life_threatening: bool | None = None
    on_immunosuppressant: bool | None = None


class Infections(Frozen):
    """Infections that change what comes first."""

    active_serious: bool | None = None
    untreated_tb: bool | None = None
    hiv: bool | None = None
    hbv: bool | None = None
    hcv: bool | None = None


class OrganFunction(Frozen):
    """Laboratory values that gate single drugs."""

    crcl_ml_min: Positive | None = None
    ast_alt_x_uln: Positive | None = None
    alp_x_uln: Positive | None = None
    bilirubin_x_uln: Positive | None = None
    anc_per_ul: Positive | None = None
    lvef_pct: Percent | None = None
    qtc_ms: Positive | None = None
    heart_failure: bool | None = None


class BleedingVascular(Frozen):
    """What gates bevacizumab and ramucirumab."""

    haemoptysis: bool | None = None
    recent_surgery_days: int | None = Field(default=None, ge=0)
    arterial_event_6mo: bool | None = None
    uncontrolled_htn: bool | None = None
    cavitation_or_great_vessel: bool | None = None
    gi_perforation_or_fistula: bool | None = None


class ClinicalContext(Frozen):
    """The clinical and measured facts of one case (`guidelines.md` 1.2).

    Everything is optional and unknown unless stated. No field takes a prediction.
    """

    age_years: int | None = Field(default=None, ge=0, le=110)
    sex_at_birth: Sex = "unknown"
    pregnancy_or_lactation: Pregnancy = "unknown"
    smoking_status: Smoking = "unknown"
    pack_years: Positive | None = None
    jurisdiction: Jurisdiction = "US"
    question: Question | None = None
    diagnosed_on: date | None = None
    """Date of the tissue diagnosis; orders the laboratory queue."""
    primary_site: Literal["lung", "other", "uncertain", "unknown"] = "unknown"
    histology: Histology = "unknown"
    histology_evidence: tuple[HistologyEvidence, ...] = ()
    specimen: SpecimenRef | None = None
    staging_system: StagingSystem | None = None
    t: TStage | None = None
    n: NStage | None = None
    m: MStage | None = None
    stage_group: StageGroup | None = None
    tumour_size_cm: float | None = Field(default=None, gt=0, le=40)
    resectability: Resectability = "unknown"
    crt_status: CrtStatus = "unknown"
    crt_end_date: date | None = None
    progression_after_crt: bool | None = None
    surgery: Surgery | None = None
    adjuvant_chemo_done: AdjuvantChemo = "unknown"
    neoadjuvant_given: tuple[str, ...] | None = None
    brain_mets: BrainMets = "unknown"
    metastatic_sites: tuple[MetastaticSite, ...] | None = None
    oligometastatic: bool | None = None
    emergency: tuple[Emergency, ...] = ()
    line: int | None = Field(default=None, ge=1, le=10)
    """The line about to start."""
    prior_therapies: tuple[PriorTherapy, ...] | None = None
    """None: nobody said; empty: none was given."""
    prior_io: PriorIo | None = None
    ecog: int | None = Field(default=None, ge=0, le=4)
    ecog_cause: EcogCause = "unknown"
    weight_kg: float | None = Field(default=None, ge=25, le=300)
    height_cm: float | None = Field(default=None, ge=100, le=230)
    tumour_tempo: Tempo = "unknown"
    transplant: Transplant = "unknown"
    autoimmune: Autoimmune | None = None
    ild_or_fibrosis: Ild = "unknown"
    idiopathic_pulmonary_fibrosis: bool | None = None
    prednisone_equiv_mg_day: float | None = Field(default=None, ge=0, le=1000)
    prednisone_reason: PrednisoneReason = "unknown"
    infections: Infections = Infections()
    organ_function: OrganFunction = OrganFunction()
    bleeding_vascular: BleedingVascular = BleedingVascular()
    neuropathy_grade: int | None = Field(default=None, ge=0, le=4)
    hearing_loss: bool | None = None
    allergies: tuple[str, ...] = ()
    concomitant_drugs: tuple[str, ...] = ()
    pdl1: tuple[Pdl1Result, ...] = ()
    """All PD-L1 results; which one counts is rule PDL-12."""
    msi: Measured[Literal["MSI-H", "MSS"]] = Measured[Literal["MSI-H", "MSS"]]()
    mmr: Measured[Literal["pMMR", "dMMR"]] = Measured[Literal["pMMR", "dMMR"]]()
    tmb: Measured[Positive] = Measured[Positive]()
    """Mutations per megabase."""
    genes: tuple[GeneResult, ...] = ()
    """All gene results; several of one gene are allowed (rule VAL-4)."""
    her2_ihc: Measured[Annotated[int, Field(ge=0, le=3)]] = Measured[
        Annotated[int, Field(ge=0, le=3)]
    ]()
    met_ihc_3plus_pct: Measured[Percent] = Measured[Percent]()
    problems: tuple[InputProblem, ...] = ()
    """What could not be read; any entry makes `evaluate` reject the case."""

    @model_validator(mode="before")
    @classmethod
    def _no_prediction(cls, data: object) -> object:
        if isinstance(data, dict):
            taken = sorted(str(k) for k in data if str(k).startswith("pred_") or k == "pred")
            if taken:
                raise ValueError(f"predictions are no clinical facts: {', '.join(taken)}")
        return data
