"""The predictor `medgemma`: a Gemma 3 image-text model, with or without a LoRA adapter.

Patches of the record's resolution and size go into prompts of the record's kind; the slot decoder
reads every field's table; the tables of a case are averaged. What is known against the checkpoint
goes with every result.
"""

import copy
import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from immunopath.domain.prediction import (
    EngineCaution,
    ModelAnswer,
    PredictorResult,
    ValidationCard,
)
from immunopath.domain.provenance import Provenance
from immunopath.domain.quality import Verdict, mpp_sources
from immunopath.domain.words import counted
from immunopath.models.calibrated import calibrated_profile, calibration_cautions
from immunopath.models.calibration import Calibrator
from immunopath.models.foundation.batcher import Batcher
from immunopath.models.foundation.decoding.decoded import DecodedAnswer, conditioning_name
from immunopath.models.foundation.decoding.decoder import EncodedPrompt, SlotDecoder
from immunopath.models.foundation.medgemma.adapter import LoadedAdapter
from immunopath.models.foundation.medgemma.gemma import Gemma, encode, generate
from immunopath.models.foundation.medgemma.image_calls import image_calls
from immunopath.models.foundation.medgemma.medgemma_fields import CaseFacts, build_profile, rounded
from immunopath.models.foundation.medgemma.patches import Unit, cut_patches, units_of
from immunopath.models.foundation.medgemma.probe import ProbeSetup
from immunopath.models.foundation.medgemma.probe_files import validation_path
from immunopath.models.foundation.medgemma.prompts import CANCER_TYPES, UNKNOWN_CANCER_TYPE
from immunopath.models.foundation.medgemma.record import CheckpointRecord
from immunopath.models.foundation.precision import Precision
from immunopath.models.foundation.weights import Weights
from immunopath.models.protocols import RGB, EngineInfo, Prediction, TileSource
from immunopath.models.validation import validated_profile

NAME: Final = "medgemma"
ENCODED: Final = 16
"""Prompts of one case that are encoded before the first is queued; at least one batch."""


@dataclass(frozen=True)
class Serving:
    """How answers are made: prompts per forward pass, the longest wait for more of them (s),
    patches per case, whether the full head is read, sampled histories per prompt (0 = greedy).
    """

    batch: int = 8
    wait_s: float = 0.02
    patches: int = 32
    full_head: bool = True
    marginal: int = 0


class MedGemmaPredictor:
    """Implements `Predictor`. Calls may come from several threads; the model runs in one."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of an engine
        self,
        gemma: Gemma,
        adapter: LoadedAdapter | None,
        record: CheckpointRecord,
        serving: Serving,
        cautions: Sequence[EngineCaution] = (),
        calibrator: Calibrator | None = None,
        cards: Mapping[str, ValidationCard] | None = None,
    ) -> None:
        self.record, self.serving, self.calibrator = record, serving, calibrator
        self._gemma, self._adapter, self._cautions = gemma, adapter, tuple(cautions)
        self._cards = dict(cards or {})
        self._encoding = threading.Lock()
        # The decoder works in the batcher's thread: a fast tokenizer cannot be borrowed twice.
        self._decoder = SlotDecoder(
            gemma.model,
            copy.deepcopy(gemma.tokenizer),
            record.answer,
            full_head=serving.full_head,
            marginal=serving.marginal,
        )
        self._batcher: Batcher[EncodedPrompt, DecodedAnswer] = Batcher(
            self._decoder.decode,
            max_size=serving.batch,
            max_wait_s=serving.wait_s,
            freed=lambda: free_memory(gemma.device),
        )

    @property
    def digest(self) -> str:
        """SHA-256 over the digests of base and adapter."""
        return engine_digest(
            self._gemma.weights, None if self._adapter is None else self._adapter.weights
        )

    @property
    def trained(self) -> Weights:
        """The weights that carry the record: the adapter's, else the base's."""
        return self._gemma.weights if self._adapter is None else self._adapter.weights

    @property
    def validation_path(self) -> Path:
        """Where ``immunopath evaluate`` puts what it found of this engine."""
        return validation_path(self.trained, self.digest)

    @property
    def info(self) -> EngineInfo:
        """What the engine is; revision names base and adapter."""
        labels = [self._gemma.weights.label]
        if self._adapter is not None:
            labels.append(self._adapter.weights.label)
        return EngineInfo(
            role="predictor",
            name=NAME,
            revision="+".join(labels),
            weights_digest=self.digest,
            expected_mpp=self.record.mpp,
            input_px=self.record.patch_px,
            embedding_size=None,
            licence="HAI-DEF",
            gated=True,
            description="Gemma 3 image-text model, answers read slot by slot",
            preprocess=self.probe_setup.preprocess,
        )

    @property
    def probe_setup(self) -> ProbeSetup:
        """What a probe of this engine is a probe of."""
        merged = None if self._adapter is None else self._adapter.merged
        return setup_of(self.digest, self.record, self.serving, self._gemma.precision, merged)

    def predict(self, source: TileSource) -> Prediction:
        """Return the profile of a case whose cancer type is not known (see `predict_for`)."""
        return self.predict_for(source, None)

    def predict_for(self, source: TileSource, histology: str | None) -> Prediction:
        """Return the profile of a case; `histology`: as stated, for prompts that name the cancer.

        Raises `ImageSizeError` when no patch fits, `EngineUnavailable` when the engine is closed
        or memory does not suffice, `LogitsNotFinite`.
        """
        record = self.record
        patches = cut_patches(source, record.mpp, record.patch_px, self.serving.patches)
        units = units_of(patches, record.images)
        cancer_type = CANCER_TYPES.get(histology or "")
        images = [[patch.pixels for patch in unit.patches] for unit in units]
        answers = self.read(images, record.the_prompt.filled(cancer_type))
        tile_ids = tuple(dict.fromkeys(patch.tile_id for patch in patches))
        facts = CaseFacts(
            record=record,
            weights=[unit.weight for unit in units],
            qc_pass=bool(source.tiles)
            and all(t.quality.verdict is Verdict.accept for t in source.tiles),
            source=self._provenance(source, tile_ids),
            n_tiles=len(tile_ids),
            conditioning=conditioning_name(self.serving.marginal),
        )
        profile = build_profile(answers, facts)
        cautions = [*self._cautions, *self._case_cautions(units, cancer_type)]
        if self.calibrator is not None:
            profile = calibrated_profile(profile, self.calibrator)
            cautions += calibration_cautions(
                self.calibrator, facts.conditioning, len(tile_ids), self.info.preprocess
            )
        result = PredictorResult(
            profile=validated_profile(profile, self._cards),
            cut_points=record.cut_points,
            cautions=tuple(cautions),
            answers=tuple(_answer(a, u) for a, u in zip(answers, units, strict=True)),
            images=image_calls(answers, [u.tile_ids for u in units], source.tiles, profile),
        )
        return Prediction(result)

    def read(self, images: Sequence[Sequence[RGB]], text: str) -> list[DecodedAnswer]:
        """Return one answer per prompt; `images`: those of each prompt, (h, w, 3) uint8.

        No more prompts than a few batches hold are encoded at a time.
        """
        answers: list[DecodedAnswer] = []
        chunk = max(self.serving.batch, ENCODED)
        for start in range(0, len(images), chunk):
            part = images[start : start + chunk]
            answers += self._batcher.map([self._encode(pictures, text) for pictures in part])
        return answers

    def write_freely(self, source: TileSource, histology: str | None) -> str:
        """Return what the model writes about the first patches when nothing is forced, greedily.

        Evaluation counts how often that is JSON and follows the schema; no value is read from it.
        """
        record = self.record
        patches = cut_patches(source, record.mpp, record.patch_px, self.serving.patches)
        units = units_of(patches, record.images)
        if not units:
            return ""
        text = record.the_prompt.filled(CANCER_TYPES.get(histology or ""))
        return generate(self._gemma, [patch.pixels for patch in units[0].patches], text)

    def close(self) -> None:
        """Cancel what waits and let the worker end."""
        self._batcher.close()

    def _encode(self, pictures: Sequence[RGB], text: str) -> EncodedPrompt:
        with self._encoding:
            return encode(self._gemma, pictures, text)

    def _provenance(self, source: TileSource, tile_ids: tuple[str, ...]) -> Provenance:
        info = self.info
        return Provenance(
            engine=NAME,
            revision=info.revision,
            weights_digest=info.weights_digest,
            prompt_digest=self.record.the_prompt.digest,
            tile_ids=tile_ids,
            mpp=self.record.mpp,
            mpp_source=mpp_sources(source.tiles),
            preprocess=info.preprocess,
            kind="model",
        )

    def _case_cautions(
        self, units: Sequence[Unit], cancer_type: str | None
    ) -> tuple[EngineCaution, ...]:
        found = []
        if self.record.the_prompt.asks_cancer_type and cancer_type is None:
            found.append(
                EngineCaution(
                    code="PROMPT_WITHOUT_HISTOLOGY",
                    severity="caution",
                    message="The predictor's prompt names the histology that it was trained with; "
                    f"none of them is stated here, so it reads '{UNKNOWN_CANCER_TYPE}'.",
                    action="State the histology (adenocarcinoma or squamous) in the clinical file.",
                )
            )
        if units and len(units[0].patches) < self.record.images:
            found.append(
                EngineCaution(
                    code="FEWER_IMAGES_THAN_TRAINED",
                    severity="caution",
                    message="The checkpoint was trained on "
                    f"{counted(self.record.images, 'image')} per prompt and was shown "
                    f"{len(units[0].patches)}.",
                    action="Give more fields of the tumour.",
                )
            )
        return tuple(found)


def setup_of(
    digest: str,
    record: CheckpointRecord,
    serving: Serving,
    precision: Precision,
    merged: bool | None,
) -> ProbeSetup:
    """Return how an engine asks, known before its weights are in memory.

    digest: of base and adapter; merged: whether the adapter is, None without one.
    """
    parts = {
        "px": record.patch_px,
        "images": record.images,
        "prompt": record.the_prompt.id,
        "format": f"{record.format}:{record.answer.digest[:12]}",
        "precision": str(precision),
        "head": "full" if serving.full_head else "candidates",
        "conditioning": conditioning_name(serving.marginal),
    }
    if merged is not None:
        parts["adapter"] = "merged" if merged else "beside"
    return ProbeSetup(
        weights_digest=digest,
        prompt_digest=record.the_prompt.digest,
        images=record.images,
        format=record.format,
        mpp=record.mpp,
        dtype=precision.dtype,
        quant=precision.quant,
        preprocess=";".join(f"{key}={value}" for key, value in parts.items()),
    )


def engine_digest(base: Weights, adapter: Weights | None) -> str:
    """Return the digest of what answers: the base's own, or one over base and adapter."""
    if adapter is None:
        return base.digest
    return hashlib.sha256(f"{base.digest}+{adapter.digest}".encode()).hexdigest()


def free_memory(device: str) -> None:
    """Give cached GPU memory back; nothing to do on a CPU."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.empty_cache()


def _answer(answer: DecodedAnswer, unit: Unit) -> ModelAnswer:
    return ModelAnswer(
        text=answer.text,
        log_probability=rounded(answer.log_probability),
        conditional=answer.conditional,
        tile_ids=unit.tile_ids,
    )
