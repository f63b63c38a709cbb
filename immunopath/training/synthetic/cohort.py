"""A synthetic cohort: patients with a latent immune state, their fields, labels and splits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from pydantic import Field

from immunopath.domain.base import Frozen
from immunopath.imaging.arrays import RGB
from immunopath.training.labels.fields import QUANTITIES, PatientScores, Variant, label_fields
from immunopath.training.samples import Label, Sample, Split
from immunopath.training.synthetic.labels import (
    MSI_SHARE,
    SyntheticConstants,
    Values,
    fitted,
    noisy_scores,
    standardised,
)
from immunopath.training.synthetic.look import Look, site_look, varied
from immunopath.training.synthetic.render import render
from immunopath.training.synthetic.scene import FieldTruth, Scene, place_field

MOST_PER_MM2: Final = 4500.0
"""Lymphocytes per mm² of the most inflamed patient's field."""


class CohortSettings(Frozen):
    """What a cohort is made of.

    tiles: fields of one patient; size_px, mpp: of a field; noise: of the labels, standard deviation
    when that of the signal is 1 (`snr` = 1 / noise²); sites: laboratories; site_effect: 0 = alike,
    1 = as different as laboratories are; site_bias: 0 = sites see the same patients, 1 = a site
    decides how inflamed its patients are (a trap for models that learn the stain); val, test:
    shares of the patients; variant: ``card`` makes ``til_fraction`` a sigmoid of the score,
    ``run-v3.1`` its place between minimum and maximum.
    """

    patients: int = Field(default=120, ge=10, le=1_000_000)
    tiles: int = Field(default=4, ge=1, le=1000)
    size_px: int = Field(default=224, ge=16, le=4096)
    mpp: float = Field(default=1.0, ge=0.05, le=20)
    noise: float = Field(default=0.3, ge=0, le=100)
    sites: int = Field(default=6, ge=1, le=1000)
    site_effect: float = Field(default=1.0, ge=0, le=2)
    site_bias: float = Field(default=0.0, ge=0, le=1)
    val: float = Field(default=0.15, gt=0, lt=0.5)
    test: float = Field(default=0.25, gt=0, lt=0.5)
    variant: Variant = "card"


class PatientTruth(Frozen):
    """What was drawn for a patient, counted over all fields, beside what the labels should be.

    share: lymphocytes per nucleus; inside_per_mm2, outside_per_mm2: lymphocyte densities in and
    outside nests (None without such area); fibrosis, tumour_share: as set; scores: behind the
    labels, with noise; clean_scores, clean_labels: the same formulas and constants without noise.
    """

    patient_id: str
    share: float
    inside_per_mm2: float | None
    outside_per_mm2: float | None
    fibrosis: float
    tumour_share: float
    scores: PatientScores
    clean_scores: PatientScores
    clean_labels: dict[str, Label]


@dataclass(frozen=True)
class SyntheticTile:
    """One field before it is drawn: `pixels` draws it, always to the same bytes."""

    tile_id: str
    patient_id: str
    scene: Scene
    seed: int
    look: Look
    truth: FieldTruth

    def pixels(self) -> RGB:
        """Return the field, shape (size_px, size_px, 3), uint8; synthetic."""
        return render(self.scene, self.seed, self.look)


@dataclass(frozen=True)
class SyntheticCohort:
    """Samples, truths (same order) and all tiles (patient by patient) of a cohort."""

    settings: CohortSettings
    seed: int
    samples: tuple[Sample, ...]
    truths: tuple[PatientTruth, ...]
    tiles: tuple[SyntheticTile, ...]
    constants: SyntheticConstants


@dataclass(frozen=True)
class _Patient:
    patient_id: str
    site: str
    cancer_type: str
    tiles: tuple[SyntheticTile, ...]
    drawn: FieldTruth
    """Of all tiles together."""
    fibrosis: float
    tumour_share: float


def make_cohort(settings: CohortSettings, seed: int) -> SyntheticCohort:
    """Return a cohort without drawing a pixel; the same settings and seed give the same cohort."""
    patients = [_patient(settings, seed, number) for number in range(settings.patients)]
    splits = _splits(settings, np.random.default_rng([seed, 1]))
    train = np.array([split == "train" for split in splits])
    z, mean, spread = standardised(_signals(patients), train)
    msi = list(np.random.default_rng([seed, 3]).random(len(patients)) < MSI_SHARE)
    noisy, clean = (
        fitted(noisy_scores(z, noise, np.random.default_rng([seed, 2])), train, msi)
        for noise in (settings.noise, 0.0)
    )
    variant = settings.variant
    labels, true = (
        [label_fields(row, constants, variant) for row in rows]
        for rows, constants, _ in (noisy, clean)
    )
    return SyntheticCohort(
        settings=settings,
        seed=seed,
        samples=tuple(map(_sample, patients, splits, labels)),
        truths=tuple(map(_truth, patients, noisy[0], clean[0], true)),
        tiles=tuple(tile for patient in patients for tile in patient.tiles),
        constants=SyntheticConstants(
            variant=variant,
            quantity=QUANTITIES[variant].value,
            noise=settings.noise,
            mean=mean,
            spread=spread,
            fibrosis_median=noisy[2],
            constants=noisy[1],
        ),
    )


def slide_of(patient_id: str) -> str:
    """Return the id of a patient's one slide."""
    return f"{patient_id}-S1"


def _patient(settings: CohortSettings, seed: int, number: int) -> _Patient:
    rng = np.random.default_rng([seed, 0, number])
    site_number = int(rng.integers(settings.sites))
    level = float(rng.uniform(0.03, 1.0))
    if settings.site_bias:
        own = (site_number + rng.uniform()) / settings.sites
        level = (1 - settings.site_bias) * level + settings.site_bias * max(0.03, own)
    enters = float(rng.uniform(0.7, 1.0) if rng.random() < 0.5 else rng.uniform(0.0, 0.03))
    tumour, fibrosis = float(rng.uniform(0.35, 0.65)), float(rng.uniform(0, 1))
    name, site = f"SYN-{number:05d}", f"SYN-SITE-{site_number:02d}"
    look = varied(site_look(site, seed, settings.site_effect), rng, 0.25 * settings.site_effect)
    tiles = []
    for k in range(settings.tiles):
        share = float(np.clip(tumour + rng.normal(0, 0.06), 0.1, 0.9))
        mean = MOST_PER_MM2 * level**2 * float(np.exp(rng.normal(0, 0.12)))
        outside = min(20000.0, mean / (1 - share + share * enters))
        scene = Scene(
            size_px=settings.size_px,
            mpp=settings.mpp,
            tumour_share=share,
            outside_per_mm2=outside,
            inside_per_mm2=outside * enters,
            fibrosis=fibrosis,
        )
        tile_seed = int(rng.integers(2**62))
        truth = place_field(scene, tile_seed).truth(scene)
        tiles.append(SyntheticTile(f"{name}-{k:03d}", name, scene, tile_seed, look, truth))
    cancer = "LUAD" if rng.random() < 0.5 else "LUSC"
    drawn = FieldTruth.total([tile.truth for tile in tiles])
    return _Patient(name, site, cancer, tuple(tiles), drawn, fibrosis, tumour)


def _signals(patients: Sequence[_Patient]) -> dict[str, Values]:
    """Return what the images show, one value a patient; roots, so that counts spread evenly."""
    inside = [patient.drawn.inside_per_mm2 or 0.0 for patient in patients]
    return {
        "til": np.sqrt([patient.drawn.share for patient in patients]),
        "cd8": np.sqrt(inside),
        "fibrosis": np.array([patient.fibrosis for patient in patients]),
    }


def _splits(settings: CohortSettings, rng: np.random.Generator) -> list[Split]:
    """Return the split of every patient: at random, every split holds at least one."""
    n = settings.patients
    n_test, n_val = max(1, round(n * settings.test)), max(1, round(n * settings.val))
    splits: list[Split] = ["train"] * n
    for rank, at in enumerate(rng.permutation(n)):
        if rank < n_test + n_val:
            splits[at] = "test" if rank < n_test else "val"
    return splits


def _sample(patient: _Patient, split: Split, labels: dict[str, Label]) -> Sample:
    return Sample(
        patient_id=patient.patient_id,
        site=patient.site,
        cancer_type=patient.cancer_type,
        split=split,
        labels=labels,
        slides=(slide_of(patient.patient_id),),
        origin="synthetic",
    )


def _truth(
    patient: _Patient,
    scores: PatientScores,
    clean_scores: PatientScores,
    clean_labels: dict[str, Label],
) -> PatientTruth:
    return PatientTruth(
        patient_id=patient.patient_id,
        share=patient.drawn.share,
        inside_per_mm2=patient.drawn.inside_per_mm2,
        outside_per_mm2=patient.drawn.outside_per_mm2,
        fibrosis=patient.fibrosis,
        tumour_share=patient.tumour_share,
        scores=scores,
        clean_scores=clean_scores,
        clean_labels=clean_labels,
    )
