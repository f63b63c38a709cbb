"""``python -m immunopath``."""

from immunopath.cli.main import run

run()
