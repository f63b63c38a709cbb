"""Which questions TxGemma is asked, and the prompts for them from the model's own repository."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Final, Literal

import yaml
from pydantic import Field

from immunopath.domain.base import Frozen
from immunopath.domain.drug import DrugProfile
from immunopath.domain.errors import EngineSpecError, ProcessorMissing
from immunopath.domain.files import read_bounded
from immunopath.models.foundation.weights import Weights

FILE: Final = "txgemma_tasks.yaml"
PROMPTS: Final = "tdc_prompts.json"
PLACEHOLDER: Final = "{Drug SMILES}"
_ANY_PLACEHOLDER: Final = re.compile(r"\{[A-Za-z][^{}\n]*\}")
_OPTIONS: Final = re.compile(r"\(A\)\s*(.+?)\s*\(B\)\s*(.+?)\s*(?:\n|\Z)", re.DOTALL)
_BY_VEIN: Final = "CHEMO"
"""Class token of the curated drugs that are not taken by mouth."""


class Task(Frozen):
    """One allowed question; see the file for the meaning of its keys."""

    key: str
    kind: Literal["choice", "rank"]
    topic: str
    panel: bool = False
    oral: bool = False
    caveat: str = ""


class Refusal(Frozen):
    """Questions that are never asked, and why."""

    pattern: str
    why: str


class TaskSheet(Frozen):
    """The allowed and the refused questions with their version."""

    version: str
    source: str
    tasks: tuple[Task, ...] = Field(min_length=1)
    refused: tuple[Refusal, ...]

    def chosen(self, text: str | None) -> tuple[Task, ...]:
        """Return the default panel, or the tasks of a ``KEY+KEY`` list.

        Raises `EngineSpecError` for a question that may not be asked, with the reason.
        """
        if text is None:
            return tuple(task for task in self.tasks if task.panel)
        known = {task.key: task for task in self.tasks}
        for key in text.split("+"):
            if key not in known:
                why = self.why_not(key)
                raise EngineSpecError(f"tasks: {key!r} is not asked: {why}; leave it out")
        return tuple(known[key] for key in dict.fromkeys(text.split("+")))

    def why_not(self, key: str) -> str:
        """Return why a question is not on the list."""
        for refusal in self.refused:
            if re.fullmatch(refusal.pattern, key):
                return refusal.why
        return f"it is not on the list of {self.source}"


@lru_cache(maxsize=1)
def task_sheet() -> TaskSheet:
    """Return the sheet that comes with the package."""
    text = files("immunopath.models.foundation.txgemma").joinpath(FILE).read_text("utf-8")
    return TaskSheet.model_validate(yaml.safe_load(text))


def why_not_asked(drug: DrugProfile) -> str:
    """Return why a model may not be asked about a drug at all, or an empty string."""
    kinds = {
        "mab": "an antibody",
        "bispecific": "a bispecific antibody",
        "adc": "an antibody-drug conjugate",
        "metal_complex": "a platinum complex, outside what such models were trained on",
        "device": "a device",
    }
    if drug.modality != "small_molecule":
        return f"{kinds[drug.modality]}: the curated knowledge base alone answers"
    if drug.structure is None:
        return "no curated structure to ask about"
    if not drug.txgemma_applicable:
        return "marked as outside the scope of property models"
    return ""


def fits(task: Task, drug: DrugProfile) -> bool:
    """Return whether a question makes sense for a drug: absorption only of what is swallowed."""
    return not (task.oral and _BY_VEIN in drug.classes)


@dataclass(frozen=True)
class Prompts:
    """The templates of a checkpoint by task key, and the SHA-256 of the file."""

    templates: Mapping[str, str]
    digest: str

    def fill(self, task: Task, smiles: str) -> str:
        """Return the prompt of a task for a structure, or an empty string when there is none.

        There is none when the checkpoint lacks the task, or its template asks for more than a
        structure, or (for a choice) it gives no two options.
        """
        template = self.templates.get(task.key, "")
        others = set(_ANY_PLACEHOLDER.findall(template)) - {PLACEHOLDER}
        if template.count(PLACEHOLDER) != 1 or others:
            return ""
        if task.kind == "choice" and not _OPTIONS.search(template):
            return ""
        return template.replace(PLACEHOLDER, smiles)


def options_of(prompt: str) -> tuple[str, str]:
    """Return the statements behind (A) and (B) in a prompt; raises `ValueError` without them."""
    found = _OPTIONS.search(prompt)
    if found is None:
        raise ValueError("the prompt has no (A) and (B)")
    return " ".join(found[1].split()), " ".join(found[2].split())


def load_templates(weights: Weights) -> Prompts:
    """Return the templates of a checkpoint; raises `ProcessorMissing` without a usable file."""
    path = weights.folder / PROMPTS
    try:
        data = read_bounded(path)
        content = json.loads(data)
    except OSError as error:
        raise ProcessorMissing(
            f"{weights.source}: no {PROMPTS}; put the file of the model repository beside the "
            "weights: prompts in other words are not what the model was trained on"
        ) from error
    except ValueError as error:
        raise ProcessorMissing(f"{path}: is not JSON; fetch it again") from error
    texts = isinstance(content, dict) and all(isinstance(v, str) for v in content.values())
    if not texts or not any(PLACEHOLDER in value for value in content.values()):
        raise ProcessorMissing(
            f"{path}: does not map tasks to prompts with {PLACEHOLDER}; fetch it again"
        )
    return Prompts(dict(content), hashlib.sha256(data).hexdigest())
