"""A LoRA adapter is there, whole and effective, or it is a named error."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_lora import random_adapter
from tiny_medgemma import RECORD, TEXT, build_base, field, loaded

from immunopath.domain.errors import AdapterMismatch, EngineSpecError, UnsafeWeights
from immunopath.models.foundation.medgemma.adapter import (
    LoadedAdapter,
    check_base,
    load_adapter,
    read_settings,
)
from immunopath.models.foundation.medgemma.adapter_keys import mapped_key
from immunopath.models.foundation.medgemma.gemma import Gemma, encode
from immunopath.models.foundation.medgemma.published import PUBLISHED, V31
from immunopath.models.foundation.medgemma.record import write_record
from immunopath.models.foundation.precision import Precision
from immunopath.models.foundation.weights import Weights, resolve_weights

TENSORS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
Tensors = dict[str, torch.Tensor]
LAYERS = 2 * 7 + 1 * 6


@pytest.fixture(scope="module")
def random_lora(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_adapter(loaded(base_folder).model, tmp_path_factory.mktemp("lora"))


@pytest.fixture
def folder(random_lora: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(random_lora, tmp_path / "lora"))


def put_on(gemma: Gemma, folder: Path, *, merge: bool = False) -> LoadedAdapter:
    return load_adapter(gemma, resolve_weights(str(folder)), merge=merge)


def logits(gemma: Gemma) -> torch.Tensor:
    prompt = encode(gemma, [field(90, 0)], TEXT)
    with torch.inference_mode():
        out: torch.Tensor = gemma.model(
            input_ids=prompt.input_ids,
            token_type_ids=prompt.token_type_ids,
            pixel_values=prompt.pixel_values,
        ).logits
    return out


def edit(folder: Path, change: Callable[[Tensors], Tensors]) -> None:
    save_file(change(load_file(folder / TENSORS)), folder / TENSORS)


def configure(folder: Path, **changes: object) -> None:
    path = folder / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def peft_says(base: Path, folder: Path) -> torch.Tensor:
    """The reference: peft's own loading, which is right for today's layout."""
    from peft import PeftModel

    gemma = loaded(base)
    PeftModel.from_pretrained(gemma.model, folder).eval()  # in place
    return logits(gemma)


def test_an_adapter_changes_the_answers_on_every_layer(base_folder: Path, folder: Path) -> None:
    gemma = loaded(base_folder)
    before = logits(gemma)
    said = put_on(gemma, folder)
    assert (said.layers, said.mapped, said.merged) == (LAYERS, 0, False)
    assert float((logits(gemma) - before).abs().max()) > 0.1
    assert torch.allclose(logits(gemma), peft_says(base_folder, folder), atol=1e-6)
    assert not any(p.requires_grad for p in gemma.model.parameters())


def test_merged_and_unmerged_answers_are_the_same(base_folder: Path, folder: Path) -> None:
    beside, merged = loaded(base_folder), loaded(base_folder)
    put_on(beside, folder)
    assert put_on(merged, folder, merge=True).merged
    assert not any("lora" in name for name, _ in merged.model.named_parameters())
    assert torch.allclose(logits(beside), logits(merged), atol=1e-4)


def test_an_adapter_on_nf4_weights_on_a_cpu(base_folder: Path, folder: Path) -> None:
    nf4 = loaded(base_folder, Precision("float32", "nf4"))
    before = logits(nf4)
    assert put_on(nf4, folder).layers == LAYERS
    after, full = logits(nf4), loaded(base_folder)
    put_on(full, folder)
    moved = float((after - before).abs().mean())
    rounding = float((after - logits(full)).abs().mean())
    assert rounding < moved / 2  # the packed model with the adapter is near the unpacked one


def test_merging_into_packed_weights_is_refused(base_folder: Path, folder: Path) -> None:
    with pytest.raises(EngineSpecError, match="bfloat16 or float32 to merge"):
        put_on(loaded(base_folder, Precision("float32", "nf4")), folder, merge=True)


def test_merging_would_lose_a_trained_head(base_folder: Path, folder: Path) -> None:
    configure(folder, modules_to_save=["lm_head", "embed_tokens"])
    with pytest.raises(EngineSpecError, match="lose the trained head"):
        put_on(loaded(base_folder), folder, merge=True)


def test_a_trained_head_is_loaded_and_used(base_folder: Path, tmp_path: Path) -> None:
    """As the published v2 adapter: head and embeddings trained in full beside the LoRA."""
    from peft import LoraConfig, get_peft_model

    tuned = get_peft_model(
        loaded(base_folder).model,
        LoraConfig(
            r=4, target_modules=["up_proj"], modules_to_save=["lm_head", "embed_tokens"],
            task_type="CAUSAL_LM",
        ),
    )  # fmt: skip
    source = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "lora_B" in name or "modules_to_save" in name:
                parameter.normal_(0, 0.15, generator=source)
    tuned.save_pretrained(tmp_path)
    gemma = loaded(base_folder)
    put_on(gemma, tmp_path)
    assert torch.allclose(logits(gemma), peft_says(base_folder, tmp_path), atol=1e-6)
    edit(tmp_path, lambda t: {k: x for k, x in t.items() if "lm_head" not in k})
    with pytest.raises(AdapterMismatch, match="1 keys missing"):
        put_on(loaded(base_folder), tmp_path)


def before_4_52(key: str) -> str:
    key = key.replace(
        "base_model.model.model.language_model.", "base_model.model.language_model.model."
    )
    return key.replace(
        "base_model.model.model.vision_tower.", "base_model.model.vision_tower.vision_model."
    )


def of_4_52(key: str) -> str:
    return key.replace("model.vision_tower.", "model.vision_tower.vision_model.")


@pytest.mark.parametrize("layout", [before_4_52, of_4_52])
def test_older_key_layouts_are_mapped_to_the_same_answers(
    base_folder: Path, folder: Path, layout: Callable[[str], str]
) -> None:
    today, older = loaded(base_folder), loaded(base_folder)
    put_on(today, folder)
    edit(folder, lambda tensors: {layout(key): t for key, t in tensors.items()})
    assert put_on(older, folder).mapped > 0
    assert torch.equal(logits(today), logits(older))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("base_model.model.language_model.lm_head.weight", "base_model.model.lm_head.weight"),
        (
            "base_model.model.multi_modal_projector.mm_soft_emb_norm.weight",
            "base_model.model.model.multi_modal_projector.mm_soft_emb_norm.weight",
        ),
        (
            "base_model.model.model.language_model.model.layers.0.mlp.up_proj.lora_A.weight",
            "base_model.model.model.language_model.layers.0.mlp.up_proj.lora_A.weight",
        ),
        ("somewhere.else.weight", "somewhere.else.weight"),
    ],
)
def test_key_mapping(old: str, new: str) -> None:
    assert mapped_key(old) == new
    assert mapped_key(new) == new


def missing(tensors: Tensors) -> Tensors:
    return {k: t for k, t in tensors.items() if "layers.1.self_attn.q_proj" not in k}


def left_over(tensors: Tensors) -> Tensors:
    return tensors | {
        "base_model.model.model.language_model.layers.9.x.lora_A.weight": torch.ones(1)
    }


def zero_on_one_layer(tensors: Tensors) -> Tensors:
    name = next(k for k in sorted(tensors) if "lora_B" in k)
    return tensors | {name: torch.zeros_like(tensors[name])}


def not_a_number(tensors: Tensors) -> Tensors:
    name = next(k for k in sorted(tensors) if "lora_B" in k)
    return tensors | {name: torch.full_like(tensors[name], float("nan"))}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (missing, r"[24] keys missing and 0 left over"),
        (left_over, "0 keys missing and 1 left over"),
        (zero_on_one_layer, rf"zero or not finite on 1 of {LAYERS} layers"),
        (not_a_number, rf"zero or not finite on 1 of {LAYERS} layers"),
    ],
)
def test_an_adapter_that_is_not_wholly_there_is_refused(
    base_folder: Path,
    folder: Path,
    change: Callable[[Tensors], Tensors],
    match: str,
) -> None:
    edit(folder, change)
    with pytest.raises(AdapterMismatch, match=match):
        put_on(loaded(base_folder), folder)


def test_an_untrained_adapter_is_refused(base_folder: Path, folder: Path) -> None:
    edit(folder, lambda t: {k: x * ("lora_A" in k) for k, x in t.items()})
    with pytest.raises(AdapterMismatch, match="changes nothing"):
        put_on(loaded(base_folder), folder)


def test_an_adapter_of_a_base_of_another_shape_is_refused(folder: Path, tmp_path: Path) -> None:
    other = loaded(build_base(tmp_path / "other", intermediate=192))
    with pytest.raises(AdapterMismatch, match="do not fit this base model"):
        put_on(other, folder)


def test_an_adapter_that_targets_what_the_base_lacks_is_refused(
    base_folder: Path, folder: Path
) -> None:
    configure(folder, target_modules=["c_attn"])
    with pytest.raises(AdapterMismatch, match="target modules are not in this base"):
        put_on(loaded(base_folder), folder)


def named(weights: Weights, repo: str) -> Weights:
    """The same files, as if they had come from the hub."""
    return Weights(repo, weights.folder, repo, "0" * 40, weights.files, weights.digest)


def test_two_hub_ids_must_be_the_same_base(base_folder: Path, folder: Path) -> None:
    configure(folder, base_model_name_or_path="google/medgemma-4b-it")
    gemma = loaded(base_folder)
    other = Gemma(
        gemma.model, gemma.processor, named(gemma.weights, "google/medgemma-1.5-4b-it"),
        gemma.precision, "cpu",
    )  # fmt: skip
    with pytest.raises(AdapterMismatch, match="trained on google/medgemma-4b-it, not on"):
        put_on(other, folder)
    same = Gemma(
        gemma.model, gemma.processor, named(gemma.weights, "google/medgemma-4b-it"),
        gemma.precision, "cpu",
    )  # fmt: skip
    assert put_on(same, folder).base_confirmed


def test_the_record_names_the_base_of_an_adapter_trained_on_a_folder(
    base_folder: Path, folder: Path
) -> None:
    configure(folder, base_model_name_or_path="/data/medgemma")
    write_record(RECORD.model_copy(update={"base": "google/medgemma-4b-it"}), folder)
    gemma, adapter = loaded(base_folder), resolve_weights(str(folder))
    settings = read_settings(adapter)
    other = named(gemma.weights, "google/medgemma-1.5-4b-it")
    with pytest.raises(AdapterMismatch, match="trained on google/medgemma-4b-it, not on"):
        check_base(other, adapter, settings)
    assert check_base(named(gemma.weights, "google/medgemma-4b-it"), adapter, settings)
    assert not check_base(gemma.weights, adapter, settings)


def test_the_shipped_record_names_the_base_of_a_published_adapter(
    base_folder: Path, folder: Path
) -> None:
    configure(folder, base_model_name_or_path="/kaggle/input/medgemma")
    adapter = named(resolve_weights(str(folder)), V31)
    base, settings = loaded(base_folder).weights, read_settings(adapter)
    assert check_base(named(base, str(PUBLISHED[V31].base)), adapter, settings)
    with pytest.raises(AdapterMismatch, match="not on google/other"):
        check_base(named(base, "google/other"), adapter, settings)


def test_a_folder_cannot_confirm_the_base(base_folder: Path, folder: Path) -> None:
    assert not put_on(loaded(base_folder), folder).base_confirmed


def test_pickled_adapters_are_never_loaded(base_folder: Path, folder: Path) -> None:
    (folder / TENSORS).rename(folder / "adapter_model.bin")
    with pytest.raises(UnsafeWeights, match="never loaded"):
        put_on(loaded(base_folder), folder)


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda f: (f / CONFIG).unlink(), "no readable adapter_config.json"),
        (lambda f: configure(f, peft_type="IA3"), "is a IA3 adapter"),
        (lambda f: (f / TENSORS).write_bytes(b"x" * 40), "not a whole safetensors file"),
        (
            lambda f: configure(
                f, auto_mapping={"parent_library": "transformers.models.llama.modeling_llama"}
            ),
            "not on Gemma 3",
        ),
    ],
)
def test_what_is_no_lora_adapter_is_named(
    base_folder: Path, folder: Path, spoil: Callable[[Path], object], match: str
) -> None:
    spoil(folder)
    with pytest.raises(AdapterMismatch, match=match):
        put_on(loaded(base_folder), folder)
