"""The embedded phenotype scorer: inflamed, excluded or desert from texture, not from nuclei.

It reads no nucleus and nothing of the predictor. Blocks of 25 µm are described by stain and by
band energies; three linear models, fitted on NuCLS patches, turn them into maps of lymphoid share,
nest-likeness and nuclear density. The layout of these maps over whole images gives the scores:

    present  = logistic((ln max(inside, outside) - ln 2500 per mm²) / 0.35)
    walled   = logistic((ln 0.4 - ln(inside / outside)) / 0.35)
    desert   = 1 - present;  excluded = present * walled;  inflamed = present * (1 - walled)

with the lymphoid densities inside and outside nests. The constants of the last step are declared,
not fitted: the scores rank and are **not calibrated**.
"""

import math
from collections.abc import Sequence

import numpy as np

from immunopath.domain.prediction import PhenotypeScores
from immunopath.domain.provenance import Provenance
from immunopath.domain.quality import mpp_sources
from immunopath.domain.units import WORKING_MPP
from immunopath.models.embedded.phenotype_constants import Layout, PhenotypeModel, shipped
from immunopath.models.embedded.phenotype_maps import BLOCK_MM2, FieldMap, field_maps
from immunopath.models.protocols import EngineInfo, TileSource
from immunopath.models.spec import EngineSpec

NAME = "embedded-phenotype"
_FLOOR_PER_MM2 = 50.0
"""Densities below this are the same nothing; keeps logarithms finite."""
_MIN_OUTSIDE_MM2 = 0.005
"""Less tissue than this outside nests says nothing about exclusion."""


class EmbeddedPhenotype:
    """Implements `PhenotypeScorer` on the CPU. Holds no state but its constants."""

    def __init__(self, model: PhenotypeModel) -> None:
        self._model = model

    @property
    def info(self) -> EngineInfo:
        """What the engine is; the weights digest is that of the constants file."""
        return EngineInfo(
            role="phenotype",
            name="embedded",
            revision=self._model.constants.version,
            weights_digest=self._model.digest,
            expected_mpp=WORKING_MPP,
            input_px=None,
            embedding_size=None,
            licence="MIT",
            gated=False,
            description="inflamed / excluded / desert from block texture, CPU",
        )

    def score(self, source: TileSource) -> PhenotypeScores:
        """Return the scores of a case's accepted tiles, or an abstention with its reason.

        `features` hold ``lymphoid_share`` (of nuclei, in [0, 1], all tissue), ``tissue_mm2``,
        ``field_um`` and, where nests were found, ``nest_mm2`` and the densities per mm² in and
        outside them. An abstention has no scores, unless it comes from their closeness.
        """
        maps = field_maps(source, self._model)
        layout = self._model.constants.layout
        judged = [m for m in maps if min(m.extent_um) >= layout.min_field_um]
        features = _settled(_field_features(maps) | _nest_features(judged))
        reason = _why_not(judged, features, layout)
        scores = {} if reason else phenotype_scores(features, layout)
        reason = reason or _too_close(scores, layout)
        return PhenotypeScores(
            scores=scores,
            value=None if reason else max(scores, key=lambda name: scores[name]),
            abstained=bool(reason),
            reason=reason,
            calibrated=False,
            features=features,
            source=Provenance(
                engine=NAME,
                revision=self._model.constants.version,
                weights_digest=self._model.digest,
                tile_ids=tuple(t.tile_id for t in source.tiles),
                mpp=WORKING_MPP,
                mpp_source=mpp_sources(source.tiles),
            ),
        )


def _field_features(maps: Sequence[FieldMap]) -> dict[str, float]:
    """Return what all tissue of the case says, images too small for a layout included."""
    features = {
        "field_um": max((min(m.extent_um) for m in maps), default=0.0),
        "tissue_mm2": sum(m.tissue_mm2 for m in maps),
    }
    nuclei = sum(float(m.nuclei_per_mm2[m.tissue].sum()) for m in maps)
    if nuclei > 0:
        lymphoid = sum(float(m.lymphoid_per_mm2[m.tissue].sum()) for m in maps)
        features["lymphoid_share"] = lymphoid / nuclei
    return features


def _nest_features(maps: Sequence[FieldMap]) -> dict[str, float]:
    """Return areas and lymphoid densities inside and outside nests of the images judged."""
    if not maps:
        return {}
    inside = np.concatenate([m.lymphoid_per_mm2[m.is_nest] for m in maps])
    outside = np.concatenate([m.lymphoid_per_mm2[m.tissue & ~m.is_nest] for m in maps])
    features = {
        "judged_mm2": sum(m.tissue_mm2 for m in maps),
        "nest_mm2": inside.size * BLOCK_MM2,
    }
    if inside.size:
        features["lymphoid_per_mm2_in_nests"] = float(inside.mean())
    if outside.size * BLOCK_MM2 >= _MIN_OUTSIDE_MM2:
        features["lymphoid_per_mm2_outside"] = float(outside.mean())
    return features


def _settled(features: dict[str, float]) -> dict[str, float]:
    """Return the features without the digits that differ between two runs on the same pixels.

    Sums of float32 depend in the seventh digit on where in memory an array happens to lie. A case
    of a cohort must come out the same in every process.
    """
    return {
        name: round(value, 1 if name.startswith("lymphoid_per_mm2") else 5)
        for name, value in features.items()
    }


def _why_not(judged: Sequence[FieldMap], features: dict[str, float], layout: Layout) -> str:
    """Return why no phenotype can be told, or an empty string."""
    if not judged:
        return (
            f"no field is {layout.min_field_um:.0f} µm across (largest: "
            f"{features['field_um']:.0f} µm): the layout of lymphocytes cannot be seen"
        )
    if features["judged_mm2"] < layout.min_tissue_mm2:
        return (
            f"too little tissue ({features['judged_mm2']:.3f} mm², "
            f"{layout.min_tissue_mm2:g} needed)"
        )
    if features["nest_mm2"] < layout.min_nest_mm2:
        return (
            f"no nest-like epithelium found ({features['nest_mm2']:.3f} mm², "
            f"{layout.min_nest_mm2:g} needed): tumour is not confirmed in the field"
        )
    return ""


def _too_close(scores: dict[str, float], layout: Layout) -> str:
    leading = max(scores, key=lambda name: scores[name])
    if scores[leading] >= layout.min_leading_score:
        return ""
    return (
        f"the scores are too close: {leading} leads with {scores[leading]:.2f}, "
        f"{layout.min_leading_score:g} needed"
    )


def phenotype_scores(features: dict[str, float], layout: Layout) -> dict[str, float]:
    """Return scores over inflamed, excluded, desert, summing to 1 (formula: top of the module).

    Without tissue outside nests, exclusion cannot be judged and inside counts for both.
    """
    inside = max(features["lymphoid_per_mm2_in_nests"], _FLOOR_PER_MM2)
    outside = max(features.get("lymphoid_per_mm2_outside", inside), _FLOOR_PER_MM2)
    excess = math.log(max(inside, outside) / layout.present_per_mm2)
    present = _logistic(excess / layout.present_width)
    walled = _logistic(
        (math.log(layout.ratio_half) - math.log(inside / outside)) / layout.ratio_width
    )
    return {
        "inflamed": present * (1 - walled),
        "excluded": present * walled,
        "desert": 1 - present,
    }


def _logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def build(spec: EngineSpec, device: str = "cpu") -> EmbeddedPhenotype:
    """Return the engine; it takes no options and always runs on the CPU.

    Raises `EngineSpecError` for options and `EngineError` for an unusable constants file.
    """
    spec.refuse_extras()
    return EmbeddedPhenotype(shipped())
