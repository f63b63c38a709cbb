"""The base model of the learning benchmark: a tiny Gemma 3, trained in full on synthetic fields.

What a LoRA step can show depends on a base that sees and writes, as MedGemma does. So this one is
trained first, on fields of *other* synthetic patients and without a single RNA-like label: to write
maps of what lies where, to count, and to write eight-field answers whose values are random. It
knows the format and sees cells; that the two have to do with each other it is never told.
"""
# ruff: noqa: ANN401 - models and tokenizers of transformers have no types

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/models/foundation"))

import tiny_gemma  # noqa: E402 - from the test folder just added
from learning_texts import GRID, Seen, random_answer, seen  # noqa: E402

from immunopath.models.torchvision_guard import guard_torchvision  # noqa: E402
from immunopath.training.synthetic.cohort import CohortSettings, make_cohort  # noqa: E402

PROMPT = "Describe the tumor immune microenvironment as JSON."
MAP, COUNT = "Map the field.", "Count the cells."


@dataclass(frozen=True)
class Shape:
    """The tiny Gemma 3; names as in `tiny_gemma.build_gemma3`."""

    hidden: int = 96
    intermediate: int = 192
    layers: int = 3
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 32
    window: int = 1024
    """As in MedGemma: wider than any prompt, or late answers would see no image in most layers."""
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


def build(folder: Path, shape: Shape, seed: int) -> Path:
    """Save an untrained tiny Gemma 3 whose tokenizer knows the words of the three tasks."""
    guard_torchvision()
    rng = np.random.default_rng(seed)
    words = [PROMPT, MAP, COUNT, "lymphocytes inside nests share"] * 6
    tokens = tiny_gemma.tokenizer(560, [*words, *(random_answer(rng) for _ in range(20))])
    return tiny_gemma.build_gemma3(
        folder, seed=seed, tok=tokens, embedding_std=0.06, projector_std=0.05, **asdict(shape)
    )


@dataclass(frozen=True)
class Task:
    """What a batch asks: images of one row, prompt, and the text that answers to its fields.

    share: of a batch's rows; a task that teaches little or takes many tokens gets fewer.
    """

    name: str
    prompt: str
    text: Callable[[np.random.Generator, Sequence[Seen]], str]
    images: int = 1
    share: float = 1.0


MAPS = Task(MAP, MAP, lambda _, fields: fields[0].map_text())
COUNTS = Task(COUNT, COUNT, lambda _, fields: fields[0].count_text())
ANSWERS = Task(PROMPT, PROMPT, lambda rng, _: random_answer(rng), share=0.5)
TASKS = (MAPS, COUNTS, MAPS, COUNTS, MAPS, ANSWERS)


class Rows:
    """Draws training rows: a task, its fields, its text; as the tensors that the model takes."""

    def __init__(
        self,
        processor: Any,
        fields: list[Seen],
        rng: np.random.Generator,
        tasks: Sequence[Task] = TASKS,
    ) -> None:
        self._tokens = processor.tokenizer
        self._fields, self._rng = fields, rng
        self._end = self._tokens.convert_tokens_to_ids("<end_of_turn>")
        blank = tiny_gemma.noise(0, fields[0].pixels.shape[0])
        self._prompts = {
            task.name: tiny_gemma.encode(processor, task.prompt, [blank] * task.images)
            for task in dict.fromkeys(tasks)
        }

    def batch(self, task: Task, n: int) -> tuple[dict[str, Any], Any]:
        """Return the model's inputs and the labels (-100 where nothing is learned)."""
        import torch

        drawn = [[self._drawn() for _ in range(task.images)] for _ in range(n)]
        texts = [task.text(self._rng, fields) for fields in drawn]
        answers = [
            [*self._tokens(t, add_special_tokens=False)["input_ids"], self._end] for t in texts
        ]
        prompt = self._prompts[task.name]
        before = prompt.input_ids[0].tolist()
        width = max(len(answer) for answer in answers)
        ids = [before + a + [0] * (width - len(a)) for a in answers]
        mask = [[1] * (len(before) + len(a)) + [0] * (width - len(a)) for a in answers]
        labels = [[-100] * len(before) + a + [-100] * (width - len(a)) for a in answers]
        types = [prompt.token_type_ids[0].tolist() + [0] * width] * n
        pixels = torch.from_numpy(np.stack([f.pixels for fields in drawn for f in fields]))
        return {
            "input_ids": torch.tensor(ids),
            "attention_mask": torch.tensor(mask),
            "token_type_ids": torch.tensor(types),
            "pixel_values": pixels.permute(0, 3, 1, 2).float() / 127.5 - 1,
        }, torch.tensor(labels)

    def _drawn(self) -> Seen:
        field = self._fields[int(self._rng.integers(len(self._fields)))]
        return field.turned(int(self._rng.integers(4)), bool(self._rng.random() < 0.5))


def train_base(
    folder: Path, out: Path, run: BaseRun, settings: CohortSettings, tasks: Sequence[Task] = TASKS
) -> dict[str, float]:
    """Train the model in `folder` in full and save it to `out`; returns the last losses by task."""
    import torch

    guard_torchvision()
    cohort = make_cohort(settings.model_copy(update={"patients": run.fields, "tiles": 1}), run.seed)
    fields = [seen(tile) for tile in cohort.tiles]
    torch.manual_seed(run.seed)
    model, processor = tiny_gemma.load(folder, dtype=torch.float32)
    model.train()
    rows = Rows(processor, fields, np.random.default_rng(run.seed), tasks)
    losses = _fit(model, rows, run, tasks)
    model.eval().save_pretrained(out)
    processor.save_pretrained(out)
    return losses


def _fit(model: Any, rows: Rows, run: BaseRun, tasks: Sequence[Task]) -> dict[str, float]:
    """Train on the tasks in turn; returns the running mean of each one's loss."""
    import torch

    optimizer = torch.optim.AdamW(_groups(model), lr=run.rate, betas=(0.9, 0.98))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _pace(step, run.steps))
    losses: dict[str, float] = {}
    for step in range(run.steps):
        task = tasks[step % len(tasks)]
        loss = _loss(model, *rows.batch(task, round(run.batch * task.share)))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        now = float(loss.detach())
        losses[task.name] = 0.95 * losses.get(task.name, now) + 0.05 * now
        if step % 100 == 99:
            sys.stderr.write(f"base {step + 1}/{run.steps} {_round(losses)}\n")
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
