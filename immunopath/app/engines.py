"""Which engines the page offers, and the loaded ones.

The browser chooses by name among what was offered: an engine string may name any folder or hub id,
so free text from the browser is never taken for one.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Final, get_args

from immunopath.domain.errors import EngineSpecError, InputError
from immunopath.models.foundation.sources import judge
from immunopath.models.registry import ENTRIES, PROFILES, ROLES, SWITCHED_OFF, Role
from immunopath.models.spec import EngineSpec
from immunopath.pipeline.run import ImmunoPath
from immunopath.pipeline.settings import ProfileName, Settings

AS_STARTED: Final = "as started"
PROFILE_NAMES: Final[tuple[str, ...]] = get_args(ProfileName)


@dataclass(frozen=True)
class Menu:
    """What may be chosen. started: the settings of the command line; extra: its further engines."""

    started: Settings
    extra: Mapping[Role, tuple[str, ...]]

    def offered(self, role: Role) -> tuple[str, ...]:
        """Return the engine strings of a role, that of the command line first."""
        own = getattr(self.started, role)
        names = [entry.name for entry in ENTRIES if entry.role == role]
        bare = [name for name in names if _needs_no_id(role, name)]
        given = [own] if own else []
        return tuple(dict.fromkeys((*given, *self.extra.get(role, ()), *bare, SWITCHED_OFF)))

    def default_of(self, role: Role) -> str:
        """Return the engine that the command line asked for."""
        return getattr(self.started, role) or PROFILES[self.started.profile][role]

    def settings(self, chosen: Mapping[str, str]) -> Settings:
        """Return the settings of a choice; empty or `AS_STARTED` = as the page was started.

        Raises `InputError` for anything that was not offered.
        """
        values = self.started.model_dump()
        profile = chosen.get("profile") or AS_STARTED
        if profile != AS_STARTED:
            if profile not in PROFILE_NAMES:
                raise InputError(f"profile {profile!r}: choose one of {', '.join(PROFILE_NAMES)}")
            values |= {"profile": profile} | dict.fromkeys(ROLES)
        for role in ROLES:
            engine = chosen.get(role) or AS_STARTED
            if engine == AS_STARTED:
                continue
            if engine not in self.offered(role):
                raise InputError(f"{role} {engine!r}: is not offered on this page")
            values[role] = engine
        return Settings.make(values, origin="engines")


def _needs_no_id(role: Role, name: str) -> bool:
    try:
        judge(role, EngineSpec.parse(name), "cpu")
    except EngineSpecError:
        return False
    return True


class EnginePool:
    """Engines that stay loaded, the least recently used ones let go. One thread works with it."""

    def __init__(self, size: int = 2) -> None:
        self._size = size
        self._held: OrderedDict[str, ImmunoPath] = OrderedDict()
        self._lock = Lock()

    def get(self, settings: Settings) -> ImmunoPath:
        """Return the engines of these settings; raises `EngineSpecError`."""
        key = settings.digest()
        with self._lock:
            if key not in self._held:
                self._held[key] = ImmunoPath(settings=settings)
            self._held.move_to_end(key)
            while len(self._held) > self._size:
                self._held.popitem(last=False)[1].close()
            return self._held[key]

    def close(self) -> None:
        """Let all engines go."""
        with self._lock:
            while self._held:
                self._held.popitem()[1].close()
