"""The day and the folder that the guideline tests use."""

from datetime import date
from pathlib import Path

AS_OF = date(2026, 11, 1)
HERE = Path(__file__).parent
