"""Gets the answers to a panel of questions: from the cache first, from the model for the rest."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, cast

from immunopath.domain.errors import EngineError, EngineUnavailable, OutputError, first_line
from immunopath.models.foundation.batcher import out_of_memory
from immunopath.models.foundation.precision import choose_precision, default_dtype
from immunopath.models.foundation.txgemma.txgemma_cache import (
    CachedAnswer,
    CacheFile,
    Identity,
    Wanted,
    answer_key,
    find,
    load,
    save,
    the_one,
)
from immunopath.models.foundation.txgemma.txgemma_model import (
    Mode,
    Reading,
    TxGemmaModel,
    load_txgemma,
    mode_of,
    named_mode,
)
from immunopath.models.foundation.txgemma.txgemma_tasks import (
    Prompts,
    Task,
    load_templates,
    options_of,
)
from immunopath.models.foundation.weights import Source, Weights, is_folder
from immunopath.models.spec import EngineSpec

Question = tuple[Task, str]
"""A task and the SMILES it is asked of."""


class Asker:
    """One checkpoint with its cache folder. Not reentrant: its owner holds a lock."""

    def __init__(
        self, spec: EngineSpec, source: Source, device: str, folder: Path, batch: int
    ) -> None:
        self._spec, self._source, self._device = spec, source, device
        self._folder, self._batch = folder, batch
        self._weights: Weights | None = None
        self._prompts: Prompts | None = None
        self._model: TxGemmaModel | None = None
        self._unsaved: dict[str, tuple[CacheFile, str]] = {}
        self.identity: Identity | None = None

    @property
    def not_kept(self) -> str:
        """Why the answers at hand are in memory only; empty when they are on disk."""
        held = self._unsaved.get(self.identity.name) if self.identity else None
        return held[1] if held else ""

    @property
    def _label(self) -> str:
        """How the cache calls the source: a hub id, or the folder's name without its path."""
        name = self._source.name
        return Path(name).expanduser().resolve().name if is_folder(name) else name

    def answers(self, wanted: Sequence[Question], compute: bool) -> CacheFile | None:
        """Return the cache file of this checkpoint with answers to as many questions as can be.

        A checkpoint that is not a folder here is not resolved, let alone fetched, when the cache
        has them all. With `compute`
        False nothing is resolved or loaded; None when there is no cache. Raises the
        `EngineUnavailable` family when the model is needed and cannot be had, unless the cache has
        some of the answers: then these are returned.
        """
        cached = None
        if not compute or not Path(self._source.name).expanduser().is_dir():
            cached = self._found(compute)
        missing = [q for q in wanted if cached is None or _key(q) not in cached.answers]
        if cached is not None and (not missing or not compute):
            self.identity = cached.identity
            return cached
        if not compute:
            return None
        try:
            return self._with_packages(wanted)
        except EngineError:
            if cached is None or len(missing) == len(wanted):
                raise
            self.identity = cached.identity
            return cached

    def _found(self, compute: bool) -> CacheFile | None:
        """Return the cache that the engine string means, found without the checkpoint.

        Of several, the identity of the weights decides where they may be resolved (`compute`).
        """
        options = self._spec.options
        given = options.get("mode")
        dtype, quant = options.get("dtype", default_dtype(self._device)), options.get("quant")
        wanted = Wanted(
            source=self._label,
            revision=self._source.revision,
            mode=named_mode(self._source.name) if given is None else cast("Mode", given),
            dtype=options.get("dtype"),
            quant=quant,
            likely=dtype if quant in {None, "none"} else f"{quant}/{dtype}",
        )
        if not compute:
            return the_one(self._folder, wanted)
        found = find(self._folder, wanted)
        return found[0] if len(found) == 1 else None

    def _with_packages(self, wanted: Sequence[Question]) -> CacheFile:
        try:
            return self._computed(wanted)
        except ModuleNotFoundError as error:
            raise EngineUnavailable(
                f"the package {error.name!r} is not installed: pip install 'immunopath[foundation]'"
            ) from error

    def _computed(self, wanted: Sequence[Question]) -> CacheFile:
        """Resolve the weights, ask what the cache of exactly this checkpoint lacks, save it."""
        if self._weights is None:
            self._weights = self._source.resolve()
        if self._prompts is None:
            self._prompts = load_templates(self._weights)
        prompts = {q: self._prompts.fill(*q) for q in wanted}
        identity = self._identity(self._weights, self._prompts)
        unsaved = self._unsaved.get(identity.name)
        known = unsaved[0] if unsaved else load(self._folder, identity)
        todo = [q for q, prompt in prompts.items() if prompt and not _known(known, q, prompt)]
        self.identity = identity
        kinds: tuple[Literal["choice", "rank"], ...] = ("choice", "rank")
        for kind in kinds:
            mine = [q for q in dict.fromkeys(todo) if q[0].kind == kind]
            for start in range(0, len(mine), self._batch):
                chunk = mine[start : start + self._batch]
                readings = _asked(self._loaded(self._weights), [prompts[q] for q in chunk], kind)
                known = self._kept(  # at once: a run that is cut off goes on where it ended
                    known,
                    {
                        _key(question): _cached(prompts[question], reading)
                        for question, reading in zip(chunk, readings, strict=True)
                    },
                )
        return known

    def _kept(self, known: CacheFile, new: Mapping[str, CachedAnswer]) -> CacheFile:
        """Return what is known with new answers, on disk or, where that cannot be, in memory."""
        answers = known.answers | dict(new)
        name = known.identity.name
        try:
            saved = save(self._folder, known.identity, answers)
        except OutputError as error:
            held = known.model_copy(update={"answers": answers})
            self._unsaved[name] = held, str(error)
            return held
        self._unsaved.pop(name, None)
        return saved

    def close(self) -> None:
        """Let the model go; it is loaded again when something is missing."""
        self._model = None

    def _loaded(self, weights: Weights) -> TxGemmaModel:
        if self._model is None:
            try:
                self._model = load_txgemma(self._spec, weights, self._device)
            except (RuntimeError, MemoryError) as error:
                raise _failure(error, "its weights cannot be loaded") from error
        return self._model

    def _identity(self, weights: Weights, prompts: Prompts) -> Identity:
        """Return what decides the answers."""
        return Identity(
            source=self._label,
            revision=weights.label,
            weights_digest=weights.digest,
            prompts_digest=prompts.digest,
            mode=mode_of(self._spec, weights),
            precision=str(choose_precision(self._spec.options, self._device)),
        )


def _asked(
    model: TxGemmaModel, prompts: Sequence[str], kind: Literal["choice", "rank"]
) -> tuple[Reading, ...]:
    """Ask a batch; where memory runs out, its halves. Raises `EngineUnavailable` for one alone."""
    try:
        return model.ask(prompts, kind)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise _failure(error, "the model fails at its prompts") from error
        if len(prompts) == 1:
            raise EngineUnavailable(
                "txgemma: not enough memory for one prompt; use quant=nf4, a smaller checkpoint or "
                "another device"
            ) from error
    half = len(prompts) // 2
    return _asked(model, prompts[:half], kind) + _asked(model, prompts[half:], kind)


def _failure(error: RuntimeError | MemoryError, what: str) -> EngineUnavailable:
    return EngineUnavailable(
        f"txgemma: {what} ({first_line(error, 200)}); use another device, dtype= or checkpoint"
    )


def _key(question: Question) -> str:
    return answer_key(question[0].key, question[1])


def _digest(prompt: str) -> str:
    return hashlib.sha256(prompt.encode()).hexdigest()


def _known(cache: CacheFile, question: Question, prompt: str) -> bool:
    found = cache.answers.get(_key(question))
    return found is not None and found.prompt_sha256 == _digest(prompt)


def _cached(prompt: str, reading: Reading) -> CachedAnswer:
    statement = ""
    if reading.letter is not None:
        statement = options_of(prompt)[0 if reading.letter == "A" else 1]
    return CachedAnswer(
        prompt_sha256=_digest(prompt),
        text=reading.text,
        statement=statement,
        letter=reading.letter,
        probability=reading.probability,
        rank=reading.rank,
    )
