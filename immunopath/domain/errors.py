"""The tree of everything ImmunoPath raises on purpose.

::

    ImmunoPathError
    ├── InputError              the caller's input cannot be used
    │   ├── ImageReadError      missing, empty, truncated, mislabelled, too large, unsupported mode
    │   ├── ResolutionError     mpp is not a number of micrometres per pixel, or out of range
    │   ├── CaseFileError       a clinical YAML or configuration file is invalid
    │   ├── EngineSpecError     an engine string cannot be understood
    │   └── OutputError         a result cannot be written where it was asked for
    ├── EngineError             an engine was asked and could not do its work
    │   ├── EngineUnavailable   it cannot run here: package, weights or licence missing
    │   └── EngineMismatch      a query made by another encoder, an index of another build
    └── KnowledgeError          the shipped or given knowledge base is not consistent

Messages are one line: what is wrong, with which file or value, and what to do.
"""


class ImmunoPathError(Exception):
    """Root of the tree; ``str(error)`` is one printable line."""

    def __str__(self) -> str:
        """Return the message on one line, control characters made visible."""
        text = super().__str__()
        return "".join(
            c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
        )


class InputError(ImmunoPathError):
    """The caller's input cannot be used."""


class ImageReadError(InputError):
    """The file is missing, empty, truncated, mislabelled, too large or of an unsupported kind."""


class ResolutionError(InputError):
    """The stated mpp (micrometres per pixel) is not usable."""


class CaseFileError(InputError):
    """A clinical YAML file or a configuration file is invalid."""


class EngineSpecError(InputError):
    """An engine string cannot be understood."""


class OutputError(InputError):
    """A result cannot be written where it was asked for."""


class EngineError(ImmunoPathError):
    """An engine was asked and could not do its work."""


class EngineUnavailable(EngineError):
    """The engine cannot run here: a package, weights or a licence is missing."""


class EngineMismatch(EngineError):
    """A query or an index was made by another encoder or another build."""


class KnowledgeError(ImmunoPathError):
    """The knowledge base is not consistent."""
