"""The SigLIP scorer on a tiny checkpoint of the same classes, through from_pretrained."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from medsiglip_cases import encoder, scorer
from stores import core, store_of
from tiny_siglip import PX

from immunopath.domain.errors import (
    EngineError,
    EngineMismatch,
    HubOffline,
)
from immunopath.models.foundation.vision import medsiglip
from immunopath.models.foundation.vision.phenotype_prompts import shipped_prompts
from immunopath.models.spec import EngineSpec


def test_features_scale_and_bias_give_the_models_own_logits(siglip: Path) -> None:
    from transformers import SiglipModel, SiglipTokenizer

    ours = encoder(siglip)
    prompts = list(shipped_prompts().prompts[:4])
    pixels = torch.rand(3, 3, PX, PX, generator=torch.Generator().manual_seed(1)) * 2 - 1
    tokenizer = SiglipTokenizer.from_pretrained(siglip)
    ids = tokenizer(prompts, padding="max_length", max_length=64, return_tensors="pt")["input_ids"]
    assert ids.shape == (4, 64)
    with torch.inference_mode():
        theirs = SiglipModel.from_pretrained(siglip)(input_ids=ids, pixel_values=pixels)
    logits = ours.embed_pixels(pixels) @ ours.texts(prompts).T * ours.scale + ours.bias
    assert np.allclose(logits, theirs.logits_per_image.numpy(), atol=1e-3)


def test_texts_are_padded_to_64_and_no_mask_is_passed(siglip: Path) -> None:
    from transformers import SiglipModel, SiglipTokenizer

    text = ["lymphocytes within the tumour"]
    model, tokenizer = SiglipModel.from_pretrained(siglip), SiglipTokenizer.from_pretrained(siglip)
    right = encoder(siglip).texts(text)[0]
    padded = tokenizer(text, padding="max_length", max_length=64, return_tensors="pt")
    short = tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        masked = model.get_text_features(
            input_ids=padded["input_ids"], attention_mask=(padded["input_ids"] > 1).long()
        ).pooler_output[0]
        unpadded = model.get_text_features(input_ids=short).pooler_output[0]
    for wrong in (masked, unpadded):
        cosine = float(torch.nn.functional.normalize(wrong, dim=0) @ torch.from_numpy(right))
        assert cosine < 0.99


def test_the_scores_of_a_case(siglip: Path, shared_images: Path) -> None:
    engine = scorer(siglip, margin="0", agreement="0")
    source = core(shared_images, 1024)
    found = engine.score(source)
    assert set(found.scores) == {"inflamed", "excluded", "desert"}
    assert sum(found.scores.values()) == pytest.approx(1)
    assert found.value == max(found.scores, key=lambda name: found.scores[name])
    assert not found.calibrated
    assert found.features["views"] == 4
    assert set(found.prompt_probabilities) == set(shipped_prompts().prompt_ids)
    assert found.prompt_probabilities != found.scores
    source_of = found.source
    assert source_of.kind == "model"
    assert source_of.prompt_digest == shipped_prompts().digest
    assert source_of.weights_digest == engine.info.weights_digest
    assert source_of.preprocess == f"view=tile;field=256um;resize=tf-bilinear;px={PX}"
    assert source_of.mpp == pytest.approx(256 / PX)
    assert source_of.tile_ids == tuple(t.tile_id for t in source.tiles)


def test_the_same_whatever_the_batch(siglip: Path, shared_images: Path) -> None:
    source = core(shared_images, 1024)
    one, many = (scorer(siglip, batch=n).score(source).scores for n in ("1", "8"))
    assert one == pytest.approx(many, abs=1e-5)


def test_mpp_says_how_much_of_the_tile_a_view_shows(siglip: Path, shared_images: Path) -> None:
    engine = scorer(siglip, mpp="2.0")
    assert engine.info.expected_mpp == 2.0
    assert engine.score(core(shared_images, 512)).features["views"] == 4  # 112 µm squares


def test_a_field_too_small_is_an_abstention(siglip: Path) -> None:
    pink = np.random.default_rng(0).integers(120, 220, (200, 200, 3), dtype=np.uint8)
    source = store_of(pink)
    source._summaries = [t.model_copy(update={"quality": t.quality.model_copy(
        update={"verdict": "accept"})}) for t in source.all_tiles]  # fmt: skip
    found = scorer(siglip).score(source)
    assert found.abstained
    assert found.scores == {}
    assert "largest: 100 µm" in found.reason
    squeezed = scorer(siglip, view="squeeze")
    assert squeezed.score(source).features["views"] == 1
    assert squeezed.info.expected_mpp is None


def test_a_limit_that_is_not_met_abstains_and_keeps_the_scores(
    siglip: Path, shared_images: Path
) -> None:
    found = scorer(siglip, margin="1").score(core(shared_images, 512))
    assert found.abstained
    assert found.value is None
    assert found.reason
    assert found.scores


def test_a_calibration_file_is_what_makes_the_scores_calibrated(
    siglip: Path, shared_images: Path, tmp_path: Path
) -> None:
    plain = scorer(siglip, margin="0", agreement="0")
    path = tmp_path / "c.json"
    content = {
        "format": "immunopath-phenotype-calibration-1", "weights_digest": plain.info.weights_digest,
        "prompt_digest": shipped_prompts().digest, "preprocess": plain.info.preprocess,
        "temperature": 50.0, "cohort": "a test", "n": 3,
    }  # fmt: skip
    path.write_text(json.dumps(content))
    source = core(shared_images, 512)
    cooled = scorer(siglip, margin="0", agreement="0", calibration=str(path)).score(source)
    assert cooled.calibrated
    assert max(cooled.scores.values()) < max(plain.score(source).scores.values())
    path.write_text(json.dumps(content | {"weights_digest": "0"}))
    with pytest.raises(EngineMismatch, match="other weights"):
        scorer(siglip, calibration=str(path))


def test_the_default_is_the_published_model_and_offline_is_said(shared_images: Path) -> None:
    with pytest.raises(HubOffline, match="google/medsiglip-448"):
        medsiglip.build(EngineSpec(name="medsiglip"), "cpu")


def test_the_full_size_reads_448_pixels_and_64_tokens() -> None:
    from transformers import SiglipConfig, SiglipModel

    tower = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27,
             "num_attention_heads": 16}  # fmt: skip
    config = SiglipConfig(
        text_config={**tower, "vocab_size": 32000, "max_position_embeddings": 64},
        vision_config={**tower, "image_size": 448, "patch_size": 14},
    )
    with torch.device("meta"):
        full = SiglipModel(config)
    assert full.num_parameters() == 878_300_338
    ours = medsiglip.SiglipEncoder(full, None, "tf-bilinear")
    assert (ours.px, ours.tokens) == (448, 64)
    with pytest.raises(EngineError, match="448 x 448"):
        ours.embed_pixels(torch.zeros(1, 3, 896, 896))
