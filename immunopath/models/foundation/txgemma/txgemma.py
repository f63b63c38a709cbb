"""The drugs engine ``txgemma``: curated facts first, then what the model says of small molecules.

Every drug keeps its curated record. Antibodies, conjugates, platinum and devices get nothing else.
Small molecules with a curated structure get a panel of in-silico answers, from the cache where
they are known; the model is loaded only for what is missing, and where it cannot be loaded the
panel says so and the curated facts stand.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from immunopath.domain.drug import (
    DrugAnswer,
    DrugProfile,
    InSilicoFact,
    InSilicoPanel,
)
from immunopath.domain.errors import EngineError
from immunopath.domain.provenance import Provenance
from immunopath.models.embedded.drug_knowledge import DrugKnowledge, load_drugs
from immunopath.models.foundation.precision import check_words
from immunopath.models.foundation.txgemma.txgemma_cache import (
    CachedAnswer,
    CacheFile,
    answer_key,
    default_folder,
)
from immunopath.models.foundation.txgemma.txgemma_model import MODES
from immunopath.models.foundation.txgemma.txgemma_panel import Asker
from immunopath.models.foundation.txgemma.txgemma_tasks import Task, fits, task_sheet, why_not_asked
from immunopath.models.foundation.weights import Source
from immunopath.models.protocols import EngineInfo
from immunopath.models.spec import EngineSpec

DEFAULT_SOURCE: Final = "google/txgemma-2b-predict"
NAME: Final = "txgemma"
PACKAGES: Final = ("torch", "transformers", "safetensors", "accelerate")
DOCTOR: Final = "immunopath.models.foundation.txgemma.doctor_txgemma:check_txgemma"
_NOT_COMPUTED: Final = "not computed"


class TxGemmaDrugs:
    """Answers like `DrugKnowledge`, with an in-silico panel on every record."""

    def __init__(
        self, knowledge: DrugKnowledge, asker: Asker, tasks: Sequence[Task], compute: bool
    ) -> None:
        self._knowledge, self._asker = knowledge, asker
        self._tasks, self._compute = tuple(tasks), compute
        self._lock = threading.Lock()

    @property
    def version(self) -> str:
        """Version of the curated knowledge base."""
        return self._knowledge.version

    @property
    def info(self) -> EngineInfo:
        """What the engine is; revision and digest are known once answers were given."""
        identity = self._asker.identity
        return EngineInfo(
            role="drugs",
            name=NAME,
            revision=identity.revision if identity else "not loaded",
            weights_digest=identity.weights_digest if identity else None,
            expected_mpp=None,
            input_px=None,
            embedding_size=None,
            licence="HAI-DEF",
            gated=True,
            description="TxGemma for small molecules, after the curated record",
        )

    def lookup(self, name: str) -> DrugAnswer:
        """Return the curated record with its panel, or the statement that there is none."""
        found = self._knowledge.lookup(name)
        return self._with_panels((found,))[0] if isinstance(found, DrugProfile) else found

    def profiles(self, names: Iterable[str]) -> tuple[DrugProfile, ...]:
        """Return the records of named drugs in order, each with its panel.

        Raises `KnowledgeError` for a drug without a record. A model that cannot be had is no
        error: the panels say why they are empty.
        """
        return self._with_panels(self._knowledge.profiles(names))

    def close(self) -> None:
        """Let the model's memory go."""
        with self._lock:
            self._asker.close()

    def _with_panels(self, drugs: Sequence[DrugProfile]) -> tuple[DrugProfile, ...]:
        askable = [drug for drug in drugs if not why_not_asked(drug)]
        known: CacheFile | None = None
        trouble = ""
        if askable:
            with self._lock:
                try:
                    known = self._answers(askable)
                except EngineError as error:
                    trouble = f"{_NOT_COMPUTED}: {error}"
        return tuple(
            drug.model_copy(update={"in_silico": self._panel(drug, known, trouble)})
            for drug in drugs
        )

    def _answers(self, drugs: Sequence[DrugProfile]) -> CacheFile | None:
        """Return the cache with everything that could be answered for these drugs."""
        wanted = [
            (task, drug.structure.smiles)
            for drug in drugs
            for task in self._tasks
            if drug.structure is not None and fits(task, drug)
        ]
        return self._asker.answers(wanted, self._compute)

    def _panel(self, drug: DrugProfile, known: CacheFile | None, trouble: str) -> InSilicoPanel:
        reason = why_not_asked(drug)
        if reason:
            return InSilicoPanel(status="not_applicable", reason=reason)
        if known is None:
            reason = trouble or f"{_NOT_COMPUTED}: no cached answers, and compute=no was asked for"
            return InSilicoPanel(status="unavailable", reason=reason)
        facts = tuple(_fact(task, drug, known.answers) for task in self._tasks if fits(task, drug))
        if all(fact.state == "not_computed" for fact in facts):
            return InSilicoPanel(status="unavailable", reason=trouble or facts[0].reason)
        identity = known.identity
        return InSilicoPanel(
            status="ok",
            reason=f"not kept: {self._asker.not_kept}" if self._asker.not_kept else "",
            facts=facts,
            source=Provenance(
                engine=NAME,
                revision=identity.revision,
                weights_digest=identity.weights_digest,
                prompt_digest=identity.prompts_digest,
                preprocess=f"mode={identity.mode};dtype={identity.precision}",
                kind="model",
            ),
        )


def _fact(task: Task, drug: DrugProfile, answers: Mapping[str, CachedAnswer]) -> InSilicoFact:
    smiles = drug.structure.smiles if drug.structure else ""
    found = answers.get(answer_key(task.key, smiles))
    head = {"task": task.key, "topic": task.topic, "caveat": task.caveat}
    if found is None:
        reason = f"{_NOT_COMPUTED}: neither cached nor among the prompts of this checkpoint"
        return InSilicoFact(**head, state="not_computed", reason=reason)
    if found.letter is None and found.rank is None:
        wanted = "no (A) or (B)" if task.kind == "choice" else "no number from 0 to 1000"
        return InSilicoFact(
            **head, state="unparsed", reason=f"the model wrote {wanted}", text=found.text
        )
    return InSilicoFact(
        **head,
        state="answered",
        statement=found.statement,
        answer=found.letter,
        probability=found.probability,
        rank=found.rank,
        text=found.text,
    )


@dataclass(frozen=True)
class Request:
    """A parsed engine string; `folder`: of the cache."""

    source: Source
    tasks: tuple[Task, ...]
    folder: Path
    compute: bool
    batch: int


def parse(spec: EngineSpec) -> Request:
    """Return what an engine string asks for; raises `EngineSpecError` naming the option."""
    spec.refuse_extras(
        "revision", "dtype", "quant", "mode", "tasks", "cache", "compute", "batch", source=True
    )
    spec.choice("mode", MODES)
    check_words(spec.options)
    return Request(
        source=Source.of(spec, spec.source or DEFAULT_SOURCE),
        tasks=tuple(task_sheet().chosen(spec.options.get("tasks"))),
        folder=Path(spec.options["cache"]) if "cache" in spec.options else default_folder(),
        compute=spec.choice("compute", ("yes", "no")) == "yes",
        batch=spec.whole("batch", 8, 1, 256),
    )


def hub_sources(spec: EngineSpec) -> tuple[Source, ...]:
    """Return the checkpoint of an engine string; raises `EngineSpecError`."""
    return (parse(spec).source,)


def build(spec: EngineSpec, device: str = "cpu") -> TxGemmaDrugs:
    """Return the engine of ``txgemma[:id-or-folder]``; weights are touched when a drug is asked.

    Options: revision, dtype, quant, mode (predict, chat), tasks (KEY+KEY), cache (a folder),
    compute (yes, no: answer from the cache only), batch. Raises `EngineSpecError`.
    """
    request = parse(spec)
    asker = Asker(spec, request.source, device, request.folder, request.batch)
    return TxGemmaDrugs(load_drugs(), asker, request.tasks, request.compute)
