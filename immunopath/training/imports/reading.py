"""Files and folders of vectors, each by its kind."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from immunopath.domain.errors import CaseFileError
from immunopath.models.atlas_entry import Encoder
from immunopath.models.registry import build_engine, check_spec, close_engine
from immunopath.models.spec import EngineSpec
from immunopath.training.imports.h5ad import Spatial, read_h5ad
from immunopath.training.imports.hdf5 import read_hdf5
from immunopath.training.imports.vectors import Maker, SlideVectors

PICKLED = (".pt", ".pth", ".pkl", ".pickle")


@dataclass(frozen=True)
class Reading:
    """What files do not say; see `read_hdf5` and `read_h5ad`."""

    patches: Path | None = None
    slide_key: str | None = None
    spatial: Spatial = "centre"
    level0_px: int | None = None


def read_all(paths: Sequence[Path], how: Reading) -> list[SlideVectors]:
    """Return the vectors of all files, folders by their ``.h5`` and ``.h5ad`` files in order.

    Raises `CaseFileError` for another kind of file; pickled ones (``.pt``) are never opened.
    """
    return [found for path in _files(paths) for found in _read(path, how)]


def maker_of_engine(text: str) -> Maker:
    """Return who an embedder of the registry says that it is."""
    spec = EngineSpec.parse(text)
    check_spec("embedder", spec)
    engine = build_engine("embedder", spec, "cpu")
    try:
        encoder = Encoder.of(engine.info)
    finally:
        close_engine(engine)
    return Maker(encoder.name, encoder.revision, encoder.weights_digest)


def _files(paths: Sequence[Path]) -> Iterable[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        inside = sorted(p for p in path.iterdir() if p.suffix.lower() in {".h5", ".h5ad"})
        if not inside:
            raise CaseFileError(f"{path}: holds no .h5 and no .h5ad file; name the folder of them")
        yield from inside


def _read(path: Path, how: Reading) -> Iterable[SlideVectors]:
    suffix = path.suffix.lower()
    if suffix in PICKLED:
        raise CaseFileError(
            f"{path}: is a pickled file, which can run code when it is opened; give the .h5 that "
            "the same program wrote"
        )
    if suffix == ".h5ad":
        return read_h5ad(path, how.slide_key, how.spatial, how.level0_px)
    return (read_hdf5(path, how.patches),)
