"""LangGraph checkpoints in a SQLite file: an interrupted case goes on where it stopped."""

import hashlib
import sqlite3
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any, cast

from immunopath import __version__
from immunopath.agents.context import RunContext
from immunopath.agents.pixels import tiles_of
from immunopath.agents.state import DRUGS, INTAKE, PHENOTYPE, PREDICTION, RETRIEVAL, CaseState
from immunopath.domain.case import Case
from immunopath.domain.errors import OutputError
from immunopath.domain.files import open_regular
from immunopath.domain.outcome import Failed, Unavailable
from immunopath.models.protocols import Predictor

Config = dict[str, Any]


class Checkpoints:
    """The saver and the threads it keeps.

    A thread is one piece of work: its name is the digest of the case, the bytes of its images, the
    date, the settings and the version. So a second case with the same id, or the same case with
    another image, never meets the state of the first.
    """

    def __init__(self, path: str | Path) -> None:
        from langgraph.checkpoint.sqlite import SqliteSaver

        self._closing = ExitStack()
        try:
            self.saver = self._closing.enter_context(SqliteSaver.from_conn_string(str(path)))
            self.saver.setup()
        except sqlite3.Error as error:
            self._closing.close()
            raise OutputError(f"{path}: cannot hold checkpoints ({error})") from error

    def close(self) -> None:
        """Close the file, never under a write that is going on."""
        with self.saver.lock:
            self._closing.close()

    def config(self, case: Case, as_of: date, settings_digest: str) -> Config:
        """Return the LangGraph configuration that names the thread of this work."""
        parts = [__version__, settings_digest, as_of.isoformat(), case.model_dump_json()]
        parts += [_digest_of(path) for path in case.images]
        name = hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
        return {"configurable": {"thread_id": name}}

    def start(
        self,
        graph: Any,  # noqa: ANN401 - LangGraph's compiled type
        config: Config,
        context: RunContext,
        fresh: CaseState,
    ) -> CaseState | None:
        """Return what to feed the graph: None to go on with an interrupted run, else `fresh`.

        A finished thread is forgotten first: feeding it again would add to its trace.
        """
        kept = graph.get_state(config)
        if kept.tasks:  # `next` leaves out a task that ran but was not applied yet
            _restore(kept.values, context)
            return None
        self.saver.delete_thread(config["configurable"]["thread_id"])
        return fresh


def _restore(state: CaseState, context: RunContext) -> None:
    """Bring back what a state does not hold: engines that had answered, atlas, pixels, nuclei."""
    if INTAKE.value(state) is not None:
        tiles_of(state, context)
    for key, handle in (
        (PREDICTION, context.predictor),
        (PHENOTYPE, context.phenotype),
        (RETRIEVAL, context.embedder),
        (DRUGS, context.drugs),
    ):
        if not isinstance(key.read(state), Unavailable | Failed):
            handle.get()
    if RETRIEVAL.value(state) is not None:
        context.atlas.get()
    predicted = PREDICTION.value(state)
    if predicted is not None and predicted.morphometry is not None:
        engine = cast("Predictor", context.predictor.get())
        context.workspace.nuclei = engine.predict(tiles_of(state, context)).nuclei


def _digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, or nothing: a file that cannot be read is intake's to name."""
    try:
        with open_regular(path) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""
