"""Plain words for the facts of the condition language that are true or false.

A fact without an entry is shown by its name with spaces, so a new fact is never left out.
"""

from collections.abc import Mapping

YES_NO: Mapping[str, tuple[str, str]] = {
    "acid_suppressant": ("an acid suppressant is taken", "no acid suppressant is taken"),
    "actionable": (
        "a measured actionable driver is present",
        "every actionable driver is measured and absent",
    ),
    "active_infection": ("active serious infection", "no active serious infection"),
    "adjuvant_size_or_node": (
        "tumour >= 4 cm or nodes positive",
        "tumour below 4 cm and nodes negative",
    ),
    "advanced": ("stage IV, unresectable recurrence or progression after CRT", "not stage IV"),
    "ajcc7_adjuvant": ("stage IB-IIIA by AJCC 7", "outside stage IB-IIIA by AJCC 7"),
    "ajcc7_adjuvant_ii_iiia": ("stage II-IIIA by AJCC 7", "outside stage II-IIIA by AJCC 7"),
    "bleeding_barrier": (
        "a bleeding, vascular or wound barrier is stated",
        "no bleeding, vascular or wound barrier",
    ),
    "childbearing_unknown": (
        "pregnancy not stated at childbearing age",
        "pregnancy stated or no childbearing age",
    ),
    "consolidation_clear": (
        "no progression, EGFR and ALK negative (or squamous with low suspicion), no other driver, "
        "ECOG 0-1 or not stated, no pneumonitis of grade 2 or more",
        "a condition of consolidation is not met",
    ),
    "consolidation_gate_blocks": (
        "EGFR or ALK unknown, and not squamous with low suspicion of a driver",
        "EGFR and ALK known, or squamous with low suspicion of a driver",
    ),
    "consolidation_other_driver": (
        "ALK, ROS1, RET, NTRK or an EGFR mutation other than ex19del and L858R alone",
        "no other driver",
    ),
    "crt_done": ("chemoradiation completed", "chemoradiation not completed"),
    "ctdna_uninformative": (
        "ctDNA negative without tumour DNA shown",
        "no ctDNA negative without tumour DNA shown",
    ),
    "cyp3a4_inducer": ("a strong CYP3A4 inducer is taken", "no strong CYP3A4 inducer is taken"),
    "docetaxel_barrier": (
        "bilirubin above normal, neutrophils below 1500 per mm3, or transaminases > 1.5x with ALP "
        "> 2.5x",
        "no liver or neutrophil limit of docetaxel",
    ),
    "dual_driver": ("two truncal drivers are measured together", "at most one truncal driver"),
    "ecog_le_1": ("ECOG 0-1", "ECOG 2 or worse"),
    "edition_note": ("staged by AJCC 8 or 9", "not staged by AJCC 8 or 9"),
    "egfr_alk_known": (
        "EGFR or ALK positive, or both negative",
        "EGFR or ALK not adequately measured",
    ),
    "egfr_alk_negative": (
        "EGFR and ALK both measured negative",
        "EGFR and ALK not both measured negative",
    ),
    "emergency": ("an emergency is stated", "no emergency stated"),
    "fusion_dna_only": (
        "a gate fusion was excluded by DNA sequencing only",
        "no gate fusion was excluded by DNA sequencing only",
    ),
    "gate_blocks": (
        "a gate gene is not adequately measured, and the histology is non-squamous or the "
        "suspicion of a driver is not low",
        "the driver gate does not block",
    ),
    "gate_complete": (
        "every gate gene is adequately measured",
        "a gate gene is not adequately measured",
    ),
    "gene_KRAS_mutated": ("a KRAS mutation is measured", "KRAS measured wild-type"),
    "gene_conflict_ctdna": (
        "tissue and ctDNA contradict each other",
        "tissue and ctDNA do not contradict each other",
    ),
    "gene_conflict_tissue": (
        "two tissue results contradict each other",
        "tissue results do not contradict each other",
    ),
    "hearing_loss": ("hearing loss", "no hearing loss"),
    "heart_failure": ("heart failure", "no heart failure"),
    "histology_ihc": ("lineage IHC stated", "no lineage IHC stated"),
    "ici_driver_clear": (
        "drivers do not stand against ICI (gate complete and negative, or squamous with low "
        "suspicion)",
        "drivers are not excluded",
    ),
    "ici_recent_or_undated": (
        "ICI within 92 days, or earlier ICI without a date",
        "no ICI within 92 days",
    ),
    "inadequate_negatives": (
        "a negative comes from an assay that does not cover the alteration",
        "no negative from an assay that does not cover the alteration",
    ),
    "input_problem": ("a value is invalid", "no value is invalid"),
    "ipf": ("idiopathic pulmonary fibrosis", "no idiopathic pulmonary fibrosis"),
    "irae_caution": ("earlier immune-related event, not a severe one", "no such earlier event"),
    "irae_permanent": (
        "earlier severe immune-related event (myocarditis or SJS/TEN of any grade, pneumonitis or "
        "neurological of grade 3-4 or unstated grade, other of grade 4)",
        "no earlier severe immune-related event",
    ),
    "irae_pneumonitis": (
        "earlier immune-related pneumonitis",
        "no earlier immune-related pneumonitis",
    ),
    "mixed": ("histology adenosquamous or NSCLC NOS", "histology not mixed"),
    "mixed_flag": (
        "histology adenosquamous, NSCLC NOS, large-cell or sarcomatoid",
        "histology neither mixed nor rare",
    ),
    "msi_conflict": ("MSI and MMR results contradict each other", "MSI and MMR results agree"),
    "msi_high": ("MSI-H or dMMR measured", "MSI-H and dMMR measured absent"),
    "msi_known": ("MSI or MMR measured", "neither MSI nor MMR measured"),
    "neoadjuvant_ici": ("ICI was given before surgery", "no ICI before surgery"),
    "oligometastatic": ("oligometastatic by MDT", "not oligometastatic"),
    "operated": ("operated", "not operated"),
    "outstanding_gate": (
        "a laboratory test that gates is outstanding",
        "no laboratory test that gates is outstanding",
    ),
    "p_before_therapy": (
        "PD-L1 specimen taken before an intervening therapy",
        "PD-L1 specimen not before an intervening therapy",
    ),
    "p_decalcified": ("PD-L1 specimen decalcified", "PD-L1 specimen not decalcified"),
    "p_fraction": ("TPS stated between 0 and 1", "TPS not between 0 and 1"),
    "p_heterogeneous": ("PD-L1 results of different strata", "PD-L1 results of one stratum"),
    "p_readable": ("TPS readable as a number or an interval", "TPS not readable"),
    "perioperative_eligible": (
        "stage II-IIIB, or IB with a tumour >= 4 cm, not N3",
        "neither stage II-IIIB nor IB with a tumour >= 4 cm, or N3",
    ),
    "pred_cd274_informative": ("its prediction passed the trust gate", "trust gate closed"),
    "pred_msi_informative": ("its prediction passed the trust gate", "trust gate closed"),
    "pred_phenotype_informative": ("its prediction passed the trust gate", "trust gate closed"),
    "pred_tme_informative": ("its prediction passed the trust gate", "trust gate closed"),
    "prediction_in_measured_slot": (
        "a prediction stands in the place of a measurement",
        "no prediction stands in the place of a measurement",
    ),
    "prior_alk_tki": ("ALK TKI given before", "no ALK TKI before"),
    "prior_any": ("systemic therapy given before", "no systemic therapy before"),
    "prior_braf_tki": ("BRAF inhibitor given before", "no BRAF inhibitor before"),
    "prior_egfr_tki": ("EGFR TKI given before", "no EGFR TKI before"),
    "prior_ici": ("ICI given before", "no ICI before"),
    "prior_kras_tki": ("KRAS inhibitor given before", "no KRAS inhibitor before"),
    "prior_met_tki": ("MET TKI given before", "no MET TKI before"),
    "prior_metastatic": (
        "therapy for metastatic disease given before",
        "no therapy for metastatic disease before",
    ),
    "prior_none": ("the list of earlier therapies is empty", "earlier therapies are listed"),
    "prior_platinum": ("platinum given before", "no platinum before"),
    "prior_ret_tki": ("RET inhibitor given before", "no RET inhibitor before"),
    "prior_targeted": ("a targeted drug given before", "no targeted drug before"),
    "prior_trk_tki": ("TRK inhibitor given before", "no TRK inhibitor before"),
    "progression_after_crt": ("progression after CRT", "no progression after CRT"),
    "qt_prolonging": ("a QT-prolonging drug is taken", "no QT-prolonging drug is taken"),
    "rna_preferred_dna_only": (
        "RET, NTRK or MET exon 14 was excluded by DNA sequencing only",
        "none of RET, NTRK and MET exon 14 was excluded by DNA sequencing only",
    ),
    "ros1_ihc_unconfirmed": ("ROS1 positive by IHC only", "ROS1 not positive by IHC only"),
    "scant": ("the specimen is scant", "the specimen is not scant"),
    "smarca4_deficient": ("SMARCA4 deficient", "SMARCA4 not deficient"),
    "stage_inconsistent": (
        "T, N, M and stage group disagree for the stated edition",
        "T, N, M and stage group agree",
    ),
    "stk11_keap1": ("STK11 or KEAP1 pathogenic", "neither STK11 nor KEAP1 pathogenic"),
    "suspicion_low": (
        "suspicion of a driver low (former or current smoker, aged 50 or more, no small biopsy "
        "without p40)",
        "suspicion of a driver not low (never or light smoker, smoking or age not stated, below "
        "50, or small biopsy without p40)",
    ),
    "targeted_listed": ("a targeted option is listed", "no targeted option is listed"),
    "tmb_labelled": ("TMB by the labelled tissue test", "TMB not by the labelled tissue test"),
    "tps_known": ("PD-L1 TPS known", "PD-L1 TPS not known"),
    "viral_infection": ("HIV, HBV or HCV", "no HIV, HBV or HCV"),
}
"""Facts that are true or false, with the words for both."""
