"""Tiny MedGemma set-ups as folders: a base, an adapter that sees the image, one that does not."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiny_gemma import build_gemma3
from tiny_lora import HIGH, LOW, field, trained_adapter

from immunopath.domain.prediction import CutPoints
from immunopath.models.foundation.medgemma.gemma import Gemma, load_gemma
from immunopath.models.foundation.medgemma.record import CheckpointRecord, write_record
from immunopath.models.foundation.precision import Precision
from immunopath.models.foundation.weights import resolve_weights

TEXT = "Answer."
PX = 64
RECORD = CheckpointRecord(
    prompt="tiny",
    prompt_text=TEXT,
    images=1,
    format="indented",
    quantity="rna_score_minmax",
    cut_points=CutPoints(low=0.31, high=0.522),
    mpp=0.5,
    patch_px=PX,
)
STEPS = 70


@dataclass(frozen=True)
class Folders:
    """base; seeing: answers LOW for dark and HIGH for bright images; constant: always LOW."""

    base: Path
    seeing: Path
    constant: Path

    def engine(self, adapter: str = "seeing", **options: object) -> str:
        """The engine string of one adapter."""
        named = {"adapter": getattr(self, adapter), **options}
        return ",".join([f"medgemma:{self.base}", *(f"{k}={v}" for k, v in named.items())])


def build_base(folder: Path, **changes: Any) -> Path:
    """A base with two layers and images of 28 px: a second of training teaches it an answer."""
    return build_gemma3(folder, layers=2, vision_layers=1, image_size=28, **changes)


def loaded(folder: Path, precision: Precision | None = None) -> Gemma:
    return load_gemma(resolve_weights(str(folder)), precision or Precision("float32"), "cpu")


def build_all(root: Path) -> Folders:
    """Build the three folders; the adapters carry their record."""
    import torch

    torch.set_num_threads(1)
    base = build_base(root / "base")
    levels = ((60, LOW), (90, LOW), (170, HIGH), (210, HIGH))
    seeing = [(field(level, i), answer) for i, (level, answer) in enumerate(levels)]
    constant: list[tuple[Any, Mapping[str, object]]] = [(image, LOW) for image, _ in seeing]
    made = {}
    for name, rows in (("seeing", seeing), ("constant", constant)):
        torch.manual_seed(0)
        made[name] = trained_adapter(loaded(base), root / name, rows, TEXT, steps=STEPS)
        write_record(RECORD, made[name])
    return Folders(base, made["seeing"], made["constant"])
