"""Tiny Gemma 3 checkpoints of the real classes, built here, saved, and loaded from their folder.

Nothing is downloaded. The tokenizer is a byte-pair encoder of Gemma's kind (spaces become ▁, bytes
as fallback, digits single, merges across JSON punctuation), trained on the few lines below.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SPECIALS = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")
TURNS = ("<start_of_turn>", "<end_of_turn>")
IMAGE = ("<start_of_image>", "<end_of_image>", "<image_soft_token>")
BYTES = tuple(f"<0x{i:02X}>" for i in range(256))

_FIELDS = (
    '"cd274_expression": "high"', '"msi_status": "MSS"', '"tme_subtype": "IE"',
    '"til_fraction": 0.29', '"til_density": "low"', '"immune_phenotype": "inflamed"',
    '"cd8_infiltration": "moderate"', '"immune_score": 0.283',
)  # fmt: skip
_WORDS = (
    "Analyze this histopathology patch of a lung biopsy. Describe the tumor immune "
    "microenvironment and return a JSON object with the fields expression status subtype "
    "fraction density phenotype infiltration score high moderate low desert excluded unknown. "
    "MSI-H MSS IE F D"
)

TEMPLATE = """\
{{- bos_token -}}
{%- for m in messages -%}
{{- '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\\n' -}}
{%- if m['content'] is string -%}{{- m['content'] | trim -}}
{%- else -%}
{%- for p in m['content'] -%}
{%- if p['type'] == 'image' -%}{{- '<start_of_image>' -}}
{%- elif p['type'] == 'text' -%}{{- p['text'] | trim -}}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<end_of_turn>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<start_of_turn>model\\n' -}}{%- endif -%}
"""


def _corpus() -> list[str]:
    line = "{" + ", ".join(_FIELDS) + "}"
    answer = json.loads(line)
    layouts = [json.dumps(answer, indent=2), line, json.dumps(answer, separators=(",", ":"))]
    return [*layouts, *layouts, _WORDS]


def tokenizer(vocabulary: int = 460, extra: Sequence[str] = ()) -> Any:
    """Return the tokenizer; its merges cross from JSON punctuation into nothing but itself.

    extra: more lines to learn words from.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    encoder = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    encoder.normalizer = normalizers.Replace(" ", "▁")
    pieces = Regex(r"▁?[A-Za-z]+|[0-9]|\n|[▁]?[^A-Za-z0-9▁\n]+|▁+")
    encoder.pre_tokenizer = pre_tokenizers.Split(pieces, behavior="isolated")
    encoder.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback()])
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[*SPECIALS, *TURNS, *IMAGE, *BYTES],
        initial_alphabet=[*map(chr, range(33, 127)), "▁", "\n"],
        show_progress=False,
    )
    encoder.train_from_iterator([*_corpus(), *extra], trainer)
    model = json.loads(encoder.to_str())["model"]
    return gemma_tokenizer(model["vocab"], [tuple(pair) for pair in model["merges"]])


def gemma_tokenizer(vocab: dict[str, int], merges: Sequence[tuple[str, str]]) -> Any:
    """Return a GemmaTokenizer of a vocabulary and merges, with the image tokens named."""
    from transformers import GemmaTokenizer

    made = GemmaTokenizer(
        vocab=vocab,
        merges=list(merges),
        add_bos_token=True,
        model_max_length=8192,
        clean_up_tokenization_spaces=False,
        padding_side="left",
        model_specific_special_tokens={
            "boi_token": IMAGE[0], "eoi_token": IMAGE[1], "image_token": IMAGE[2],
        },
    )  # fmt: skip
    made.add_special_tokens({"extra_special_tokens": list(TURNS)})
    return made


def config(tok: Any, **changes: Any) -> Any:
    """Return a Gemma3Config of a tiny shape; see `build_gemma3` for the changes."""
    from transformers import Gemma3Config, Gemma3TextConfig, SiglipVisionConfig

    ids = tok.convert_tokens_to_ids
    get = changes.get
    layers = get("layers", 4)
    text = Gemma3TextConfig(
        vocab_size=get("vocab_size", len(tok)),
        hidden_size=get("hidden", 64),
        intermediate_size=get("intermediate", 128),
        num_hidden_layers=layers,
        num_attention_heads=get("heads", 4),
        num_key_value_heads=get("kv_heads", 2),
        head_dim=get("head_dim", 16),
        query_pre_attn_scalar=get("head_dim", 16),
        sliding_window=get("window", 64),
        layer_types=[
            "sliding_attention" if (i + 1) % get("pattern", 2) else "full_attention"
            for i in range(layers)
        ],
        max_position_embeddings=8192,
        pad_token_id=ids("<pad>"), bos_token_id=ids("<bos>"), eos_token_id=ids("<eos>"),
    )  # fmt: skip
    vision = SiglipVisionConfig(
        hidden_size=get("vision_hidden", 64),
        intermediate_size=get("vision_intermediate", 128),
        num_hidden_layers=get("vision_layers", 2),
        num_attention_heads=get("vision_heads", 2),
        image_size=get("image_size", 56),
        patch_size=get("patch_size", 14),
        vision_use_head=False,
    )
    return Gemma3Config(
        text_config=text,
        vision_config=vision,
        mm_tokens_per_image=get("mm_tokens", 4),
        boi_token_index=ids(IMAGE[0]),
        eoi_token_index=ids(IMAGE[1]),
        image_token_index=ids(IMAGE[2]),
        eos_token_id=[ids("<eos>"), ids("<end_of_turn>")],
    )


def randomise(
    model: Any, seed: int, embedding_std: float = 0.15, projector_std: float = 0.5
) -> None:
    """Give a random model a voice: a projector that is not zero, a head that is not uniform."""
    import torch

    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        projector = model.model.multi_modal_projector.mm_input_projection_weight
        projector.normal_(0, projector_std, generator=source)
        embeddings = model.model.language_model.embed_tokens.weight
        embeddings.normal_(0, embedding_std, generator=source)


def build_gemma3(
    folder: Path, *, seed: int = 0, tok: Any = None, embedding_std: float = 0.15, **changes: Any
) -> Path:
    """Save a tiny Gemma 3 with processor in `folder` and return it.

    changes: hidden, intermediate, layers, heads, kv_heads, head_dim, window, vocab_size, pattern
    (every n-th layer attends fully), vision_hidden, vision_intermediate, vision_layers,
    vision_heads, patch_size, image_size, mm_tokens, projector_std. Inputs of every Linear are
    multiples of 64 and outputs of 32, as bitsandbytes wants them on CPUs.
    """
    import torch
    from transformers import Gemma3ForConditionalGeneration, Gemma3Processor, GenerationConfig
    from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

    tok = tokenizer() if tok is None else tok
    torch.manual_seed(seed)
    model = Gemma3ForConditionalGeneration(config(tok, **changes)).float().eval()
    randomise(model, seed, embedding_std, changes.get("projector_std", 0.5))
    ids = tok.convert_tokens_to_ids
    model.generation_config = GenerationConfig(
        bos_token_id=ids("<bos>"),
        pad_token_id=ids("<pad>"),
        eos_token_id=[ids("<eos>"), ids("<end_of_turn>")],
        do_sample=False,
    )
    size = changes.get("image_size", 56)
    images = Gemma3ImageProcessorPil(size={"height": size, "width": size})
    processor = Gemma3Processor(
        image_processor=images,
        tokenizer=tok,
        chat_template=TEMPLATE,
        image_seq_length=changes.get("mm_tokens", 4),
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def load(folder: Path, **options: Any) -> tuple[Any, Any]:
    """Return (model, processor) through `from_pretrained`, as the product loads them."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(folder, **options).eval()
    return model, AutoProcessor.from_pretrained(folder, backend="pil")


def encode(processor: Any, text: str, images: Sequence[Any]) -> Any:
    """Return an `EncodedPrompt` of one user turn: images first, then the text."""
    from immunopath.models.foundation.decoding.decoder import EncodedPrompt

    content: list[dict[str, Any]] = [{"type": "image", "image": image} for image in images]
    content.append({"type": "text", "text": text})
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    return EncodedPrompt(inputs["input_ids"], inputs["token_type_ids"], inputs.get("pixel_values"))


def noise(seed: int, size: int = 56) -> Any:
    """Return a PIL image of random pixels."""
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return Image.fromarray(pixels)
