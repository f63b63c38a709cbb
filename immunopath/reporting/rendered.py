"""A `CaseReport` that shows itself: to rich, JSON, Markdown, HTML and FHIR."""

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from pydantic import PrivateAttr

from immunopath.domain.files import write_text
from immunopath.domain.outcome import Ok
from immunopath.domain.report import CaseReport, ReportProvenance
from immunopath.reporting.text import escaped_json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from immunopath.reporting.figures import Figures


class RenderedReport(CaseReport):
    """The report that `analyze` returns. Renderers are imported when they are used."""

    _figures: "Figures | None" = PrivateAttr(default=None)

    @classmethod
    def of(cls, report: CaseReport, provenance: ReportProvenance) -> Self:
        """Return `report` with `provenance`; nothing in it is validated a second time."""
        values: dict[str, Any] = {name: getattr(report, name) for name in CaseReport.model_fields}
        values["provenance"] = provenance
        return cast("Self", cls.model_construct(report.model_fields_set, **values))

    def with_figures(self, figures: "Figures | None") -> Self:
        """Return the same report with pictures for the HTML (they are never serialised)."""
        copy = self.model_copy()
        copy._figures = figures
        return copy

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the report as JSON text, 2-space indented; write it to `path` when given.

        Characters that steer a terminal or turn the reading direction are written as escapes.
        """
        text = escaped_json(self.model_dump_json(indent=2)) + "\n"
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

    def fhir(self) -> dict[str, Any]:
        """Return the report as a FHIR R4B bundle; raises `EngineUnavailable` without the extra."""
        from immunopath.reporting.fhir import fhir_bundle

        return fhir_bundle(self)

    def to_fhir(self, path: str | Path | None = None) -> str:
        """Return the FHIR R4B bundle as JSON text; write it to `path` when given."""
        from immunopath.reporting.fhir import render_fhir

        return self._out(render_fhir(self), path)

    def _out(self, text: str, path: str | Path | None) -> str:
        if path is not None:
            write_text(Path(path), text)
        return text

    def __rich__(self) -> "RenderableType":
        """Return the terminal report, readable without colour at 80 columns."""
        from immunopath.reporting.terminal import render_terminal

        return render_terminal(self)

    def __repr__(self) -> str:
        """Return one line: the whole report is what ``print`` of rich shows."""
        guidance = self.guidance.value.category if isinstance(self.guidance, Ok) else "no guidance"
        parts = [f"case {self.case_id!r}", self.status.value, str(guidance)]
        return f"<{type(self).__name__} {', '.join(parts)}>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """Return the page for a notebook, in a frame of its own: its style stays inside."""
        page = html.escape(self.to_html(), quote=True)
        return (
            f'<iframe srcdoc="{page}" sandbox '
            'style="width:100%;height:80vh;border:1px solid #ccc"></iframe>'
        )
