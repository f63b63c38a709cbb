"""The resolution that a TIFF file states about itself."""

import re
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring
from tifffile import TiffFile, TiffPage

from immunopath.domain.units import MPP_MAX, MPP_MIN, MppSource, Resolution

MAX_PRINT_FREE_MPP = 4.0
"""A TIFF resolution coarser than this (6350 dpi) is a print or flatbed setting, no microscope's."""
ANISOTROPY = 0.01
_MICRONS = {"": 1.0, "µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6}
_IMAGEJ_MICRONS = {"micron", "microns", "um", "µm", "μm", "\\u00b5m", "\\u00B5m"}
_PER_UNIT_UM = {2: 25_400.0, 3: 10_000.0}  # TIFF ResolutionUnit: inch, centimetre
_APERIO_MPP = re.compile(r"\bMPP\s*=\s*([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)")


def embedded_resolution(tif: TiffFile, page: TiffPage) -> tuple[Resolution | None, str]:
    """Return the stated resolution, most trustworthy key first, and a note on what was ignored."""
    pairs = (
        (_from_ome(tif), MppSource.tag),
        (_from_vendor(page), MppSource.vendor),
        (_from_imagej(tif, page), MppSource.tiff_resolution),
    )
    for pair, source in pairs:
        if pair is not None:
            return plausible(pair, source, MPP_MAX)
    unit = _PER_UNIT_UM.get(_number(page, 296))
    across, down = _pixels_per_unit(page, 282), _pixels_per_unit(page, 283)
    if unit is None or across is None or down is None:
        return None, ""
    return plausible((unit / across, unit / down), MppSource.tiff_resolution, MAX_PRINT_FREE_MPP)


def plausible(
    pair: tuple[float, float], source: MppSource, coarsest: float
) -> tuple[Resolution | None, str]:
    """Return µm per pixel across and down as one resolution, or a note on why it is none."""
    across, down = pair
    key = source.value.replace("_", " ")
    if not (MPP_MIN <= across <= coarsest and MPP_MIN <= down <= coarsest):
        return None, f"its {key} of {across:.4g} µm/px is no microscope scale and was ignored"
    if abs(across - down) > ANISOTROPY * across:
        return None, (
            f"its {key} differs across ({across:.4g}) and down ({down:.4g} µm/px) and was ignored"
        )
    return Resolution(mpp=across, source=source), ""


def _from_ome(tif: TiffFile) -> tuple[float, float] | None:
    """Read PhysicalSizeX and Y of the first Pixels element; entities are never expanded."""
    text = tif.ome_metadata
    if not text:
        return None
    try:
        root = fromstring(text)
    except (ParseError, DefusedXmlException, ValueError):
        return None
    pixels = next((node for node in root.iter() if node.tag.rpartition("}")[2] == "Pixels"), None)
    if pixels is None:
        return None
    sizes = [_ome_microns(pixels.attrib, axis) for axis in "XY"]
    across, down = sizes[0], sizes[1] if sizes[1] is not None else sizes[0]
    return None if across is None or down is None else (across, down)


def _ome_microns(attributes: dict[str, str], axis: str) -> float | None:
    try:
        size = float(attributes[f"PhysicalSize{axis}"])
    except (KeyError, ValueError):
        return None
    factor = _MICRONS.get(attributes.get(f"PhysicalSize{axis}Unit", "").strip())
    return None if factor is None else size * factor


def _from_vendor(page: TiffPage) -> tuple[float, float] | None:
    """Read Aperio's ``MPP = 0.499`` from the image description."""
    found = _APERIO_MPP.search(page.description)
    return None if found is None else (float(found.group(1)),) * 2


def _from_imagej(tif: TiffFile, page: TiffPage) -> tuple[float, float] | None:
    metadata = tif.imagej_metadata
    if not metadata or str(metadata.get("unit", "")) not in _IMAGEJ_MICRONS:
        return None
    across, down = _pixels_per_unit(page, 282), _pixels_per_unit(page, 283)
    return None if across is None or down is None else (1 / across, 1 / down)


def _pixels_per_unit(page: TiffPage, code: int) -> float | None:
    tag = page.tags.get(code)
    if tag is None:
        return None
    value = tag.value
    if not isinstance(value, tuple) or len(value) != 2 or not value[0] or not value[1]:
        return None
    return float(value[0]) / float(value[1])


def _number(page: TiffPage, code: int) -> int:
    tag = page.tags.get(code)
    return 0 if tag is None else int(tag.value)
