"""``immunopath atlas``: build and search reference atlases."""

from pathlib import Path
from typing import cast

import typer

from immunopath.cli.inspect import show_table
from immunopath.cli.options import settings_of
from immunopath.domain.files import require_file, require_place
from immunopath.domain.prediction import RetrievalResult
from immunopath.domain.units import checked_mpp
from immunopath.domain.words import counted
from immunopath.imaging.intake import take_in
from immunopath.imaging.tiles import TileStore
from immunopath.models.atlas import LeaveOut, load_atlas
from immunopath.models.atlas_build import build_atlas
from immunopath.models.atlas_bundle import bundle_path
from immunopath.models.protocols import Embedder
from immunopath.models.registry import build_engine
from immunopath.models.retrieval import retrieve
from immunopath.reporting.text import visible


def _embedder(text: str | None) -> Embedder:
    spec = settings_of(None, embedder=text).spec("embedder")
    return cast("Embedder", build_engine("embedder", spec, "cpu"))


def build(manifest: Path, out: Path, embedder: str | None, index: str | None = None) -> None:
    """Build an atlas and say what it holds, what was left out and how good its index is."""
    require_file(manifest, "a CSV or TSV file")
    require_place(bundle_path(out))
    made = build_atlas(manifest, _embedder(embedder), out, index=index)
    typer.echo(
        f"{counted(len(made.atlas), 'patch', 'patches')} of "
        f"{counted(made.n_images, 'image')}: {made.atlas.atlas_id}"
    )
    if made.recall is not None:
        share, queries = made.recall
        typer.echo(
            f"index {index}: recall at 8 against flat {share:.3f} "
            f"({counted(queries, 'query', 'queries')})"
        )
    if made.skipped:
        show_table(("left out", "why"), made.skipped)


def search(
    image: Path, mpp: float | None, atlas: Path | None, embedder: str | None, k: int
) -> RetrievalResult | None:
    """Print the neighbours of an image; None when its pixels were refused."""
    store = TileStore()
    intake = take_in([image], None if mpp is None else checked_mpp(mpp), store)
    if not intake.usable:
        typer.echo(visible(f"{image.name}: refused: {intake.reason}"))
        return None
    own = LeaveOut(
        pixels_sha256s=frozenset(i.pixels_sha256 for i in intake.images),
        image_sha256s=frozenset(i.sha256 for i in intake.images),
    )
    result = retrieve(store, _embedder(embedder), load_atlas(atlas), k, own)
    rows = [
        (f"{n.similarity:.2f}", n.neighbour_id, n.tissue, _labels(n.labels))
        for n in result.neighbours
    ]
    show_table(("cosine", "patch", "what it is", "known"), rows)
    return result


def _labels(labels: dict[str, str | float]) -> str:
    return ", ".join(f"{name} {value}" for name, value in labels.items())
