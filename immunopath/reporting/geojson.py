"""Every nucleus as a QuPath detection."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from immunopath.domain.files import write_text
from immunopath.domain.report import RESEARCH_USE
from immunopath.models.protocols import NucleiTable
from immunopath.reporting.text import visible

_LYMPHOCYTE = '{"name":"Lymphocyte","color":[0,158,178]}'
_OTHER = '{"name":"Other nucleus","color":[214,106,16]}'


def nuclei_geojson(
    nuclei: NucleiTable,
    mpp: Sequence[float],
    names: Sequence[str] = (),
    origins: Sequence[tuple[int, int]] = (),
) -> Iterator[str]:
    """Yield a GeoJSON FeatureCollection in pieces, one nucleus a line.

    nuclei: centroids in µm from the corner of their own image. mpp: µm per level-0 pixel of each
    image, by index. names: file name of each image; with several images each feature names its own
    in ``metadata``, because coordinates are level-0 pixels of that image. origins: corner of each
    image on its slide, when it is a region of one; coordinates then are those of the slide.

    Geometry is the measured centroid as a Point: outlines were not kept and none are invented.
    Measurements that are not finite are left out. Raises `ValueError` when an image has no mpp or
    a centroid is not finite.
    """
    if not (np.isfinite(nuclei.x_um).all() and np.isfinite(nuclei.y_um).all()):
        raise ValueError("a nucleus without a finite centroid cannot be placed")
    if len(nuclei) and int(nuclei.image_index.max()) >= len(mpp):
        raise ValueError(f"nuclei of image {int(nuclei.image_index.max())}, mpp of {len(mpp)}")
    head = {"type": "FeatureCollection", "research_use": RESEARCH_USE, "mpp": list(mpp)}
    yield json.dumps(head)[:-1] + ', "features": ['
    tails = [_metadata(i, names) if len(mpp) > 1 else "" for i in range(len(mpp))]
    columns = (
        nuclei.x_um.tolist(),
        nuclei.y_um.tolist(),
        nuclei.image_index.tolist(),
        nuclei.area_um2.tolist(),
        nuclei.p_lymphocyte.tolist(),
        nuclei.is_lymphocyte.tolist(),
        nuclei.in_nest.tolist(),
    )
    separator = "\n"
    for x, y, image, area, p, lymphocyte, nest in zip(*columns, strict=True):
        scale = mpp[image]
        left, top = origins[image] if origins else (0, 0)
        yield (
            f'{separator}{{"type":"Feature","geometry":{{"type":"Point","coordinates":'
            f'[{left + x / scale:.2f},{top + y / scale:.2f}]}},"properties":{{'
            f'"objectType":"detection",'
            f'"classification":{_LYMPHOCYTE if lymphocyte else _OTHER},'
            f'"measurements":{{{_measurements(area, p, nest)}}}{tails[image]}}}}}'
        )
        separator = ",\n"
    yield "\n]}\n"


def write_nuclei_geojson(
    path: str | Path,
    nuclei: NucleiTable,
    mpp: Sequence[float],
    names: Sequence[str] = (),
    origins: Sequence[tuple[int, int]] = (),
) -> None:
    """Write `nuclei_geojson` to `path` at once or not at all; raises `OutputError`."""
    write_text(Path(path), "".join(nuclei_geojson(nuclei, mpp, names, origins)))


def _measurements(area: float, p: float, nest: bool) -> str:
    values = (("p_lymphocyte", p, 4), ("Area µm^2", area, 2), ("in_nest", int(nest), 0))
    return ",".join(f'"{k}":{v:.{digits}f}' for k, v, digits in values if math.isfinite(v))


def _metadata(index: int, names: Sequence[str]) -> str:
    name = visible(names[index]) if index < len(names) else ""
    shown = {"image_index": str(index)} | ({"image": name} if name else {})
    return f',"metadata":{json.dumps(shown)}'
