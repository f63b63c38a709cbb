"""Lint: drug records (`guidelines.md` 4) and, with RDKit, their structures."""

import re
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec

from immunopath.guidelines.lint_source import LintProblem, Source

_INCHIKEY = re.compile(r"[A-Z]{14}-[A-Z]{10}-[A-Z]")
_BIOLOGIC = frozenset({"mab", "bispecific", "adc", "device"})
_OUTSIDE_ADMET = _BIOLOGIC | {"metal_complex"}
"""Modalities outside the training domain of the in-silico model (4.1, 4.5)."""
_TOPICS = frozenset(
    {"mechanism", "half_life", "nsclc_dose", "boxed_warning", "toxicity", "monitoring"}
)
KeyOf = Callable[[str], str | None]
"""SMILES to InChIKey; None when the SMILES cannot be read."""


def synonyms(source: Source) -> Iterator[LintProblem]:
    """Yield names that two drugs share; case, spaces and hyphens do not tell names apart."""
    owner: dict[str, str] = {}
    for drug in source.file_of("drugs").drugs:
        for name in (drug.name, drug.id, *drug.synonyms):
            key = " ".join(name.replace("_", " ").replace("-", " ").split()).casefold()
            other = owner.setdefault(key, drug.id)
            if other != drug.id:
                yield _problem(drug.id, "synonyms", f"{name!r} also names {other}")


def records(source: Source) -> Iterator[LintProblem]:
    """Yield drugs whose facts are not there and ids or structures that claim too much."""
    seen: dict[tuple[str, str], str] = {}
    for drug in source.file_of("drugs").drugs:
        missing = sorted(_TOPICS - {fact.topic for fact in drug.facts})
        if missing:
            yield _problem(drug.id, "drug-records", f"no fact on {', '.join(missing)}")
        if not drug.classes:
            yield _problem(drug.id, "drug-records", "no class token")
        for item in drug.ids:
            if (item.value is None) != (item.status in {"conflict", "absent"}):
                yield _problem(
                    drug.id, "drug-records", f"{item.system}: {item.status} with a value"
                )
            if item.value is None:
                continue
            other = seen.setdefault((item.system, item.value), drug.id)
            if other != drug.id:
                yield _problem(drug.id, "drug-records", f"{item.system} {item.value} is {other}'s")
        if drug.txgemma_applicable and (drug.modality in _OUTSIDE_ADMET or not drug.structure):
            yield _problem(drug.id, "drug-records", "no input for an in-silico model")
        if drug.structure and drug.modality in _BIOLOGIC:
            yield _problem(drug.id, "drug-records", f"a {drug.modality} with a SMILES")
        if drug.structure and not _INCHIKEY.fullmatch(drug.structure.inchikey):
            yield _problem(drug.id, "drug-records", f"{drug.structure.inchikey!r} is no InChIKey")


def rdkit_key() -> KeyOf | None:
    """Return RDKit's reading of a SMILES, or None when RDKit is not installed."""
    if find_spec("rdkit") is None:
        return None
    chem = import_module("rdkit.Chem")
    import_module("rdkit.RDLogger").DisableLog("rdApp.*")

    def key_of(smiles: str) -> str | None:
        molecule = chem.MolFromSmiles(smiles)
        return None if molecule is None else str(chem.MolToInchiKey(molecule))

    return key_of


def structures(source: Source) -> Iterator[LintProblem]:
    """Yield SMILES that do not give the stored InChIKey; nothing when RDKit is not there.

    Rows marked ``formula`` are compared too: their key has no second source, yet it must belong
    to the SMILES beside it.
    """
    key_of = rdkit_key()
    if key_of is None:
        return  # reported as skipped, see `immunopath.guidelines.lint.skipped`
    for drug in source.file_of("drugs").drugs:
        if drug.structure is None:
            continue
        found = key_of(drug.structure.smiles)
        if found != drug.structure.inchikey:
            message = f"the SMILES gives {found or 'nothing'}, stored is {drug.structure.inchikey}"
            yield _problem(drug.id, "structures", message)


def _problem(record: str, check: str, message: str) -> LintProblem:
    return LintProblem(file="drugs.yaml", record=record, check=check, message=message)
