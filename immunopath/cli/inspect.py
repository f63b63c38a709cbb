"""What the inspecting commands show: engines, installation, drugs."""

import platform
import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from immunopath.domain.drug import NotInKnowledgeBase
from immunopath.domain.packages import version_of
from immunopath.models.embedded.drug_knowledge import load_drugs
from immunopath.models.registry import EMBEDDED, ENTRIES
from immunopath.reporting.text import visible

_CORE = (
    "langgraph", "langgraph-checkpoint-sqlite", "pydantic", "typing-extensions", "pillow", "numpy",
    "scipy", "opencv-python-headless", "tifffile", "imagecodecs", "defusedxml", "faiss-cpu",
    "openslide-python", "openslide-bin", "rich", "typer", "pyyaml", "jinja2",
)  # fmt: skip
_OPTIONAL = {
    "torch": "foundation",
    "transformers": "foundation",
    "peft": "foundation",
    "bitsandbytes": "foundation",
    "open-clip-torch": "openclip",
    "tensorflow-cpu" if sys.platform == "linux" else "tensorflow": "path-foundation",
    "llguidance": "grammar",
    "trl": "train",
    "fhir.resources": "interop",
    "anndata": "interop",
    "pyarrow": "cohort",
    "ray": "ray",
    "starlette": "app",
}


def show_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a plain table; cells are text, never markup and never terminal escapes."""
    table = Table(box=None, pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    Console().print(table)


def doctor_rows() -> list[tuple[str, str, str]]:
    """Return (check, state, remedy) rows for this installation."""
    rows = [("Python", platform.python_version(), "")]
    for name in _CORE:
        found = version_of(name)
        rows.append((name, found or "missing", "" if found else f"pip install {name}"))
    for name, extra in _OPTIONAL.items():
        found = version_of(name)
        remedy = "" if found else f"optional: pip install 'immunopath[{extra}]'"
        rows.append((name, found or "not installed", remedy))
    return rows


def model_rows() -> list[tuple[str, str, str, str, str]]:
    """Return one row per engine of the registry."""
    return [
        (
            entry.role,
            entry.name,
            entry.licence + (" (gated)" if entry.gated else ""),
            "ready" if entry.name == EMBEDDED else "needs weights: see doctor",
            entry.description,
        )
        for entry in ENTRIES
    ]


def show_drug(name: str) -> bool:
    """Print the curated record of `name` or of its class; returns whether there is one."""
    knowledge, console = load_drugs(), Console()
    found = knowledge.by_class(name)
    answer = knowledge.lookup(name)
    if isinstance(answer, NotInKnowledgeBase) and not found:
        near = f"; nearest: {', '.join(answer.nearest)}" if answer.nearest else ""
        console.print(Text(visible(f"{name}: not in the knowledge base{near}")))
        return False
    for profile in found if isinstance(answer, NotInKnowledgeBase) else (answer,):
        console.print(Text(f"{profile.name} · {profile.drug_class} · curated"), style="bold")
        rows = [(f.topic, f.text, f"{f.source} [{f.grade}]") for f in profile.facts]
        show_table(("topic", "fact", "source [grade]"), rows)
    return True
