"""An engine string that the builder refuses is refused by doctor, fetch and verify alike."""

from pathlib import Path

import pytest

from immunopath.domain.errors import CheckpointError, EngineSpecError
from immunopath.models.foundation.doctor import check_engine
from immunopath.models.foundation.sources import sources_of
from immunopath.models.foundation.weights import Source
from immunopath.models.registry import Role, build_engine
from immunopath.models.spec import EngineSpec
from immunopath.pipeline.run import ImmunoPath

pytest.importorskip("transformers")

BAD: tuple[tuple[Role, str, str], ...] = (
    ("predictor", "medgemma:{folder},batch=0", "batch=0"),
    ("predictor", "medgemma:{folder},batch=" + "9" * 5000, "whole number from 1 to 4096"),
    ("predictor", "medgemma:{folder},batch=1.5", "whole number"),
    ("predictor", "medgemma:{folder},head=half", "full or candidates"),
    ("predictor", "medgemma:{folder},images=none", "images"),
    ("predictor", "medgemma:{folder},px=-1", "px"),
    ("predictor", "medgemma:{folder},prompt=mine", "does not exist"),
    ("predictor", "medgemma:{folder},revision=main", "is a folder"),
    ("predictor", "medgemma:a/b,adapter={folder},adapter_revision=v1", "is a folder"),
    ("predictor", "medgemma:a/b,adapter_revision=v1", "without an adapter"),
    ("phenotype", "medsiglip:{folder},colour=red", "colour"),
    ("phenotype", "medsiglip:{folder},resize=nearest", "tf-bilinear"),
    ("phenotype", "medsiglip:{folder},view=warp", "tile or crop or squeeze"),
    ("phenotype", "medsiglip:{folder},batch=8.7", "whole number"),
    ("phenotype", "medsiglip:{folder},margin=nan", "from 0 to 1"),
    ("phenotype", "medsiglip:{folder},dtype=float16", "float32 or bfloat16"),
    ("phenotype", "medsiglip:{folder},revision=main", "is a folder"),
    ("embedder", "hf-vision", "say which model"),
    ("embedder", "hf-vision:{folder},pool=max", "pool=max"),
    ("embedder", "hf-vision:{folder},mpp=1e9", "from 0.05 to 20"),
    ("embedder", "timm", "say which model"),
    ("embedder", "timm:vit_tiny", "pretrained=FILE"),
    ("embedder", "timm:{folder},pretrained=x.safetensors", "pretrained= goes with"),
    ("embedder", "path-foundation:{folder},runtime=jax", "auto or tf or onnx"),
    ("embedder", "path-foundation:{folder},mpp=0.25", "it was trained at"),
    ("embedder", "path-foundation:m.onnx,runtime=tf", "does not run in TensorFlow"),
    ("embedder", "path-foundation:m.onnx,revision=v1", "a file has none"),
    ("drugs", "txgemma:{folder},compute=maybe", "yes or no"),
    ("drugs", "txgemma:{folder},mode=ask", "predict or chat"),
    ("drugs", "txgemma:{folder},tasks=NOSUCH", "NOSUCH"),
    ("drugs", "txgemma:{folder},batch=0", "batch=0"),
)


@pytest.mark.parametrize(("role", "text", "says"), BAD, ids=[f"{t[:40]}" for _, t, _ in BAD])
def test_what_the_builder_refuses_the_others_refuse_too(
    role: Role, text: str, says: str, tmp_path: Path
) -> None:
    spec = EngineSpec.parse(text.format(folder=tmp_path))
    with pytest.raises(EngineSpecError, match=says) as asked:
        sources_of(role, spec)
    with pytest.raises(EngineSpecError) as built:
        build_engine(role, spec, "cpu")
    assert str(asked.value) == str(built.value)
    rows = check_engine(role, spec, "cpu")
    assert rows[-1].state == "missing"
    assert rows[-1].remedy or "exist" in says
    assert says.split(" ", maxsplit=1)[0] in rows[-1].detail + rows[-1].remedy


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("open_clip", "say which model"),
        ("open_clip:ViT-B-32", "give its weights"),
        ("open_clip:NoSuch", "knows no model"),
        ("open_clip:ViT-B-32,pretrained=x.safetensors,revision=v1", "a file has none"),
        ("open_clip:ViT-B-32,pretrained=x.safetensors,batch=0", "batch=0"),
        ("open_clip:a/b,pretrained=x.safetensors", "pretrained= goes with"),
    ],
)
def test_open_clip_strings_are_judged_in_one_place(text: str, says: str) -> None:
    pytest.importorskip("open_clip")
    test_what_the_builder_refuses_the_others_refuse_too("phenotype", text, says, Path())


@pytest.mark.parametrize(
    ("role", "text", "revisions"),
    [
        ("predictor", "medgemma:a/b,revision=r1,adapter=c/d,adapter_revision=r2", ["r1", "r2"]),
        ("predictor", "medgemma,adapter_revision=r2", [None, "r2"]),
        ("phenotype", "medsiglip,revision=r1", ["r1"]),
        ("embedder", "hf-vision:a/b,revision=r1", ["r1"]),
        ("embedder", "timm:a/b,revision=r1", ["r1"]),
        ("embedder", "path-foundation,revision=r1", ["r1"]),
        ("drugs", "txgemma,revision=r1", ["r1"]),
    ],
)
def test_a_revision_goes_with_what_is_fetched(
    role: Role, text: str, revisions: list[str | None]
) -> None:
    found = sources_of(role, EngineSpec.parse(text))
    assert [source.revision for source in found] == revisions
    assert all(isinstance(source, Source) for source in found)


def test_wrong_options_end_a_run_before_any_image_and_missing_weights_do_not(
    tmp_path: Path,
) -> None:
    with pytest.raises(EngineSpecError, match="batch=0"):
        ImmunoPath(predictor=f"medgemma:{tmp_path},batch=0")
    with pytest.raises(EngineSpecError, match="quant=int8: choose nf4 or none"):
        ImmunoPath(predictor=f"medgemma:{tmp_path},quant=int8")
    with pytest.raises(EngineSpecError, match="dtype=int8: choose bfloat16 or float32"):
        ImmunoPath(drugs=f"txgemma:{tmp_path},dtype=int8")
    with pytest.raises(EngineSpecError, match="is not a device"):
        ImmunoPath(predictor=f"medgemma:{tmp_path}", device="gpu0")
    for text in (f"medgemma:{tmp_path}", "medgemma:/no/such/folder"):
        with pytest.raises(CheckpointError, match=r"no such folder|holds no file"):
            ImmunoPath(predictor=text)
    ImmunoPath(predictor="medgemma:a/b,adapter=c/d").close()
    (tmp_path / "config.json").write_text("{}")
    ImmunoPath(predictor=f"medgemma:{tmp_path}", device="cuda:7").close()
    ImmunoPath(device="gpu0").close()  # embedded engines run on the CPU whatever is said
