"""From a user's manifest of images to an atlas.

A manifest is a CSV or TSV file (by its first line) with a header. ``path`` is required, relative to
the manifest; the other columns are in `COLUMNS`, and any profile field may be a label column. Empty
cells are unknown. An image whose resolution nobody states is refused: a guess would put patches of
mixed scale into one atlas.
"""

import base64
import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from pydantic import ValidationError

from immunopath.domain.errors import (
    CaseFileError,
    EngineUnavailable,
    ImageSizeError,
    InputError,
)
from immunopath.domain.files import read_bounded, require_file
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.domain.quality import TileSummary
from immunopath.domain.units import checked_mpp
from immunopath.imaging.decode import DecodedImage, decode_image
from immunopath.imaging.tiles import TileStore, resample
from immunopath.models.atlas import Atlas
from immunopath.models.atlas_entry import EXTRA_LABELS, AtlasEntry, Encoder
from immunopath.models.atlas_index import recall
from immunopath.models.protocols import RGB, Embedder

COLUMNS = (
    "path",
    "id",
    "title",
    "tissue",
    "mpp",
    "mpp_source",
    "patient_id",
    "label_quantity",
    "source",
    "licence",
    "attribution",
)
LABELS = (*FIELD_VALUES, *EXTRA_LABELS)
THUMBNAIL_PX = 96
MAX_MANIFEST_BYTES = 50_000_000
Decode = Callable[[Path], DecodedImage]
Row = dict[str, str]


@dataclass(frozen=True)
class AtlasBuild:
    """What came of a manifest: the atlas, its file, and each image left out with the reason."""

    atlas: Atlas
    path: Path
    n_images: int
    skipped: tuple[tuple[str, str], ...]
    recall: tuple[float, int] | None = None
    """With an index string: its recall at 8 against the flat search, and of how many queries."""


def build_atlas(  # noqa: PLR0913 - the last three have defaults and names
    manifest: Path,
    embedder: Embedder,
    out: Path,
    *,
    decode: Decode = decode_image,
    name: str = "atlas",
    index: str | None = None,
) -> AtlasBuild:
    """Build an atlas from a manifest and save it at `out` (a ``.atlas`` file or a folder).

    Images that cannot be decoded, have no usable tissue, are too small for the embedder or repeat
    the pixels of an earlier one are left out and listed. Raises `CaseFileError` for a manifest
    that is not valid, `InputError` when no image is left or `index` (a ``faiss.index_factory``
    string) does not fit, `OutputError` when `out` cannot be written.
    """
    rows = read_manifest(manifest)
    entries: list[AtlasEntry] = []
    vectors: list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = []
    skipped: list[tuple[str, str]] = []
    seen: dict[str, str] = {}
    for number, row in enumerate(rows, 2):
        try:
            image = decode(manifest.parent / row["path"])
            if image.pixels_sha256 in seen:
                raise _Unusable(f"the pixels of {seen[image.pixels_sha256]} again")
            store = TileStore()
            store.add_image(image, _mpp(row, image))
            if not store.tiles:
                raise _Unusable(store.all_tiles[0].quality.reason or "no usable tile")
            rows_of_image = embedder.embed(store)
        except (InputError, ImageSizeError) as error:
            skipped.append((row["path"], str(error)))
            continue
        seen[image.pixels_sha256] = row["path"]
        entries.extend(_entries(row, image, store, f"{manifest} line {number}"))
        vectors.append(rows_of_image)
    if not entries:
        raise InputError(f"{manifest}: no image could be used ({_first(skipped)})")
    atlas = Atlas.build(entries, np.concatenate(vectors), Encoder.of(embedder.info), name, index)
    found = None if index is None else recall(atlas.vectors, index)
    return AtlasBuild(atlas, atlas.save(out), len(seen), tuple(skipped), found)


class _Unusable(InputError):
    """A decodable image that does not enter the atlas."""


def read_manifest(path: Path) -> list[Row]:
    """Return the rows of a CSV or TSV manifest, blanks stripped; raises `CaseFileError`."""
    require_file(path, "a CSV or TSV file")
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise CaseFileError(f"{path}: larger than a manifest can be")
        text = read_bounded(path, MAX_MANIFEST_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise CaseFileError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise CaseFileError(f"{path}: is not UTF-8 text") from error
    lines = text.splitlines()
    header = lines[0] if lines else ""
    reader = csv.DictReader(lines, delimiter="\t" if "\t" in header else ",", strict=True)
    columns = [c.strip() for c in reader.fieldnames or ()]
    unknown = sorted(set(columns) - {*COLUMNS, *LABELS})
    if "path" not in columns or unknown or len(set(columns)) != len(columns):
        fault = f"unknown column {unknown[0]!r}" if unknown else "columns must be unique, with path"
        raise CaseFileError(f"{path}: {fault}; known are {', '.join([*COLUMNS, *LABELS])}")
    reader.fieldnames = columns
    try:
        return [_stripped(row, path, number) for number, row in enumerate(reader, 2)]
    except csv.Error as error:
        raise CaseFileError(f"{path}: is no CSV or TSV file ({error})") from error


def _stripped(row: dict[str | None, str | None], path: Path, number: int) -> Row:
    if None in row:
        raise CaseFileError(f"{path} line {number}: more cells than columns")
    clean = {str(key): (value or "").strip() for key, value in row.items()}
    if not clean["path"]:
        raise CaseFileError(f"{path} line {number}: path is empty")
    return clean


def _mpp(row: Row, image: DecodedImage) -> float:
    text = row.get("mpp", "")
    if text:
        try:
            return checked_mpp(float(text))
        except ValueError as error:
            raise _Unusable(f"mpp {text!r} is not a number of µm per pixel") from error
    if image.embedded is None:
        raise _Unusable("nobody states its resolution; fill the mpp column (µm per pixel)")
    return image.embedded.mpp


def _entries(row: Row, image: DecodedImage, store: TileStore, where: str) -> Iterable[AtlasEntry]:
    """Return one entry per accepted tile; raises `CaseFileError` naming the manifest's line."""
    stated = image.embedded.source.value if image.embedded else ""
    image_id = row.get("id") or image.pixels_sha256[:16]
    given = row.get("mpp_source") or ("user" if row.get("mpp") else stated)
    try:
        for tile in store.tiles:
            box = ",".join(str(n) for n in tile.box)
            yield AtlasEntry(
                entry_id=image_id if len(store.tiles) == 1 else f"{image_id}:{box}",
                image_id=image_id,
                title=row.get("title") or image.name,
                tissue=row.get("tissue", ""),
                labels=_labels(row),
                label_quantity=row.get("label_quantity") or None,
                patient_id=row.get("patient_id") or None,
                image_sha256=image.sha256,
                pixels_sha256=image.pixels_sha256,
                mpp=tile.mpp,
                mpp_source=given,
                source=row.get("source", ""),
                licence=row.get("licence", "") or "not stated",
                attribution=row.get("attribution", "") or "not stated",
                thumbnail=_thumbnail(store, tile),
            )
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise CaseFileError(f"{where}: {message}") from error


def _labels(row: Row) -> dict[str, str | float]:
    labels: dict[str, str | float] = {}
    for name in LABELS:
        text = row.get(name, "")
        if text:
            labels[name] = _number(text) if FIELD_VALUES.get(name, ()) is None else text
    return labels


def _number(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text  # the entry's own check then names the label and what it takes


def _thumbnail(store: TileStore, tile: TileSummary) -> str:
    """Return the tile as a JPEG of at most 96 px, base64."""
    rgb: RGB = store.pixels(tile.tile_id, tile.mpp)
    longest = max(rgb.shape[:2])
    small = rgb if longest <= THUMBNAIL_PX else resample(rgb, 1.0, longest / THUMBNAIL_PX)
    done, data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    if not done:
        raise EngineUnavailable("the JPEG encoder of OpenCV is missing")
    return base64.b64encode(data.tobytes()).decode("ascii")


def _first(skipped: list[tuple[str, str]]) -> str:
    return f"{skipped[0][0]}: {skipped[0][1]}" if skipped else "the manifest lists none"
