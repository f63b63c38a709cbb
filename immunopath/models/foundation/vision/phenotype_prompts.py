"""The versioned prompt ensemble of the zero-shot phenotype scorers."""

import hashlib
import json
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Final, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from immunopath.domain.base import Frozen, first_fault
from immunopath.domain.errors import CaseFileError, CheckpointError
from immunopath.domain.files import read_small
from immunopath.domain.prediction import FIELD_VALUES

FILE: Final = "phenotype_prompts.yaml"
PHENOTYPES: Final = FIELD_VALUES["immune_phenotype"] or ()
"""inflamed, excluded, desert: the exclusive set, in contract order."""
_MAX_BYTES = 100_000


class PromptSet(Frozen):
    """One way of putting the question: a statement per phenotype."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    inflamed: str = Field(min_length=3)
    excluded: str = Field(min_length=3)
    desert: str = Field(min_length=3)

    @property
    def prompts(self) -> tuple[str, ...]:
        """The statements in contract order."""
        return tuple(str(getattr(self, name)) for name in PHENOTYPES)


class PromptEnsemble(Frozen):
    """All sets with their version."""

    version: str
    language: str = "en"
    sets: tuple[PromptSet, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        ids = [s.id for s in self.sets]
        texts = [text for s in self.sets for text in s.prompts]
        if len(set(ids)) != len(ids) or len(set(texts)) != len(texts):
            raise ValueError("set ids and prompts must differ from one another")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 over version and every prompt with its place; layout of the file does not count.

        ``prompts`` is the order in which the numbers of a scorer come.
        """
        plain = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(plain.encode()).hexdigest()

    @property
    def prompts(self) -> tuple[str, ...]:
        """All prompts, set by set, in contract order within a set."""
        return tuple(text for s in self.sets for text in s.prompts)

    @property
    def prompt_ids(self) -> tuple[str, ...]:
        """``set.phenotype`` for every prompt, in the order of `prompts`."""
        return tuple(f"{s.id}.{name}" for s in self.sets for name in PHENOTYPES)


def parse_prompts(text: str, origin: str) -> PromptEnsemble:
    """Return the ensemble of a YAML text; raises `CheckpointError` naming `origin`."""
    try:
        return PromptEnsemble.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValidationError) as error:
        raise CheckpointError(
            f"{origin}: not a prompt ensemble ({first_fault(error)}); see {FILE} in the package"
        ) from error


@lru_cache(maxsize=1)
def shipped_prompts() -> PromptEnsemble:
    """Return the ensemble that comes with the package."""
    text = files("immunopath.models.foundation.vision").joinpath(FILE).read_text("utf-8")
    return parse_prompts(text, FILE)


def load_prompts(path: str | None) -> PromptEnsemble:
    """Return the ensemble at `path`, or the shipped one; raises `CheckpointError`."""
    if path is None:
        return shipped_prompts()
    try:
        data = read_small(Path(path), "a prompt file", _MAX_BYTES)
    except CaseFileError as error:
        raise CheckpointError(str(error)) from error
    return parse_prompts(data.decode("utf-8", errors="replace"), path)
