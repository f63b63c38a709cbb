"""Files beside the report that need what only the running case has: nuclei, vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from immunopath.agents.context import Workspace
from immunopath.domain.errors import OutputError
from immunopath.domain.report import CaseReport, CaseStatus
from immunopath.models.embedded.dense_sums import DenseSlide
from immunopath.reporting.anndata_tiles import write_tiles_h5ad
from immunopath.reporting.geojson import write_nuclei_geojson
from immunopath.reporting.geojson_heat import write_heat_geojson
from immunopath.reporting.geojson_tiles import write_tiles_geojson


@dataclass(frozen=True)
class SideFiles:
    """Where they go; None = not wanted.

    nuclei: every nucleus, tiles: every tile with its counts, heat: every tile of a dense pass
    (`Settings.heat`), all as QuPath GeoJSON; anndata: tiles with embeddings and predictions as
    ``.h5ad`` (extra ``interop``).
    """

    nuclei: str | Path | None = None
    tiles: str | Path | None = None
    anndata: str | Path | None = None
    heat: str | Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that are wanted."""
        wanted = (self.nuclei, self.tiles, self.anndata, self.heat)
        return tuple(Path(p) for p in wanted if p is not None)

    def write(
        self, report: CaseReport, workspace: Workspace, heat: Sequence[DenseSlide] = ()
    ) -> None:
        """Write what is wanted; raises `OutputError` when the case has nothing to write."""
        if self.heat is not None:
            if not heat:
                raise OutputError(f"{self.heat}: there is no heat to write{_why(report)}")
            write_heat_geojson(Path(self.heat), heat)
        table = workspace.nuclei_of(report)
        if self.nuclei is not None:
            if table is None:
                raise OutputError(f"{self.nuclei}: no nuclei were counted, so none can be written")
            mpp = [image.mpp for image in report.images]
            names = [image.name for image in report.images]
            origins = [image.origin for image in report.images]
            write_nuclei_geojson(Path(self.nuclei), table, mpp, names, origins)
        if self.tiles is not None:
            write_tiles_geojson(Path(self.tiles), report, table)
        if self.anndata is not None:
            write_tiles_h5ad(Path(self.anndata), report, workspace.vectors_of(report), table)


def _why(report: CaseReport) -> str:
    """Return why a case has no heat."""
    if report.heat is not None:
        return f": {'; '.join(report.heat.notes)}"
    return ": the image was refused" if report.status is CaseStatus.refused else "; ask for --heat"
