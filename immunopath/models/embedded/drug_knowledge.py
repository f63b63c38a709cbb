"""The curated drug knowledge base: facts with source and grade, never a model's text."""

import difflib
from collections.abc import Iterable, Mapping
from datetime import date
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

import yaml

from immunopath.domain.base import Frozen
from immunopath.domain.drug import (
    DrugAnswer,
    DrugFact,
    DrugId,
    DrugProfile,
    Modality,
    NotInKnowledgeBase,
    Structure,
)
from immunopath.domain.errors import KnowledgeError
from immunopath.models.spec import EngineSpec

_FOLDER = "knowledge"
_NEAREST = 3


class DrugRecord(Frozen):
    """One record of ``drugs.yaml`` (`guidelines.md` 4.1)."""

    id: str
    name: str
    synonyms: tuple[str, ...]
    drug_class: str
    classes: tuple[str, ...]
    modality: Modality
    targets: tuple[str, ...]
    us_status: Literal["nsclc_label", "no_nsclc_label", "unverified"]
    txgemma_applicable: bool
    facts: tuple[DrugFact, ...]
    ids: tuple[DrugId, ...]
    structure: Structure | None


class DrugFile(Frozen):
    """The whole of ``drugs.yaml``; unknown keys are refused at every level."""

    kind: Literal["drugs"]
    section: str
    last_reviewed: str
    clinician_review: str
    label_asof: date
    curated_by: str
    drugs: tuple[DrugRecord, ...]


class DrugKnowledge:
    """Looks drugs up by generic name, synonym or id; case and spacing do not matter."""

    def __init__(self, profiles: Iterable[DrugProfile], version: str) -> None:
        by_name: dict[str, DrugProfile] = {}
        for profile in profiles:
            for name in (profile.name, profile.drug_id, *profile.synonyms):
                key = _key(name)
                if by_name.setdefault(key, profile) is not profile:
                    raise KnowledgeError(f"the name {name!r} belongs to two drugs")
        self._by_name: Mapping[str, DrugProfile] = MappingProxyType(by_name)
        self.version = version

    def lookup(self, name: str) -> DrugAnswer:
        """Return the curated record, or the typed statement that there is none."""
        found = self._by_name.get(_key(name))
        if found is not None:
            return found
        near = difflib.get_close_matches(_key(name), self._by_name, n=_NEAREST, cutoff=0.75)
        return NotInKnowledgeBase(
            name=name,
            nearest=tuple(dict.fromkeys(self._by_name[key].name for key in near)),
            knowledge_version=self.version,
        )

    def by_class(self, token: str) -> tuple[DrugProfile, ...]:
        """Return all drugs of a class token (e.g. ``ICI``, ``EGFR_TKI``), by name."""
        wanted = token.strip().upper()
        unique = {p.drug_id: p for p in self._by_name.values() if wanted in p.classes}
        return tuple(sorted(unique.values(), key=lambda profile: profile.name))

    def profiles(self, names: Iterable[str]) -> tuple[DrugProfile, ...]:
        """Return the records of drugs that the catalogue names, in order, once each.

        Raises `KnowledgeError` when a catalogue drug has no record: that is a fault of the
        knowledge base, never a question of the user's spelling.
        """
        found: dict[str, DrugProfile] = {}
        for name in names:
            answer = self.lookup(name)
            if isinstance(answer, NotInKnowledgeBase):
                raise KnowledgeError(f"drug {name!r} is named by a regimen and not curated")
            found.setdefault(answer.drug_id, answer)
        return tuple(found.values())

    def all(self) -> tuple[DrugProfile, ...]:
        """Return every record, by name."""
        unique = {p.drug_id: p for p in self._by_name.values()}
        return tuple(sorted(unique.values(), key=lambda profile: profile.name))


def _key(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").split()).casefold()


@cache
def load_drugs() -> DrugKnowledge:
    """Return the shipped knowledge base, loaded once per process."""
    folder = files("immunopath.guidelines").joinpath(_FOLDER)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    parts = {
        name: yaml.load(folder.joinpath(name).read_text("utf-8"), Loader=loader)  # noqa: S506
        for name in ("drugs.yaml", "regimens.yaml", "manifest.yaml")
    }
    return build_drugs(parts["drugs.yaml"], parts["regimens.yaml"], parts["manifest.yaml"])


def build(spec: EngineSpec, device: str = "cpu") -> DrugKnowledge:
    """Return the shipped knowledge base; it takes no options and needs no device.

    Raises `EngineSpecError` for options.
    """
    spec.refuse_extras()
    return load_drugs()


def build_drugs(
    drugs: Mapping[str, Any], regimens: Mapping[str, Any], manifest: Mapping[str, Any]
) -> DrugKnowledge:
    """Build the knowledge base from its files; raises `KnowledgeError` on an invalid record."""
    version = str(manifest["version"])
    used = _regimens_by_drug(regimens["regimens"])
    try:
        file = DrugFile.model_validate(drugs)
    except ValueError as error:
        raise KnowledgeError(f"drugs.yaml: {error}") from error
    return DrugKnowledge((_profile(file, drug, used, version) for drug in file.drugs), version)


def _profile(
    file: DrugFile, drug: DrugRecord, used: Mapping[str, list[str]], version: str
) -> DrugProfile:
    return DrugProfile(
        drug_id=drug.id,
        name=drug.name,
        synonyms=drug.synonyms,
        drug_class=drug.drug_class,
        classes=drug.classes,
        modality=drug.modality,
        targets=drug.targets,
        facts=drug.facts,
        ids=drug.ids,
        structure=drug.structure,
        nsclc_regimens=tuple(used.get(drug.name, ())),
        us_status=drug.us_status,
        txgemma_applicable=drug.txgemma_applicable,
        label_asof=file.label_asof,
        curated_by=file.curated_by,
        knowledge_version=version,
    )


def _regimens_by_drug(regimens: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for regimen in regimens:
        for component in regimen["components"]:
            lists = component.values() if isinstance(component, Mapping) else (component,)
            for name in dict.fromkeys(name for names in lists for name in names):
                ids = found.setdefault(name, [])
                if regimen["id"] not in ids:
                    ids.append(regimen["id"])
    return found
