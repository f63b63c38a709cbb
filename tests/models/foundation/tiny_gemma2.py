"""A tiny Gemma 2 that has learned a few answers by heart: the class of TxGemma, made here, offline.

Random weights never write ``(A)``. So that reading an answer is tested on a model that gives one,
the head of this one is solved for the answers below; its body stays random.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tiny_gemma

from immunopath.models.torchvision_guard import guard_torchvision

FRAME = (
    "Instructions: Answer the question.\nContext: {0}\nQuestion: {1}\n"
    "Drug SMILES: {{Drug SMILES}}\nAnswer:"
)
CHOICE = "Given a drug SMILES string, predict whether it\n(A) {0} (B) {1}"
PROMPTS = {
    "BBB_Martins": FRAME.format("brain", CHOICE.format("stays outside", "enters the brain")),
    "hERG": FRAME.format("heart", CHOICE.format("spares hERG", "blocks hERG")),
    "Pgp_Broccatelli": FRAME.format("pump", CHOICE.format("is no inhibitor", "inhibits")),
    "Caco2_Wang": FRAME.format("gut", "Rank it from 000 to 1000."),
    "LD50_Zhu": FRAME.format("dose", "Rank it from 000 to 1000."),
    "DAVIS": "Drug SMILES: {Drug SMILES}\nTarget: {Target sequence}\nAnswer:",
}
ERLOTINIB = "C#Cc1cccc(Nc2ncnc3cc(OCCOC)c(OCCOC)cc23)c1"
GEFITINIB = "COc1cc2ncnc(Nc3ccc(F)c(Cl)c3)c2cc1OCCCN1CCOCC1"
SURE = 8.0
"""Logit of a token learned by heart, all others being 0."""
BY_HEART = {
    ("BBB_Martins", ERLOTINIB): "(B)",
    ("BBB_Martins", GEFITINIB): "(A)",
    ("hERG", ERLOTINIB): "none",
    ("hERG", GEFITINIB): "(B)",
    ("Pgp_Broccatelli", ERLOTINIB): "(A)",
    ("Caco2_Wang", ERLOTINIB): "512",
    ("Caco2_Wang", GEFITINIB): "007",
    ("LD50_Zhu", ERLOTINIB): "5000",
}


def build_gemma2(folder: Path, chat: bool = False, seed: int = 0) -> Path:
    """Save a Gemma2ForCausalLM of 64 x 2 layers, its tokenizer and ``tdc_prompts.json``."""
    guard_torchvision()
    import torch
    from transformers import Gemma2Config, Gemma2ForCausalLM, GenerationConfig

    torch.manual_seed(seed)
    tok = tiny_gemma.tokenizer()
    if chat:
        tok.chat_template = tiny_gemma.TEMPLATE
    pad, eos, bos = (tok.convert_tokens_to_ids(t) for t in ("<pad>", "<eos>", "<bos>"))
    config = Gemma2Config(
        vocab_size=len(tok), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=16, query_pre_attn_scalar=16,
        sliding_window=512, max_position_embeddings=2048, pad_token_id=pad, eos_token_id=eos,
        bos_token_id=bos, tie_word_embeddings=False,
    )  # fmt: skip
    model = Gemma2ForCausalLM(config)
    model.generation_config = GenerationConfig(pad_token_id=pad, eos_token_id=eos, bos_token_id=bos)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.ndim > 1 and "embed" not in name:
                value.mul_(8)  # or else the last state hardly depends on the structure
    model.eval()
    _learn(model, tok, chat)
    model.save_pretrained(folder)
    tok.save_pretrained(folder)
    (folder / "tdc_prompts.json").write_text(json.dumps(PROMPTS))
    return folder


def prompt_of(task: str, smiles: str) -> str:
    return PROMPTS[task].replace("{Drug SMILES}", smiles)


def _learn(model: Any, tok: Any, chat: bool) -> None:
    """Solve for the head that answers `BY_HEART`: least squares on the body's own last states."""
    import torch

    states, targets = [], []
    with torch.no_grad():
        for key, answer in BY_HEART.items():
            ids, n = _row(tok, prompt_of(*key), answer, chat)
            last = model.model(input_ids=torch.tensor([ids])).last_hidden_state[0]
            states.append(last[-n - 1 : -1].double())
            targets.append(torch.nn.functional.one_hot(torch.tensor(ids[-n:]), len(tok)).double())
        head = torch.linalg.pinv(torch.cat(states)) @ torch.cat(targets) * SURE
        model.lm_head.weight.copy_(head.T)


def _row(tok: Any, prompt: str, answer: str, chat: bool) -> tuple[Sequence[int], int]:
    """Return prompt and answer as ids, and how many of them are the answer's."""
    if chat:
        turn = [{"role": "user", "content": prompt}]
        text = tok.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
        head = tok(text, add_special_tokens=False)["input_ids"]
    else:
        head = tok(prompt)["input_ids"]
    tail = [*tok(answer, add_special_tokens=False)["input_ids"], tok.convert_tokens_to_ids("<eos>")]
    return [*head, *tail], len(tail)
