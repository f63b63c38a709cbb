"""The embedded predictor: nuclei, their lymphocyte share and layout, and honest absence.

What it counts are *lymphocyte-like* nuclei: small, round, dark, mononuclear. Plasma cells count as
lymphocytes (as in TIL scoring); neutrophils, pigment-laden macrophages, shrunken nuclei of
necrosis and crowded small epithelium can be counted too, and nothing here tells them apart.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from immunopath.domain.prediction import BiomarkerProfile, Morphometry, PredictorResult
from immunopath.domain.provenance import Provenance
from immunopath.domain.quality import Verdict, mpp_sources
from immunopath.models.embedded import fields
from immunopath.models.embedded.cautions import median_area, mpp_plausible, warnings_of
from immunopath.models.embedded.classifier import NucleiClassifier, shipped
from immunopath.models.embedded.density import WORK_MPP, SparePool
from immunopath.models.embedded.image_calls import image_calls
from immunopath.models.embedded.layout import Layout, analyse_layout
from immunopath.models.embedded.nuclei import CaseNuclei, detect_nuclei
from immunopath.models.embedded.shares import Share, corrected, estimate_share
from immunopath.models.embedded.tissue import case_tissue_um2
from immunopath.models.protocols import EngineInfo, NucleiTable, Prediction, TileSource
from immunopath.models.spec import EngineSpec

NAME = "embedded-predictor"
NOT_CONFIRMED = "lymphocyte share in the field; tumour not confirmed"
WORDING = (
    "lymphocytes are lymphocyte-like nuclei (mononuclear, small and dark): plasma cells are "
    "counted among them, neutrophils may be"
)
NESTS = "nests are dense groups of large round nuclei; that they are tumour is not confirmed"
IMPLAUSIBLE = (
    "Nuclear size or texture does not fit the stated resolution, or the field is out of focus: "
    "nests and densities cannot be measured before the mpp is checked."
)
BLOCK_UM = 100.0


class EmbeddedPredictor:
    """Implements `Predictor` by image analysis on the CPU.

    Holds its constants, and buffers that cases reuse: no answer depends on what is in them.
    """

    def __init__(self, classifier: NucleiClassifier) -> None:
        self._classifier = classifier
        self._spare = SparePool()

    @property
    def info(self) -> EngineInfo:
        """What the engine is; the weights digest is that of the constants file."""
        return EngineInfo(
            role="predictor",
            name="embedded",
            revision=self._classifier.constants.version,
            weights_digest=self._classifier.digest,
            expected_mpp=WORK_MPP,
            input_px=None,
            embedding_size=None,
            licence="MIT",
            gated=False,
            description="nuclei, lymphocytes and their layout by image analysis, CPU",
        )

    def predict(self, source: TileSource) -> Prediction:
        """Return the eight fields, morphometry and all nuclei of a case's accepted tiles.

        A case without tiles, or with fewer than ten nuclei, gives abstentions, not an error.
        """
        with self._spare.workspace() as work:
            case = detect_nuclei(source, self._classifier, work)
        correction = self._classifier.constants.correction
        layout = _trusted(analyse_layout(case, correction), case)
        share = self._share(case)
        n = len(case.nuclei)
        disagreement = None if share is None else self._disagreement(case, share.value)
        common = fields.Common(
            n_tiles=len(case.boxes),
            qc_pass=bool(source.tiles)
            and all(t.quality.verdict is Verdict.accept for t in source.tiles),
            source=self._provenance(case, source),
        )
        profile = BiomarkerProfile(
            **fields.unseen_fields(common),
            til_fraction=fields.share_field(common, share, n, disagreement),
            til_density=fields.density_field(common, share, n, disagreement),
            immune_phenotype=fields.phenotype_field(common, layout, correction),
            immune_score=fields.hint_field(common, share, n),
        )
        coarsest = max((t.mpp for t in source.tiles), default=WORK_MPP)
        note = f"{NESTS if layout.phenotype is not None else NOT_CONFIRMED}; {WORDING}"
        result = PredictorResult(
            profile=profile,
            cut_points=fields.CUT_POINTS,
            morphometry=_morphometry(case, layout, share, coarsest),
            layout_note=note,
            images=image_calls(case, layout, correction),
        )
        return Prediction(result, _table(case, layout))

    def _provenance(self, case: CaseNuclei, source: TileSource) -> Provenance:
        return Provenance(
            engine=NAME,
            revision=self._classifier.constants.version,
            weights_digest=self._classifier.digest,
            tile_ids=tuple(b.tile_id for b in case.boxes),
            mpp=WORK_MPP,
            mpp_source=mpp_sources(source.tiles),
        )

    def _share(self, case: CaseNuclei) -> Share | None:
        """Return the share over blocks of 100 µm, or None with fewer than ten nuclei."""
        if len(case.nuclei) < fields.MIN_NUCLEI:
            return None
        block = _blocks(case)
        lym = np.bincount(block, weights=case.nuclei.is_lymphocyte).astype(np.float64)
        every = np.bincount(block).astype(np.float64)
        return estimate_share(lym, every, self._classifier.constants.correction)

    def _disagreement(self, case: CaseNuclei, value: float) -> float | None:
        """Return the share of tiles (of ten nuclei or more) with another density class."""
        k = len(case.boxes)
        every = np.bincount(case.tile_index, minlength=k)
        lym = np.bincount(case.tile_index, weights=case.nuclei.is_lymphocyte, minlength=k)
        able = every >= fields.MIN_NUCLEI
        if able.sum() < 2:
            return None
        fix = self._classifier.constants.correction
        shares = corrected(lym[able] / every[able], fix.floor, fix.ceiling)
        own = fields.CUT_POINTS.density_class(value)
        return float(np.mean([fields.CUT_POINTS.density_class(float(s)) != own for s in shares]))


def _trusted(layout: Layout, case: CaseNuclei) -> Layout:
    """Return the layout, without its phenotype when the nuclei speak against the resolution."""
    if layout.phenotype is None or mpp_plausible(case) is not False:
        return layout
    return replace(layout, phenotype=None, reason=IMPLAUSIBLE, by_image={})


def _blocks(case: CaseNuclei) -> npt.NDArray[np.int64]:
    """Return a number per nucleus: which 100 µm block of which image it lies in."""
    row = (case.nuclei.y_um / BLOCK_UM).astype(np.int64)
    column = (case.nuclei.x_um / BLOCK_UM).astype(np.int64)
    keys = np.stack([case.image_index, row, column], axis=1)
    _, block = np.unique(keys, axis=0, return_inverse=True)
    return block.reshape(-1).astype(np.int64)


def _morphometry(
    case: CaseNuclei, layout: Layout, share: Share | None, coarsest_mpp: float
) -> Morphometry:
    n, lym = len(case.nuclei), int(case.nuclei.is_lymphocyte.sum())
    tissue = case_tissue_um2(case.tissue) * 1e-6
    return Morphometry(
        n_nuclei=n,
        n_lymphocytes=lym,
        tissue_mm2=tissue,
        lymphocytes_per_mm2=lym / tissue if tissue > 0 else None,
        raw_share=None if share is None else share.raw,
        corrected_share=None if share is None else share.value,
        median_nuclear_area_um2=median_area(case),
        mpp_plausible=mpp_plausible(case),
        nest_mm2=layout.nest_mm2,
        lymphocytes_per_mm2_in_nests=layout.density_in_nests,
        lymphocytes_per_mm2_outside=layout.density_outside,
        morisita_horn=layout.morisita_horn,
        warnings=warnings_of(case, share, coarsest_mpp),
    )


def _table(case: CaseNuclei, layout: Layout) -> NucleiTable:
    nuclei = case.nuclei
    return NucleiTable(
        x_um=nuclei.x_um,
        y_um=nuclei.y_um,
        image_index=case.image_index.astype(np.int32),
        area_um2=nuclei.area_um2,
        p_lymphocyte=nuclei.p_lymphocyte,
        is_lymphocyte=nuclei.is_lymphocyte,
        in_nest=layout.in_nest,
    )


def build(spec: EngineSpec, device: str = "cpu") -> EmbeddedPredictor:
    """Return the engine; it takes no options and always runs on the CPU.

    Raises `EngineSpecError` for options and `EngineError` for an unusable constants file.
    """
    spec.refuse_extras()
    return EmbeddedPredictor(shipped())
