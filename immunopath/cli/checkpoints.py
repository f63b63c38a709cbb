"""``immunopath models compare|panel``: two runtimes of an encoder; TxGemma's answers in advance."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from immunopath.cli.options import Mpp, OneDevice, Tissue
from immunopath.domain.words import counted


def compare(
    folder: Annotated[str, typer.Argument(metavar="SAVED_MODEL", help="Path Foundation's folder.")],
    onnx: Annotated[Path, typer.Argument(metavar="ONNX", help="The converted .onnx file.")],
    images: Tissue,
    mpp: Mpp = None,
) -> None:
    """Compare an .onnx file with its SavedModel on patches. Exit code 2 below cosine 0.9999."""
    import numpy as np

    from immunopath.domain.errors import InputError
    from immunopath.domain.units import WORKING_MPP, checked_mpp
    from immunopath.imaging.intake import take_in
    from immunopath.imaging.tiles import TileStore
    from immunopath.models.foundation.vision.onnx_embedder import compare as compared
    from immunopath.models.foundation.vision.onnx_embedder import onnx_encoder
    from immunopath.models.foundation.vision.path_foundation import PX, SIZE, saved_model_encoder
    from immunopath.models.foundation.vision.tile_embedder import fitted
    from immunopath.models.foundation.vision.views import ViewPlan, batches

    store = TileStore()
    take_in(images, None if mpp is None else checked_mpp(mpp), store)
    plan = ViewPlan(WORKING_MPP, PX, "tile")
    patches = [fitted(view, PX) for batch in batches(store, plan, 64) for _, view in batch]
    if not patches:
        raise InputError("no patch of 112 µm with tissue in these images; give larger H&E images")
    saved = saved_model_encoder(Path(folder), folder, "cpu")
    found = compared(saved, onnx_encoder(onnx, "cpu", PX, SIZE), np.stack(patches))
    typer.echo(
        f"{counted(found.n, 'patch', 'patches')}: lowest cosine {found.min_cosine:.6f}, "
        "largest difference "
        f"{found.max_difference:.2g}"
    )
    found.check()


def panel(
    engine: Annotated[str, typer.Argument(metavar="ENGINE", help="txgemma[:id][,cache=…]")],
    drugs: Annotated[
        list[str] | None, typer.Argument(metavar="[DRUG]...", help="Default: all small molecules.")
    ] = None,
    device: OneDevice = "cpu",
) -> None:
    """Ask TxGemma once about every small molecule. The answers are kept for reports without a GPU.

    Exit code 1 when some answers could not be computed.
    """
    from immunopath.cli.inspect import show_table
    from immunopath.domain.errors import InputError
    from immunopath.models.embedded.drug_knowledge import load_drugs
    from immunopath.models.foundation.txgemma.txgemma import TxGemmaDrugs
    from immunopath.models.registry import build_engine
    from immunopath.models.spec import EngineSpec

    asked = build_engine("drugs", EngineSpec.parse(engine), device)
    if not isinstance(asked, TxGemmaDrugs):
        raise InputError(
            f"{engine}: has no model to ask, its records are curated; give txgemma[:id or folder], "
            "or see 'immunopath drug NAME'"
        )
    names = [_curated(name) for name in drugs or ()] or [drug.name for drug in load_drugs().all()]
    rows = []
    for drug in asked.profiles(names):
        found = drug.in_silico
        if found is None:
            continue
        states = Counter(fact.state for fact in found.facts)
        counts = ", ".join(f"{n} {state.replace('_', ' ')}" for state, n in sorted(states.items()))
        rows.append((drug.name, found.status.replace("_", " "), found.reason or counts))
    show_table(("drug", "state", "answers"), rows)
    raise typer.Exit(1 if any(row[1] == "unavailable" for row in rows) else 0)


def _curated(name: str) -> str:
    """Return the name under which a drug is curated; raises `InputError` naming the nearest."""
    from immunopath.domain.drug import NotInKnowledgeBase
    from immunopath.domain.errors import InputError
    from immunopath.models.embedded.drug_knowledge import load_drugs

    found = load_drugs().lookup(name)
    if isinstance(found, NotInKnowledgeBase):
        near = f"nearest: {', '.join(found.nearest)}" if found.nearest else "name a curated drug"
        raise InputError(f"{name}: not in the knowledge base; {near}")
    return found.name
