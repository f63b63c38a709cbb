"""The gene sets behind the labels, as versioned data."""

from functools import cache
from importlib import resources
from typing import Final, Self

from pydantic import model_validator

from immunopath.domain.base import Frozen

LABEL_SETS: Final = ("til", "cd8", "ifng")
"""The signatures that labels are made of."""
CHECKPOINT: Final = "CD274"


class GeneSets(Frozen):
    """Named gene sets (HGNC symbols), their version and where they come from.

    sets: what labels and the published run's table are made of; reference: published profiles
    that labels are compared with.
    """

    version: str
    source: str
    sets: dict[str, tuple[str, ...]]
    reference: dict[str, tuple[str, ...]]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for name, genes in {**self.sets, **self.reference}.items():
            if not genes or len(set(genes)) != len(genes):
                raise ValueError(f"set {name} is empty or names a gene twice")
        missing = [name for name in LABEL_SETS if name not in self.sets]
        if missing:
            raise ValueError(f"set {', '.join(missing)} is missing")
        return self

    @property
    def needed(self) -> tuple[str, ...]:
        """Every gene that a label needs, sorted."""
        genes = {CHECKPOINT}.union(*(self.sets[name] for name in LABEL_SETS))
        return tuple(sorted(genes))


@cache
def load_gene_sets() -> GeneSets:
    """Return the shipped gene sets."""
    import yaml

    text = resources.files(__package__).joinpath("gene_sets.yaml").read_text(encoding="utf-8")
    return GeneSets.model_validate(yaml.safe_load(text))
