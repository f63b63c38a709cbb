"""A `CaseReport` that shows itself: to rich, JSON, Markdown and HTML."""

from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import PrivateAttr

from immunopath.domain.report import CaseReport
from immunopath.reporting.files import write_text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from immunopath.reporting.figures import Figures


class RenderedReport(CaseReport):
    """The report that `analyze` returns. Renderers are imported when they are used."""

    _figures: "Figures | None" = PrivateAttr(default=None)

    def with_figures(self, figures: "Figures | None") -> Self:
        """Return the same report with pictures for the HTML (they are never serialised)."""
        copy = self.model_copy()
        copy._figures = figures
        return copy

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the report as JSON text, 2-space indented; write it to `path` when given."""
        text = self.model_dump_json(indent=2) + "\n"
        return self._out(text, path)

    def to_markdown(self, path: str | Path | None = None) -> str:
        """Return the report as GitHub Markdown; write it to `path` when given."""
        from immunopath.reporting.markdown import render_markdown

        return self._out(render_markdown(self), path)

    def to_html(self, path: str | Path | None = None) -> str:
        """Return one self-contained HTML page; write it to `path` when given.

        A report read back from JSON has no pixels: its page says so where the image would be.
        """
        from immunopath.reporting.html import render_html

        return self._out(render_html(self, self._figures), path)

    def _out(self, text: str, path: str | Path | None) -> str:
        if path is not None:
            write_text(Path(path), text)
        return text

    def __rich__(self) -> "RenderableType":
        """Return the terminal report, readable without colour at 80 columns."""
        from immunopath.reporting.terminal import render_terminal

        return render_terminal(self)
