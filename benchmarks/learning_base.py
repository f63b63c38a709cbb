"""The base model of the learning benchmark: a tiny Gemma 3, trained in full on synthetic fields.

What a LoRA step can show depends on a base that sees and writes, as MedGemma does. So this one is
trained first, on fields of *other* synthetic patients and without a single RNA-like label: to write
maps of what lies where, to count, and to write eight-field answers whose values are random. It
knows the format and sees cells; that the two have to do with each other it is never told.
"""
# ruff: noqa: ANN401 - models and tokenizers of transformers have no types

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/models/foundation"))

import tiny_gemma  # noqa: E402 - from the test folder just added

from immunopath.domain.prediction import FIELD_VALUES  # noqa: E402
from immunopath.models.torchvision_guard import guard_torchvision  # noqa: E402
from immunopath.training.synthetic.cohort import (  # noqa: E402
    CohortSettings,
    SyntheticTile,
    make_cohort,
)
from immunopath.training.synthetic.scene import place_field  # noqa: E402

PROMPT = "Describe the tumor immune microenvironment as JSON."
MAP, COUNT = "Map the field.", "Count the cells."
GRID = 4
"""Squares a side of the map that the base learns to write: one per soft token of the image."""


@dataclass(frozen=True)
class Shape:
    """The tiny Gemma 3; names as in `tiny_gemma.build_gemma3`."""

    hidden: int = 96
    intermediate: int = 192
    layers: int = 3
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 32
    window: int = 512
    vision_hidden: int = 128
    vision_intermediate: int = 256
    vision_layers: int = 3
    vision_heads: int = 4
    image_size: int = 112
    mm_tokens: int = GRID * GRID


@dataclass(frozen=True)
class BaseRun:
    """How the base is trained: fields (one a patient), optimizer steps, fields a step."""

    fields: int
    steps: int
    batch: int = 32
    rate: float = 1.5e-3
    seed: int = 9001


@dataclass(frozen=True)
class Seen:
    """A drawn field and what its three texts say of it."""

    pixels: npt.NDArray[np.uint8]
    lymphocytes: npt.NDArray[np.float64]
    inside: npt.NDArray[np.float64]
    nests: npt.NDArray[np.float64]
    share: float
    inside_share: float

    def turned(self, quarter: int, mirrored: bool) -> "Seen":
        """Return the field turned and mirrored, its maps with it."""

        def moved(values: Any) -> Any:
            found = np.rot90(values, quarter)
            return np.ascontiguousarray(found[:, ::-1] if mirrored else found)

        maps = (moved(m) for m in (self.pixels, self.lymphocytes, self.inside, self.nests))
        return Seen(*maps, self.share, self.inside_share)

    def map_text(self) -> str:
        """Return the map: digits for the squares, row by row."""
        many, within = (
            "".join(str(min(9, round(1.8 * n**0.5))) for n in counts.ravel())
            for counts in (self.lymphocytes, self.inside)
        )
        nests = "".join(str(min(9, int(share * 9.99))) for share in self.nests.ravel())
        return f"lymphocytes {many} inside {within} nests {nests}"

    def count_text(self) -> str:
        """Return the counts as roots of shares, which spread evenly."""
        return (
            f"share {min(self.share**0.5, 0.99):.2f} inside {min(self.inside_share**0.5, 0.99):.2f}"
        )


def seen(tile: SyntheticTile) -> Seen:
    """Draw a field and count it square by square."""
    import cv2

    cells = place_field(tile.scene, tile.seed)
    side = tile.scene.side_um
    points = cells.lymphocytes[((cells.lymphocytes >= 0) & (cells.lymphocytes < side)).all(axis=1)]
    at = (points / tile.scene.mpp).astype(int)
    squares = (points / side * GRID).astype(int)
    within = cells.nest[at[:, 1], at[:, 0]]

    def counted(keep: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        found = np.zeros((GRID, GRID))
        np.add.at(found, (squares[keep, 1], squares[keep, 0]), 1)
        return found

    nests = cv2.resize(cells.nest.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
    truth = tile.truth
    in_nests = truth.lymphocytes_inside / max(1, truth.lymphocytes_inside + truth.tumour)
    everywhere = np.ones(len(points), dtype=np.bool_)
    return Seen(tile.pixels(), counted(everywhere), counted(within), nests, truth.share, in_nests)


def random_answer(rng: np.random.Generator) -> str:
    """Return an eight-field answer that says nothing: every value drawn at random."""
    found = {
        name: round(float(rng.random()), 2) if values is None else str(rng.choice(values))
        for name, values in FIELD_VALUES.items()
    }
    return json.dumps(found, separators=(",", ":"))


def build(folder: Path, shape: Shape, seed: int) -> Path:
    """Save an untrained tiny Gemma 3 whose tokenizer knows the words of the three tasks."""
    guard_torchvision()
    rng = np.random.default_rng(seed)
    words = [PROMPT, MAP, COUNT, "lymphocytes inside nests share"] * 6
    tokens = tiny_gemma.tokenizer(560, [*words, *(random_answer(rng) for _ in range(20))])
    return tiny_gemma.build_gemma3(
        folder, seed=seed, tok=tokens, embedding_std=0.06, projector_std=0.05, **asdict(shape)
    )


class Rows:
    """Draws training rows: a task, a field, its text; as the tensors that the model takes."""

    def __init__(self, processor: Any, fields: list[Seen], rng: np.random.Generator) -> None:
        self._tokens = processor.tokenizer
        self._fields, self._rng = fields, rng
        self._end = self._tokens.convert_tokens_to_ids("<end_of_turn>")
        blank = tiny_gemma.noise(0, fields[0].pixels.shape[0])
        self._prompts = {
            text: tiny_gemma.encode(processor, text, [blank]) for text in (PROMPT, MAP, COUNT)
        }

    def batch(self, task: str, n: int) -> tuple[dict[str, Any], Any]:
        """Return the model's inputs and the labels (-100 where nothing is learned)."""
        import torch

        drawn = [self._drawn() for _ in range(n)]
        texts = [self._text(task, field) for field in drawn]
        answers = [
            [*self._tokens(t, add_special_tokens=False)["input_ids"], self._end] for t in texts
        ]
        prompt = self._prompts[task]
        before = prompt.input_ids[0].tolist()
        width = max(len(answer) for answer in answers)
        ids = [before + a + [0] * (width - len(a)) for a in answers]
        mask = [[1] * (len(before) + len(a)) + [0] * (width - len(a)) for a in answers]
        labels = [[-100] * len(before) + a + [-100] * (width - len(a)) for a in answers]
        types = [prompt.token_type_ids[0].tolist() + [0] * width] * n
        pixels = torch.from_numpy(np.stack([field.pixels for field in drawn]))
        return {
            "input_ids": torch.tensor(ids),
            "attention_mask": torch.tensor(mask),
            "token_type_ids": torch.tensor(types),
            "pixel_values": pixels.permute(0, 3, 1, 2).float() / 127.5 - 1,
        }, torch.tensor(labels)

    def _drawn(self) -> Seen:
        field = self._fields[int(self._rng.integers(len(self._fields)))]
        return field.turned(int(self._rng.integers(4)), bool(self._rng.random() < 0.5))

    def _text(self, task: str, field: Seen) -> str:
        if task == PROMPT:
            return random_answer(self._rng)
        return field.map_text() if task == MAP else field.count_text()


TASKS = (MAP, COUNT, MAP, COUNT, MAP, PROMPT)


def train_base(folder: Path, out: Path, run: BaseRun, settings: CohortSettings) -> dict[str, float]:
    """Train the model in `folder` in full and save it to `out`; returns the last losses by task."""
    import torch

    cohort = make_cohort(settings.model_copy(update={"patients": run.fields, "tiles": 1}), run.seed)
    fields = [seen(tile) for tile in cohort.tiles]
    torch.manual_seed(run.seed)
    model, processor = tiny_gemma.load(folder, dtype=torch.float32)
    model.train()
    rows = Rows(processor, fields, np.random.default_rng(run.seed))
    optimizer = torch.optim.AdamW(_groups(model), lr=run.rate, betas=(0.9, 0.98))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _pace(step, run.steps))
    losses: dict[str, float] = {}
    for step in range(run.steps):
        task = TASKS[step % len(TASKS)]
        inputs, labels = rows.batch(task, run.batch // (2 if task == PROMPT else 1))
        loss = _loss(model, inputs, labels)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        now = float(loss.detach())
        losses[task] = 0.95 * losses.get(task, now) + 0.05 * now
        if step % 100 == 99:
            sys.stderr.write(f"base {step + 1}/{run.steps} {_round(losses)}\n")
    model.eval().save_pretrained(out)
    processor.save_pretrained(out)
    return _round(losses)


def _round(losses: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in losses.items()}


def _groups(model: Any) -> list[dict[str, Any]]:
    """Return parameters to decay (matrices) and not to (embeddings, norms, biases)."""
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        (matrices if parameter.ndim > 1 and "embed" not in name else others).append(parameter)
    return [{"params": matrices, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}]


def _pace(step: int, steps: int) -> float:
    """Return the factor of the rate: up over 60 steps, then down along a cosine to a twentieth."""
    up = min(1.0, (step + 1) / 60)
    return up * (0.05 + 0.475 * (1 + float(np.cos(np.pi * step / steps))))


def _loss(model: Any, inputs: dict[str, Any], labels: Any) -> Any:
    import torch

    keep = (labels[:, 1:] != -100).any(dim=0).nonzero()[:, 0]
    logits = model(**inputs, logits_to_keep=keep, use_cache=False).logits
    targets = labels[:, 1:][:, keep]
    return torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=-100
    )
