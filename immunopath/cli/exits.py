"""Exit codes that several commands share; docs/command-line.md lists them all."""

from typing import Final

EXIT_ERROR: Final = 2
EXIT_REFUSED: Final = 3
EXIT_SOME_FAILED: Final = 4
EXIT_INTERRUPTED: Final = 130
