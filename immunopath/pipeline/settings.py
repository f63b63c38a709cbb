"""The parameter object of a run: every choice that can change a result, and nothing else."""

import hashlib
import tomllib
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, field_validator

from immunopath.domain.base import Frozen, first_fault
from immunopath.domain.errors import CaseFileError, EngineSpecError
from immunopath.domain.files import read_bounded, require_file
from immunopath.models.registry import PROFILES, ROLES, Role, check_spec
from immunopath.models.spec import EngineSpec

ProfileName = Literal["embedded", "foundation"]
MAX_CONFIG_BYTES = 100_000


class Settings(Frozen):
    """How cases are analysed. Engine roles left at None take the profile's engine."""

    profile: ProfileName = "embedded"
    predictor: str | None = None
    phenotype: str | None = None
    embedder: str | None = None
    drugs: str | None = None
    device: str = "cpu"
    atlas: Path | None = None
    """A folder made by ``immunopath atlas build``; None = the shipped reference atlas."""
    neighbours: int = Field(default=8, ge=1, le=100)
    """How many neighbours retrieval returns."""
    engine_timeout_s: float | None = Field(default=None, gt=0)
    """Longest wait for one engine on one case; None = no limit."""

    sampling_rounds: int = Field(default=2, ge=0, le=5)
    """How often a slide may be read further when the evidence is thin; 0 = never."""
    sampling_regions: int = Field(default=12, ge=0, le=200)
    """How many regions all further rounds of a case may read."""
    heat: bool = False
    """Whether every tissue tile of the images is counted as well, for the maps of the report."""
    heat_tiles: int = Field(default=20_000, ge=1, le=1_000_000)
    """Most tissue tiles of 250 µm that a case may have for it; more are refused, never skipped."""

    @field_validator("atlas", mode="before")
    @classmethod
    def _path(cls, value: object) -> object:
        return Path(value) if isinstance(value, str) else value

    def spec(self, role: Role) -> EngineSpec:
        """Return the engine spec of a role; raises `EngineSpecError`."""
        text: str = getattr(self, role) or PROFILES[self.profile][role]
        spec = EngineSpec.parse(text)
        check_spec(role, spec)
        return spec

    def checked(self) -> Self:
        """Return itself after every engine string was understood."""
        for role in ROLES:
            self.spec(role)
        return self

    def digest(self) -> str:
        """Return the SHA-256 of the whole object, engines resolved."""
        resolved = self.model_copy(update={role: str(self.spec(role)) for role in ROLES})
        return hashlib.sha256(resolved.model_dump_json().encode()).hexdigest()

    @classmethod
    def from_toml(cls, path: Path, **overrides: object) -> Self:
        """Read settings from a TOML file; `overrides` that are not None win.

        Raises `CaseFileError` naming the file and the key.
        """
        require_file(path, "a TOML file")
        try:
            if path.stat().st_size > MAX_CONFIG_BYTES:
                raise CaseFileError(f"{path}: larger than a configuration file can be")
            table = tomllib.loads(read_bounded(path, MAX_CONFIG_BYTES).decode("utf-8"))
        except OSError as error:
            raise CaseFileError(f"{path}: cannot be read ({error.strerror})") from error
        except (ValueError, RecursionError) as error:  # both decode errors are ValueErrors
            raise CaseFileError(f"{path}: is not TOML ({str(error)[:200]})") from error
        merged = table | {k: v for k, v in overrides.items() if v is not None}
        return cls.make(merged, origin=str(path))

    @classmethod
    def make(cls, values: dict[str, object], origin: str = "settings") -> Self:
        """Return checked settings; raises `CaseFileError` or `EngineSpecError`."""
        try:
            return cls.model_validate(values).checked()
        except ValidationError as error:
            fault = first_fault(error, "settings")
            kind = EngineSpecError if fault.partition(":")[0] in ROLES else CaseFileError
            raise kind(f"{origin}: {fault}") from error
