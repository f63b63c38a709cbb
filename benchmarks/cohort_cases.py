"""A cohort of real images with planted failures, for the benchmark of cohorts."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from immunopath.domain.case import Case

IMAGES = Path(__file__).resolve().parent.parent / "tests/data/images"
CORE = IMAGES / "he_other/instanseg_tma_HE_0.5mpp.tif"
FACTS: tuple[dict[str, Any], ...] = (
    {"histology": "adenocarcinoma", "stage": "IVB", "drivers": "all_unknown"},
    {"histology": "adenocarcinoma", "stage": "IVB", "tempo": "crisis"},
    {"histology": "squamous", "stage": "IVA", "pdl1_tps": "60"},
    {"histology": "adenocarcinoma", "stage": "IVB", "drivers": "EGFR:ex19del"},
    {},
)
HOSTILE = (
    "../../up",
    "=HYPERLINK(1)",
    "a/b",
    "C:\\x",
    "name\u202etxt.exe",
    "-1+1",
    "@SUM(A1)",
    ".",
)


def build_manifest(folder: Path, cases: int, seed: int = 1) -> tuple[Path, dict[str, int]]:
    """Write a manifest of so many rows; returns it and how many failures of each kind it holds."""
    pieces = _pieces(folder / "images", cases)
    source = random.Random(seed)  # noqa: S311 - reproducible
    negatives = sorted((IMAGES / "negatives").glob("*.png"))
    planted = {"cut_off": 8, "missing": 6, "not_he": 12, "bad_facts": 8, "hostile_id": len(HOSTILE)}
    kinds = [kind for kind, n in planted.items() for _ in range(n)]
    kinds += ["plain"] * (cases - len(kinds))
    source.shuffle(kinds)
    hostile = iter(HOSTILE)
    lines = []
    for n, kind in enumerate(kinds):
        image = pieces[n % len(pieces)]
        row: dict[str, Any] = {"case_id": f"case {n:04d}", "images": str(image), "mpp": "0.5"}
        row |= FACTS[n % len(FACTS)]
        if row.get("stage"):
            row["diagnosed_on"] = f"2026-{1 + n % 10:02d}-{1 + n % 28:02d}"
        if kind == "cut_off":
            row["images"] = str(_cut_off(image, folder / f"cut {n}.png"))
        elif kind == "missing":
            row["images"] = str(folder / f"missing {n}.png")
        elif kind == "not_he":
            row["images"] = str(negatives[n % len(negatives)])
        elif kind == "bad_facts":
            row["pdl1_tps"] = "150"
        elif kind == "hostile_id":
            row["case_id"] = next(hostile)
        lines.append(json.dumps(row))
    manifest = folder / "manifest.jsonl"
    manifest.write_text("\n".join(lines) + "\n")
    return manifest, planted


def _pieces(folder: Path, n: int) -> list[Path]:
    """Return images to use: the shipped lung fields, then pieces of the core at other places."""
    folder.mkdir(parents=True)
    pixels = np.asarray(Image.open(CORE).convert("RGB"))
    paths = sorted((IMAGES / "lung_he_til").rglob("*.png"))
    for i in range(max(0, n - len(paths))):
        y, x = (37 * i) % (pixels.shape[0] - 512), (101 * i) % (pixels.shape[1] - 512)
        path = folder / f"piece {i}.png"
        Image.fromarray(pixels[y : y + 512, x : x + 512]).save(path)
        paths.append(path)
    return paths


def _cut_off(image: Path, path: Path) -> Path:
    whole = image.read_bytes()
    path.write_bytes(whole[: len(whole) // 3])
    return path


def sixteen_patches(folder: Path) -> Case:
    """Return a case of 16 pieces of 512 px of the core."""
    pixels = np.asarray(Image.open(CORE).convert("RGB"))
    paths = []
    for i in range(16):
        y, x = 60 * (i // 4) + 200, 60 * (i % 4) + 200
        paths.append(folder / f"patch {i}.png")
        Image.fromarray(pixels[y : y + 512, x : x + 512]).save(paths[-1])
    return Case(case_id="sixteen", images=tuple(paths), mpp=0.5)
