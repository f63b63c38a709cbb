"""Where a benchmark's figures go: standard output or a file, as JSON."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path


def write_figures(found: Mapping[str, object], target: str) -> None:
    """Write the figures to a file, or to standard output for ``-``."""
    text = json.dumps(found, indent=2) + "\n"
    if target == "-":
        sys.stdout.write(text)
    else:
        Path(target).write_text(text)
