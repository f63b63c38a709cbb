"""Rendered fields with known truth. **Synthetic: drawn by a program, no tissue, no patient.**

For tests and benchmarks, where it must be known what an image shows. Nothing here says anything
about how well a model does on tissue.
"""

from typing import Final

CAPTION: Final = "Synthetic field drawn by ImmunoPath: no tissue, no patient, no measurement."
"""Stands in every file that holds such pixels, and under every picture of them."""
CONSTANTS: Final = "synthetic-labels.json"
"""Not ``labels.json``: that file turns expression into labels, and here is no expression."""
