"""The open_clip scorer on tiny models of open_clip's own classes; needs the extra openclip."""

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from stores import core
from tiny_open_clip import MODEL, build_open_clip

from immunopath.domain.errors import (
    CheckpointClassError,
    EngineSpecError,
    EngineUnavailable,
    HubOffline,
    UnsafeWeights,
    WeightsCorrupted,
)
from immunopath.models.foundation.vision import open_clip as engine
from immunopath.models.foundation.vision.open_clip_source import (
    CONFIG,
    find_checkpoint,
    library,
    meant,
)
from immunopath.models.foundation.vision.phenotype_prompts import shipped_prompts
from immunopath.models.foundation.vision.zero_shot import ZeroShotPhenotype
from immunopath.models.registry import build_engine
from immunopath.models.spec import EngineSpec

INSTALLED = importlib.util.find_spec("open_clip") is not None
needs = pytest.mark.skipif(not INSTALLED, reason="open_clip comes with the extra openclip")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A local open_clip model: configuration and one safetensors file."""
    return build_open_clip(tmp_path_factory.mktemp("open_clip") / "model")


def scorer(source: object, **options: str) -> ZeroShotPhenotype:
    spec = EngineSpec(name="open_clip", source=str(source), options=options)
    built = build_engine("phenotype", spec, "cpu")
    assert isinstance(built, ZeroShotPhenotype)
    return built


@needs
def test_the_scores_of_a_case_and_no_sigmoid_for_a_softmax_model(
    folder: Path, shared_images: Path
) -> None:
    found = scorer(folder, margin="0", agreement="0").score(core(shared_images, 512))
    assert sum(found.scores.values()) == pytest.approx(1)
    assert found.value is not None
    assert found.prompt_probabilities == {}
    assert found.source.engine == "open_clip-phenotype"
    assert found.source.preprocess == "view=tile;field=256um;resize=bicubic;px=32"


@needs
def test_a_sigmoid_model_gives_each_prompt_its_probability(
    tmp_path: Path, shared_images: Path
) -> None:
    made = build_open_clip(tmp_path / "s", init_logit_bias=-2.0)
    found = scorer(made, margin="0", agreement="0").score(core(shared_images, 512))
    assert set(found.prompt_probabilities) == set(shipped_prompts().prompt_ids)


@needs
def test_cosines_are_those_of_the_model_with_its_own_preprocessing(folder: Path) -> None:
    import torch
    from PIL import Image

    clip = library()
    rgb = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    model, _, preprocess = clip.create_model_and_transforms(f"local-dir:{folder}")
    tokenizer = clip.get_tokenizer(f"local-dir:{folder}")
    texts = list(shipped_prompts().prompts[:3])
    with torch.inference_mode():
        theirs = model.eval()(preprocess(Image.fromarray(rgb))[None], tokenizer(texts))
    checkpoint = find_checkpoint(meant(EngineSpec(name="open_clip", source=str(folder))))
    ours = engine.load_encoder(checkpoint, "cpu")
    assert np.allclose(ours.images([rgb]), theirs[0].numpy(), atol=1e-5)
    assert np.allclose(ours.texts(texts), theirs[1].numpy(), atol=1e-5)
    assert ours.scale == pytest.approx(float(theirs[2]), rel=1e-6)
    with pytest.raises(EngineUnavailable, match="shorten it"):
        ours.texts(["lymphocyte " * 100])


@needs
def test_a_known_name_with_a_file(folder: Path, tmp_path: Path, shared_images: Path) -> None:
    clip = library()
    (tmp_path / "tiny-known.json").write_text(json.dumps(MODEL))
    clip.add_model_config(tmp_path)
    file = folder / "open_clip_model.safetensors"
    named = scorer("tiny-known", pretrained=str(file), margin="0", agreement="0")
    assert named.info.revision.startswith("tiny-known sha256-")
    source = core(shared_images, 512)
    assert named.score(source).scores == pytest.approx(
        scorer(folder, margin="0", agreement="0").score(source).scores, abs=1e-5
    )
    with pytest.raises(WeightsCorrupted, match="not the weights of this model"):
        scorer("ViT-B-32", pretrained=str(file))


@needs
@pytest.mark.parametrize(
    ("source", "options", "what"),
    [
        ("ViT-B-32", {}, "pretrained=FILE"),
        ("ViT-B-32", {"pretrained": "no_such_tag"}, "no_such_tag"),
        ("ViT-B-32", {"pretrained": "openai"}, "ViT-B-32-quickgelu"),
        ("NoSuchNet", {}, "knows no model"),
        ("NoSuchNet", {"pretrained": "x"}, "knows no model"),
    ],
)
def test_what_a_spec_lacks(source: str, options: dict[str, str], what: str) -> None:
    with pytest.raises(EngineSpecError, match=what):
        scorer(source, **options)


@needs
def test_a_tag_is_looked_up_in_its_repository_and_nothing_is_downloaded() -> None:
    with pytest.raises(HubOffline, match="laion/CLIP-ViT-B-32-laion2B-s34B-b79K"):
        scorer("ViT-B-32", pretrained="laion2b_s34b_b79k")


@needs
@pytest.mark.parametrize(
    ("source", "options", "repo"),
    [
        ("ViT-B-32", {"pretrained": "laion2b_s34b_b79k"}, "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"),
        ("hf-hub:owner/name", {}, "owner/name"),
        ("ViT-B-32", {"pretrained": "w.safetensors"}, None),
    ],
)
def test_what_must_be_fetched_for_a_spec(
    source: str, options: dict[str, str], repo: str | None
) -> None:
    found = engine.hub_sources(EngineSpec(name="open_clip", source=source, options=options))
    assert [source.name for source in found] == ([] if repo is None else [repo])


@needs
def test_files_that_cannot_be_used(folder: Path, tmp_path: Path) -> None:
    pickled = tmp_path / "weights.pt"
    pickled.write_bytes(b"x")
    with pytest.raises(UnsafeWeights, match="never loaded"):
        scorer("ViT-B-32", pretrained=str(pickled))
    with pytest.raises(WeightsCorrupted, match="cannot be read"):
        scorer("ViT-B-32", pretrained=str(tmp_path / "absent.safetensors"))
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    weights = copy / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(WeightsCorrupted, match="damaged"):
        scorer(copy)
    weights.unlink()
    with pytest.raises(UnsafeWeights, match="no open_clip_model"):
        scorer(copy)
    (copy / CONFIG).unlink()
    with pytest.raises(CheckpointClassError, match=CONFIG):
        scorer(copy)


def test_it_says_which_model_is_missing() -> None:
    with pytest.raises(EngineSpecError, match="say which model"):
        build_engine("phenotype", EngineSpec(name="open_clip"), "cpu")


@pytest.mark.skipif(INSTALLED, reason="open_clip is installed")
def test_without_the_package_the_extra_is_named() -> None:
    with pytest.raises(EngineUnavailable, match=r"immunopath\[openclip\]"):
        scorer("ViT-B-32", pretrained="x.safetensors")
