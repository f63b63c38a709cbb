"""An engine that is loaded when first asked for, and once."""

from collections.abc import Collection
from pathlib import Path
from threading import Lock
from typing import Any

from immunopath.domain.errors import EngineError
from immunopath.models.atlas import Atlas, load_atlas
from immunopath.models.protocols import EngineInfo
from immunopath.models.registry import Role, build_engine, close_engine
from immunopath.models.spec import EngineSpec


class LazyEngine:
    """One engine behind a lock. A failure to load is remembered and raised again."""

    def __init__(self, role: Role, spec: EngineSpec, device: str) -> None:
        self.role, self.spec, self._device = role, spec, device
        self._lock = Lock()
        self._engine: Any = None
        self._error: tuple[type[EngineError], tuple[object, ...]] | None = None

    def get(self) -> Any:  # noqa: ANN401 - the role decides the protocol
        """Return the engine; raises the `EngineError` that its builder raised."""
        with self._lock:
            if self._error is not None:
                kind, words = self._error
                # A new one each time: the traceback of one that is kept grows by every case that
                # it ended, and holds what their frames hold, pixels too.
                raise kind(*words)
            if self._engine is None:
                try:
                    self._engine = build_engine(self.role, self.spec, self._device)
                except EngineError as error:
                    self._error = type(error), error.args
                    raise
            return self._engine

    def loaded_info(self) -> EngineInfo | None:
        """Return what the loaded engine is, or None when it is not loaded."""
        info = getattr(self._engine, "info", None)
        return info if isinstance(info, EngineInfo) else None

    def close(self) -> None:
        """Close the engine if it can be closed and let it go; the next `get` builds it anew."""
        with self._lock:
            engine, self._engine, self._error = self._engine, None, None
        close_engine(engine)


class LazyAtlas:
    """An atlas behind a lock; `path` None = the shipped reference atlas."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = Lock()
        self._atlas: Atlas | None = None

    def get(self) -> Atlas:
        """Return the atlas; raises `ImmunoPathError` when it cannot be opened."""
        with self._lock:
            if self._atlas is None:
                self._atlas = load_atlas(self._path)
            return self._atlas

    def thumbnails(self, entry_ids: Collection[str]) -> dict[str, bytes]:
        """Return JPEG bytes of the entries named; empty while no atlas was opened."""
        if self._atlas is None:
            return {}
        shown = (entry for entry in self._atlas.entries if entry.entry_id in entry_ids)
        pairs = ((entry.entry_id, entry.thumbnail_jpeg) for entry in shown)
        return {key: jpeg for key, jpeg in pairs if jpeg is not None}
