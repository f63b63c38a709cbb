"""A made-up cohort: expression files, file lists and calls as they are downloaded.

Every number is drawn from a seed; no patient is behind it.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from immunopath.training.labels.genes import load_gene_sets

HEADER = (
    "gene_id\tgene_name\tgene_type\tunstranded\tstranded_first\tstranded_second\t"
    "tpm_unstranded\tfpkm_unstranded\tfpkm_uq_unstranded"
)
FILLER = tuple(f"FILL{i}" for i in range(60))
CLASSES = ("D", "F", "IE", "IE/F")


@dataclass(frozen=True)
class Cohort:
    """Patients in order, log2(TPM + 1) by gene, and the subtype each was drawn from."""

    patients: tuple[str, ...]
    log2: dict[str, dict[str, float]]
    tme: dict[str, str]

    def tpm(self, patient: str) -> dict[str, float]:
        return {gene: 2**value - 1 for gene, value in self.log2[patient].items()}


def make_cohort(n: int = 24, seed: int = 0) -> Cohort:
    """Immune genes follow one hidden axis, filler genes a second one; subtypes are its corners."""
    rng = np.random.default_rng(seed)
    patients = tuple(f"TCGA-{10 + i % 6:02d}-{1000 + i}" for i in range(n))
    log2: dict[str, dict[str, float]] = {}
    tme: dict[str, str] = {}
    for at, patient in enumerate(patients):
        kind = CLASSES[at % 4]
        immune = (1.5 if kind.startswith("IE") else -1.5) + rng.normal()
        fibrous = (1.5 if kind.endswith("F") else -1.5) + rng.normal()
        genes = {g: 4 + immune + rng.normal() * 0.5 for g in load_gene_sets().needed}
        genes |= {g: 4 + fibrous + rng.normal() * 0.5 for g in FILLER[:20]}
        genes |= {g: 4 + rng.normal() for g in FILLER[20:]}
        log2[patient] = {g: float(max(0.0, v)) for g, v in genes.items()}
        tme[patient] = kind
    return Cohort(patients, log2, tme)


def star_text(tpm: dict[str, float]) -> str:
    """A STAR-count file as GDC writes it, with the four summary rows."""
    rows = ["# gene-model: GENCODE v36", HEADER]
    rows += [f"N_{n}\t\t\t1\t1\t1\t\t\t" for n in ("unmapped", "multimapping", "noFeature")]
    rows.append("N_ambiguous\t\t\t1\t1\t1\t\t\t")
    for at, (gene, value) in enumerate(tpm.items()):
        rows.append(f"ENSG{at:011d}.1\t{gene}\tprotein_coding\t1\t0\t1\t{value!r}\t0\t0")
    return "\n".join(rows) + "\n"


def file_id(patient: str) -> str:
    return f"id-{patient}"


def write_files(folder: Path, cohort: Cohort) -> list[dict[str, object]]:
    """Write expression files as ``gdc-client`` lays them out; return metadata of the cart."""
    hits: list[dict[str, object]] = []
    for patient in cohort.patients:
        name = f"{patient.lower()}.rna_seq.augmented_star_gene_counts.tsv"
        path = folder / file_id(patient) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(star_text(cohort.tpm(patient)), encoding="utf-8")
        hits.append(hit(file_id(patient), name, f"{patient}-01A-11R-A123-07", project(patient)))
        slide = f"{patient}-01Z-00-DX1.ABC.svs"
        hits.append(hit(f"slide-{patient}", slide, slide[:23], project(patient)))
    return hits


def project(patient: str) -> str:
    return "TCGA-LUAD" if int(patient[-1]) % 2 else "TCGA-LUSC"


def hit(
    identifier: str, name: str, barcode: str, project_id: str = "TCGA-LUAD"
) -> dict[str, object]:
    return {
        "file_id": identifier,
        "file_name": name,
        "associated_entities": [{"entity_submitter_id": barcode}],
        "cases": [{"submitter_id": barcode[:12], "project": {"project_id": project_id}}],
    }


def write_metadata(path: Path, hits: list[dict[str, object]]) -> Path:
    path.write_text(json.dumps(hits), encoding="utf-8")
    return path


def write_calls(path: Path, cohort: Cohort, known: int | None = None) -> Path:
    """An annotation table as published: first column unnamed; subtypes of the first `known`."""
    rows = ["\tMFP\tMSI"]
    for at, patient in enumerate(cohort.patients):
        tme = cohort.tme[patient].replace("/", "_") if known is None or at < known else ""
        rows.append(f"{patient}\t{tme}\t{'MSI-H' if at % 5 == 0 else 'MSS'}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def write_gmt(path: Path) -> Path:
    immune = "\t".join(load_gene_sets().needed)
    fibrous = "\t".join(FILLER[:20])
    path.write_text(f"immune\tmade up\t{immune}\nfibrous\tmade up\t{fibrous}\n", encoding="utf-8")
    return path
