"""The axes of the exhaustive grids of MP-11 (`guidelines.md` 6.3): labels and the facts they set.

A cell states everything that the tables of its route read, so that no answer of a cell is owed
to a missing value, except where an axis has a value for "nobody said".
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

Changes = Mapping[str, Any]
Axis = Mapping[str, Changes]


def _axis(values: dict[str, dict[str, Any]]) -> Axis:
    return MappingProxyType(values)


def _gene(name: str, alteration: str) -> dict[str, Any]:
    return {f"gene_{name}": frozenset({alteration})}


STATED: Changes = MappingProxyType(
    {
        "histology": "adenocarcinoma", "primary_site": "lung", "stage": "IVB", "line": 1,
        "age": 65, "pregnancy": "no", "smoking": "former", "ecog": 1, "ecog_cause": "tumour_driven",
        "tempo": "routine", "brain_mets": "none", "metastatic_sites": frozenset({"bone"}),
        "transplant": "none", "autoimmune": "none", "ild": "none", "ipf": False, "prednisone": 0.0,
        "active_infection": False, "viral_infection": False, "bleeding_barrier": False,
        "crcl": 90.0, "docetaxel_barrier": False, "lvef": 60.0, "qtc": 420.0,
        "heart_failure": False, "neuropathy": 0, "hearing_loss": False, "cyp3a4_inducer": False,
        "msi": "MSS", "mmr": "pMMR", "msi_known": True, "msi_high": False, "tmb": 4.0,
        "tmb_labelled": True, "her2_ihc": 0, "met_ihc_3plus": 0.0, "tps_stratum": "high",
        "tps_status": "measured", "oligometastatic": False,
    }
)  # fmt: skip
"""Facts that every cell starts from; genes and history are added by the grid."""

HISTOLOGY = _axis(
    {"nonsquamous": {"histology": "adenocarcinoma"}, "squamous": {"histology": "squamous"}}
)
TPS = _axis(
    {
        "neg": {"tps_stratum": "neg"},
        "low": {"tps_stratum": "low"},
        "high": {"tps_stratum": "high"},
        "unobtainable": {"tps_stratum": None, "tps_status": "failed"},
    }
)
DRIVER = _axis(
    {
        "negative": {},
        "unknown": {"all_gate": None},
        "DR-1": _gene("EGFR", "L858R"),
        "DR-2": _gene("EGFR", "ex20ins"),
        "DR-3": _gene("EGFR", "L861Q"),
        "DR-4": _gene("EGFR", "other"),
        "DR-5": _gene("ALK", "fusion"),
        "DR-6": _gene("ROS1", "fusion"),
        "DR-7": _gene("BRAF", "V600E"),
        "DR-8": _gene("MET", "ex14"),
        "DR-9": _gene("RET", "fusion"),
        "DR-10": _gene("NTRK1", "fusion"),
        "DR-11": _gene("ERBB2", "TKD_mutation"),
        "DR-12": _gene("KRAS", "G12C"),
        "DR-13": _gene("NRG1", "fusion"),
        "DR-14": {"met_ihc_3plus": 60.0},
        "DR-15": _gene("MET", "amplification"),
        "DR-16": {"her2_ihc": 3},
        "DR-17": _gene("KRAS", "G12D"),
    }
)
"""Driver-negative, panel not done, and one state for each row of 2.5."""
ECOG = _axis({str(value): {"ecog": value} for value in range(5)})
_EARLIER_ICI = {"prior_ici": True, "prior_none": False, "prior_any": True, "last_ici_days": 400}
BARRIER = _axis(
    {
        "none": {},
        "CI-1": {"transplant": "solid_heart"},
        "CI-2": {"transplant": "solid_kidney"},
        "CI-3": {"transplant": "allo_hsct"},
        "CI-4": {**_EARLIER_ICI, "irae": "myocarditis", "irae_permanent": True},
        "CI-5": {**_EARLIER_ICI, "irae": "thyroiditis", "irae_caution": True},
        "CI-6": {"autoimmune": "life_threatening"},
        "CI-7": {"autoimmune": "active"},
        "CI-8": {"autoimmune": "inactive"},
        "CI-9": {"ild": "ild_active"},
        "CI-10": {"prednisone": 20.0},
        "CI-11": {"pregnancy": "yes"},
        "CI-12": {"active_infection": True},
        "CI-13": {"viral_infection": True},
        "CI-14": {"bleeding_barrier": True},
        "CI-15": {"crcl": 40.0},
        "CI-16": {"hearing_loss": True},
        "CI-17": {"neuropathy": 2},
        "CI-18": {"docetaxel_barrier": True},
        "CI-19": {"lvef": 45.0},
        "CI-20": {"qtc": 510.0},
        "CI-21": {"brain_mets": "symptomatic"},
        "CI-22": {"cyp3a4_inducer": True},
        "CI-23": {**_EARLIER_ICI, "last_ici_days": 60},
    }
)
HISTORY = _axis(
    {
        "unstated": {"regimens": None},
        "platinum": {"regimens": ("RX-PLAT-TAX",)},
        "ici": {"regimens": ("RX-PEMBRO",)},
        "platinum+ici": {"regimens": ("RX-PEMBRO-TAX-CARBO",)},
        "osimertinib": {"regimens": ("RX-OSI",)},
        "osimertinib+platinum": {"regimens": ("RX-OSI", "RX-PLAT-PEM")},
    }
)
"""Earlier therapies; ``regimens`` is turned into facts by the reader that reads real cases."""
CRT = _axis(
    {
        str(status): {"crt_status": status}
        for status in (None, "none", "ongoing_concurrent", "completed_concurrent",
                       "completed_sequential")
    }
)  # fmt: skip
PROGRESSION = _axis({str(value): {"progression_after_crt": value} for value in (None, False, True)})
LUNG = _axis(
    {
        str(status): {"ild": status}
        for status in (None, "none", "radiation_pneumonitis_g1", "radiation_pneumonitis_g2plus",
                       "ild_active")
    }
)  # fmt: skip
EARLY_STAGE = _axis(
    {
        "IB, 3.5 cm": {"stage": "IB", "n": "N0", "tumour_size": 3.5},
        "IB, 4 cm": {"stage": "IB", "n": "N0", "tumour_size": 4.0},
        "IB, size unknown": {"stage": "IB", "n": "N0", "tumour_size": None},
        "IIB": {"stage": "IIB", "n": "N1", "tumour_size": 4.5},
        "IIIA": {"stage": "IIIA", "n": "N2", "tumour_size": 4.5},
        "IIIB": {"stage": "IIIB", "t": "T3", "n": "N2", "tumour_size": 6.0},
    }
)
RESECTABLE = _axis({value: {"resectability": value} for value in ("resectable", "borderline")})
CHEMO = _axis(
    {
        str(value): {"adjuvant_chemo": value}
        for value in (None, "yes", "no", "not_fit", "planned")
    }
)  # fmt: skip
NEOADJUVANT = _axis({str(value): {"neoadjuvant_ici": value} for value in (None, False, True)})


def only(axis: Axis, *labels: str) -> Axis:
    """Return the axis with these values only."""
    return _axis({label: dict(axis[label]) for label in labels})
