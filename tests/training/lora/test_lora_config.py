"""The configuration: presets are data, and every fault names its key before anything is loaded."""

from pathlib import Path
from typing import Any

import pytest

from immunopath.domain.errors import CaseFileError
from immunopath.models.foundation.medgemma.prompts import CARD, V31_RUN
from immunopath.training.lora.config import AugmentConfig
from immunopath.training.lora.config_file import make_config, preset_names, read_config

NEEDED = {"base": "google/medgemma-1.5-4b-it", "cohort": "c", "out": "o"}


def made(name: str, **changes: Any) -> Any:
    return make_config({**NEEDED, "preset": name, **changes})


def test_the_card_and_the_run_differ_as_they_did() -> None:
    card, run = made("card-v3.1"), made("run-v3.1")
    assert (card.optim.lr, card.optim.warmup) == (2e-4, 0.1)
    assert (card.optim.batch, card.optim.accumulation, card.data.max_length) == (1, 8, 1536)
    assert (card.lora.targets, card.data.images, card.data.prompt) == ("named_seven", 1, CARD.id)
    assert (run.optim.lr, run.optim.warmup, run.optim.max_grad_norm) == (1e-4, 0.03, 0.3)
    assert (run.optim.batch, run.optim.accumulation, run.data.max_length) == (2, 8, 2048)
    assert (run.lora.targets, run.data.images, run.data.prompt) == ("all_linear", 2, V31_RUN.id)
    assert (run.run.every, run.run.patience) == (23, 2)
    for config in (card, run):
        assert (config.lora.rank, config.lora.alpha, config.lora.dropout) == (16, 16, 0.05)
        assert (config.data.decimals, config.loss.kind, config.data.choice) == (
            3,
            "tokens",
            "first",
        )
        assert config.data.augment == AugmentConfig()  # a tile is not changed at all
        assert (config.run.quant, config.run.dtype) == ("nf4", "bfloat16")
    # 751 patients and 16 rows a step: 141 steps, as the run printed
    assert -(-751 * run.optim.epochs // (run.optim.batch * run.optim.accumulation)) == 141


def test_the_default_is_ours() -> None:
    config = make_config(NEEDED)
    assert preset_names() == ("card-v3.1", "default", "run-v3.1")
    assert (config.preset, config.data.choice, config.data.decimals) == ("default", "random", 2)
    assert config.data.augment.geometric
    assert config.data.augment.stain > 0
    assert config.data.tiles > config.data.images > 1
    assert config.loss.kind == "fields"
    assert config.run.patience > 0


def test_a_file_says_what_differs_from_its_preset(tmp_path: Path) -> None:
    text = "preset: run-v3.1\nbase: ./b\ncohort: c\nout: o\noptim: {lr: 5e-5}\n"
    (tmp_path / "t.yaml").write_text(text)
    config = read_config(tmp_path / "t.yaml", {"out": "other"})
    assert (config.optim.lr, config.optim.batch, config.data.images) == (5e-5, 2, 2)
    assert config.cohort == tmp_path / "c"
    assert config.base == str(tmp_path / "b")
    assert config.out == Path("other")
    toml = 'base = "x/y"\ncohort = "/c"\nout = "o"\n[run]\nseed = 3\n'
    (tmp_path / "t.toml").write_text(toml)
    other = read_config(tmp_path / "t.toml")
    assert (other.run.seed, other.base, str(other.cohort)) == (3, "x/y", "/c")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"optim": {"lerning_rate": 1}}, r"optim\.lerning_rate: unknown key"),
        ({"augment": {}}, "augment: unknown key"),
        ({"optim": {"lr": float("nan")}}, r"optim\.lr: .*finite"),
        ({"optim": {"epochs": 0}}, r"optim\.epochs: "),
        ({"data": {"keys": ["til"]}}, "'til' is not one of cd274_expression"),
        ({"data": {"keys": []}}, "at least one field"),
        ({"data": {"prompt": "mine"}}, "give prompt_text"),
        ({"data": {"decimals": 4}}, r"data\.decimals"),
        ({"loss": {"weights": {"til": 1}}}, "'til' is not one of"),
        ({"loss": {"kind": "tokens", "weights": {"til_fraction": 1}}}, "weights need kind"),
        ({"lora": {"targets": "everything"}}, r"lora\.targets"),
        ({"preset": "v4"}, "preset 'v4' does not exist; choose card-v3.1"),
        ({"preset": 4}, "preset: give one of"),
        ({"base": None}, "base: "),
        ({"optim": 3}, "optim: "),
    ],
)
def test_a_fault_names_its_key(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(CaseFileError, match=said):
        make_config({**NEEDED, **changes})


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.yaml", "base: [", "not valid YAML"),
        ("a.yaml", "- 1\n", "no table of keys"),
        ("a.yaml", "base: a\nbase: b\n", "appears twice"),
        ("a.toml", "base = ", "is not TOML"),
        ("a.yaml", "base: a\nout: o\n", "cohort: Field required"),
        ("a.yaml", "", "no table of keys"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    name: str, text: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(CaseFileError, match=said) as caught:
        read_config(tmp_path / name)
    assert name in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CaseFileError, match="no such file"):
        read_config(tmp_path / "none.yaml")
