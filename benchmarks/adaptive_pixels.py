"""The pixel part of ``benchmarks/adaptive.py``: drawn slides as files through the real graph.

The stand-in predictor reads how much of a region is dark nuclei and turns it into a share by a
straight line fitted on the drawn fields. It exists here only: the embedded predictor is wrong on
drawings.
"""

import tempfile
from datetime import date
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import tifffile
from adaptive_slides import CELLS, SIDE_PX, Field, Layout, draw_fields, lay_out, truth_of

from immunopath.agents.context import RunContext
from immunopath.agents.state import REPORT
from immunopath.domain.case import Case
from immunopath.domain.errors import EngineUnavailable
from immunopath.domain.prediction import ImageCall, PredictorResult
from immunopath.domain.report import CaseReport, ReportProvenance
from immunopath.domain.sampling import SamplingBudget
from immunopath.guidelines.adjudication import empty_profile
from immunopath.models.lazy import LazyAtlas
from immunopath.models.protocols import RGB, EngineInfo, Prediction, TileSource
from immunopath.pipeline.graph import build_graph
from immunopath.training.synthetic.render import draw

DARK, GLASS, HOT_RADIUS = 90, 243, 2.5


class Handle:
    """A handle that gives an engine, or says that there is none."""

    def __init__(self, engine: object = None) -> None:
        self.engine = engine

    def get(self) -> object:
        """Return the engine."""
        if self.engine is None:
            raise EngineUnavailable("not part of this benchmark")
        return self.engine

    def loaded_info(self) -> EngineInfo | None:
        """Return None."""
        return None


class DarkNuclei:
    """The stand-in: share of dark pixels, on a line through the drawn fields."""

    def __init__(self, pixels: list[RGB], fields: tuple[Field, ...]) -> None:
        shares = [field.share for field in fields]
        self.slope, self.start = np.polyfit([dark_share(p) for p in pixels], shares, 1)

    def predict(self, source: TileSource) -> Prediction:
        """Return a value by region."""
        found: dict[int, list[float]] = {}
        for tile in source.tiles:
            dark = dark_share(source.pixels(tile.tile_id, 0.5))
            found.setdefault(tile.image_index, []).append(dark)
        images = tuple(
            ImageCall(image_index=i, til=float(self.start + self.slope * np.mean(v)), weight=1)
            for i, v in found.items()
        )
        profile = empty_profile("a stand-in for drawings")
        return Prediction(PredictorResult(profile=profile, cut_points=None, images=images))


def dark_share(pixels: RGB) -> float:
    """Return the share of pixels with little red light: lymphocytes, of all nuclei the darkest."""
    return float((pixels[..., 0] < DARK).mean())


def with_pixels(slides: int) -> dict[str, object]:
    """Return what the graph did on a few slides, each read twice."""
    fields = draw_fields()
    pixels = [draw(field.scene, field.seed).rgb for field in fields]
    engine = DarkNuclei(pixels, fields)
    fitted = [engine.start + engine.slope * dark_share(p) for p in pixels]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(slides):
            layout = lay_out(seed, HOT_RADIUS)
            path = write_slide(Path(folder) / f"{seed}.ome.tif", layout, pixels)
            first, second = analysed(path, engine), analysed(path, engine)
            path.unlink()
            rows.append(_row(layout, fields, first) | {"same_bytes": first == second})
    error = max(abs(a - f.share) for a, f in zip(fitted, fields, strict=True))
    return {"stand_in_largest_error": round(float(error), 3), "slides": rows}


def _row(layout: Layout, fields: tuple[Field, ...], report: CaseReport) -> dict[str, object]:
    found = report.sampling
    if found is None or not found.estimates:
        raise RuntimeError(f"the slide was not sampled: {report.status_reason}")
    estimate = found.estimates[0]
    # the stand-in counts no nuclei, so its truth is the mean over the tissue, not over nuclei
    truth = float(np.mean([fields[n].share for n in layout.field]))
    return {
        "regions_by_round": [len(visit.images) for visit in found.rounds],
        "widths": [round(v.width_before, 3) for v in found.rounds if v.width_before is not None]
        + [round(estimate.width, 3)],
        "value": round(estimate.value, 3),
        "truth_by_area": round(truth, 3),
        "truth_by_nuclei": round(truth_of(layout, fields), 3),
        "interval": [round(v, 3) for v in estimate.interval],
        "stop": found.stop,
    }


def analysed(path: Path, engine: DarkNuclei) -> CaseReport:
    """Run the graph on one slide with the stand-in as its only engine."""
    context = RunContext(
        predictor=Handle(engine),
        phenotype=Handle(),
        embedder=Handle(),
        drugs=Handle(),
        atlas=LazyAtlas(),
        as_of=date(2026, 11, 28),
        provenance=ReportProvenance(
            package_version="-", configuration_digest="-", input_digest="-"
        ),
        sampling=SamplingBudget(rounds=5, regions=30),
    )
    case = Case(case_id=path.stem, images=(path,))
    fresh = {"case": case.model_dump(mode="json"), "trace": []}
    report = REPORT.value(build_graph().invoke(fresh, context=context))
    if report is None:
        raise RuntimeError(f"{path}: no report")
    return report


def write_slide(path: Path, layout: Layout, pixels: list[RGB]) -> Path:
    """Write a pyramidal TIFF of 13 x 13 places, the outermost of glass."""
    side = SIDE_PX * (CELLS + 2)
    slide: npt.NDArray[np.uint8] = np.full((side, side, 3), GLASS, np.uint8)
    for n, (box, field) in enumerate(zip(layout.frame, layout.field, strict=True)):
        turned = np.roll(pixels[field], (37 * n, 61 * n), (0, 1))  # no two with the same pixels
        slide[box[1] : box[1] + SIDE_PX, box[0] : box[0] + SIDE_PX] = turned
    options: dict[str, object] = {
        "tile": (SIDE_PX, SIDE_PX), "photometric": "rgb", "compression": "zlib",
        "compressionargs": {"level": 1},
    }  # fmt: skip
    metadata = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    small = np.asarray(cv2.resize(slide, (side // 8,) * 2, interpolation=cv2.INTER_AREA), np.uint8)
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(slide, subifds=1, metadata=metadata, **options)
        writer.write(small, subfiletype=1, metadata=None, **options)
    return path
