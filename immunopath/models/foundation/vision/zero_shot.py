"""The zero-shot phenotype scorer behind ``medsiglip`` and ``open_clip``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from immunopath.domain.errors import LogitsNotFinite
from immunopath.domain.prediction import PhenotypeScores
from immunopath.domain.provenance import Provenance
from immunopath.domain.quality import mpp_sources
from immunopath.domain.units import TILE_PX, WORKING_MPP
from immunopath.models.foundation.vision.clip_scoring import (
    F32,
    MIN_AGREEMENT,
    MIN_MARGIN,
    PhenotypeCalibration,
    Pooled,
    load_calibration,
    pool,
    why_abstain,
)
from immunopath.models.foundation.vision.phenotype_prompts import PromptEnsemble, load_prompts
from immunopath.models.foundation.vision.resize import METHODS, Method
from immunopath.models.foundation.vision.view_batcher import ViewBatcher
from immunopath.models.foundation.vision.views import LAYOUTS, Layout, ViewPlan, too_small
from immunopath.models.protocols import RGB, EngineInfo, TileSource
from immunopath.models.spec import EngineSpec

OPTIONS: Final = (
    "mpp", "view", "resize", "batch", "prompts", "calibration", "margin", "agreement",
)  # fmt: skip
MAX_BATCH: Final = 1024


@dataclass(frozen=True)
class DualEncoder:
    """A loaded image-text model.

    images: a batch of views of any shape to unit rows (n, d) float32; texts: prompts to unit rows;
    scale: multiplies cosines; bias: added to logits, None for a model without a sigmoid loss.
    """

    engine: str
    revision: str
    weights_digest: str
    px: int
    licence: str
    gated: bool
    description: str
    images: Callable[[Sequence[RGB]], F32]
    texts: Callable[[Sequence[str]], F32]
    scale: float
    bias: float | None


@dataclass(frozen=True)
class ScorerOptions:
    """The choices of a scorer's spec. `mpp` None: a whole tile of 256 µm is one view."""

    mpp: float | None
    layout: Layout
    resize: Method
    batch: int
    prompts: PromptEnsemble
    calibration: PhenotypeCalibration | None
    margin: float
    agreement: float

    @classmethod
    def of(cls, spec: EngineSpec, resize: Method) -> "ScorerOptions":
        """Return the options of a spec, `resize` being the model's own way.

        Raises `EngineSpecError` and, for files that cannot be used, `EngineUnavailable`.
        """
        path = spec.options.get("calibration")
        return cls(
            mpp=spec.number("mpp", None, 0.05, 20.0),
            layout=spec.choice("view", LAYOUTS),
            resize=spec.choice("resize", METHODS, resize),
            batch=spec.whole("batch", 8, 1, MAX_BATCH),
            prompts=load_prompts(spec.options.get("prompts")),
            calibration=None if path is None else load_calibration(path),
            margin=spec.number("margin", MIN_MARGIN, 0, 1),
            agreement=spec.number("agreement", MIN_AGREEMENT, 0, 1),
        )

    def plan(self, px: int) -> ViewPlan:
        """Return the views for a model of `px` pixels, cut at the tiles' working resolution."""
        side = TILE_PX if self.mpp is None else round(px * self.mpp / WORKING_MPP)
        return ViewPlan(mpp=WORKING_MPP, side_px=side, layout=self.layout)


class ZeroShotPhenotype:
    """Implements `PhenotypeScorer`; prompts are encoded once, when it is built.

    Raises `EngineMismatch` for a calibration of another model, prompts or preprocessing.
    """

    def __init__(self, encoder: DualEncoder, options: ScorerOptions) -> None:
        self._encoder, self._options = encoder, options
        self._plan = options.plan(encoder.px)
        self._batcher = ViewBatcher(encoder.images, options.batch)
        if options.calibration is not None:
            options.calibration.check(
                encoder.weights_digest, options.prompts.digest, self._preprocess
            )
        self._texts = encoder.texts(options.prompts.prompts)

    @property
    def _preprocess(self) -> str:
        plan, options = self._plan, self._options
        field = "tile" if plan.layout == "squeeze" else f"{plan.side_um:g}um"
        return f"view={plan.layout};field={field};resize={options.resize};px={self._encoder.px}"

    @property
    def _mpp(self) -> float | None:
        """What the model sees, µm per pixel; None when whole tiles are squeezed."""
        squeezed = self._plan.layout == "squeeze"
        return None if squeezed else self._plan.side_um / self._encoder.px

    @property
    def info(self) -> EngineInfo:
        """What the engine is."""
        encoder = self._encoder
        return EngineInfo(
            role="phenotype",
            name=encoder.engine,
            revision=encoder.revision,
            weights_digest=encoder.weights_digest,
            expected_mpp=self._mpp,
            input_px=encoder.px,
            embedding_size=int(self._texts.shape[1]),
            licence=encoder.licence,
            gated=encoder.gated,
            description=encoder.description,
            preprocess=self._preprocess,
        )

    def close(self) -> None:
        """End the worker that gathers views."""
        self._batcher.close()

    def score(self, source: TileSource) -> PhenotypeScores:
        """Return the pooled scores of a case's accepted tiles, or an abstention with its reason.

        `features` hold ``views``, ``margin``, ``prompt_agreement`` and ``view_agreement``. Raises
        `LogitsNotFinite` when the model gives numbers that are none.
        """
        options, encoder = self._options, self._encoder
        rows = [row for _, row in self._batcher.rows(source, self._plan)]
        if not rows:
            return self._answer(source, None, 0, too_small(source.tiles, self._plan))
        cosines = np.stack(rows) @ self._texts.T
        if not np.isfinite(cosines).all():
            raise LogitsNotFinite(
                f"{encoder.engine}: the model gives numbers that are not finite; its weights are "
                "damaged or its dtype does not fit, try dtype=float32"
            )
        pooled = pool(cosines, options.prompts, encoder.scale, encoder.bias, options.calibration)
        reason = why_abstain(pooled, options.margin, options.agreement)
        return self._answer(source, pooled, len(cosines), reason)

    def _answer(
        self, source: TileSource, pooled: Pooled | None, n_views: int, reason: str
    ) -> PhenotypeScores:
        encoder, options = self._encoder, self._options
        features = {"views": float(n_views)}
        sigmoid: dict[str, float] = {}
        if pooled is not None:
            features["margin"] = pooled.margin
            features["prompt_agreement"] = pooled.agreement
            features["view_agreement"] = pooled.view_agreement
            sigmoid = dict(zip(options.prompts.prompt_ids, pooled.sigmoid or (), strict=False))
        return PhenotypeScores(
            scores=pooled.scores if pooled else {},
            value=None if reason or pooled is None else pooled.leader,
            abstained=bool(reason),
            reason=reason,
            calibrated=pooled is not None and options.calibration is not None,
            features=features,
            prompt_probabilities=sigmoid,
            source=Provenance(
                engine=f"{encoder.engine}-phenotype",
                revision=encoder.revision,
                weights_digest=encoder.weights_digest,
                prompt_digest=options.prompts.digest,
                tile_ids=tuple(t.tile_id for t in source.tiles),
                mpp=self._mpp,
                mpp_source=mpp_sources(source.tiles),
                preprocess=self._preprocess,
                kind="model",
            ),
        )
