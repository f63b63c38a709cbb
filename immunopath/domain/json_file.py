"""A value that lies in a JSON file: read whole, checked, and every fault named with the file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import ValidationError

from immunopath.domain.base import Frozen, fault_of
from immunopath.domain.errors import CaseFileError, ImmunoPathError
from immunopath.domain.files import read_small

Value = TypeVar("Value", bound=Frozen)


@dataclass(frozen=True)
class JsonFile(Generic[Value]):
    """How files of one kind are read.

    what: says which file is wanted; whole: what to call the value itself in a fault; remedy: what
    to do about a value that does not hold; error: the class of every fault; limit: bytes.
    """

    kind: type[Value]
    what: str
    whole: str = "file"
    remedy: str = ""
    error: type[ImmunoPathError] = CaseFileError
    limit: int = 4_000_000

    def read(self, path: Path) -> Value:
        """Return the value in a file; raises `error` naming the file and the key."""
        try:
            data = read_small(path, self.what, self.limit)
        except CaseFileError as error:
            raise self.error(str(error)) from error
        try:
            return self.kind.model_validate_json(data)
        except ValidationError as error:
            raise self.fault(path, error) from error

    def of(self, path: Path, content: object) -> Value:
        """Return the value that is the `content` of a file; raises as `read` does."""
        try:
            return self.kind.model_validate(content)
        except ValidationError as error:
            raise self.fault(path, error) from error

    def fault(self, path: Path, error: ValidationError) -> ImmunoPathError:
        """Return what to raise for a value that does not hold."""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return self.error(f"{path}: {fault_of(error, self.whole)}{remedy}")
