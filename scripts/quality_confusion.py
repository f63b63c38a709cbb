"""Quality control on a folder of known images: how many of each group are accepted.

    python scripts/quality_confusion.py [FOLDER] [--json PATH|-]

FOLDER is laid out like tests/data/images: lung_he_til, he_other, nucls_til and negatives. Every H&E
image is also judged with its channels in the five wrong orders. With ``--json -`` the table goes to
the standard error stream.
"""

import argparse
import itertools
import json
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from immunopath.domain.errors import ImageReadError
from immunopath.domain.quality import QualityReport, Verdict
from immunopath.imaging.decode import decode_image
from immunopath.imaging.quality import assess_quality

GROUPS = {
    "lung_he_til": "H&E lung",
    "he_other": "H&E other",
    "nucls_til": "H&E other",
    "negatives": "negative",
}
SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}
ORDERS = [order for order in itertools.permutations("RGB") if order != ("R", "G", "B")]


def image_files(folder: Path) -> list[Path]:
    """Return the images below a folder; masks are annotations, not images."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith("mask_")
    )


def row(report: QualityReport) -> dict[str, object]:
    crossed = [c for c in report.checks if c.verdict is not Verdict.accept]
    return {
        "verdict": report.verdict.value,
        "codes": [check.code for check in crossed],
        "reason": report.reason,
    }


def judge(path: Path, group: str) -> list[tuple[str, dict[str, object]]]:
    """Return the verdicts on an image and, for H&E, on its copies with exchanged channels."""
    try:
        pixels = decode_image(path).pixels
    except ImageReadError as error:
        return [(group, {"verdict": "refuse", "codes": ["unreadable"], "reason": str(error)})]
    rows = [(group, row(assess_quality(pixels)))]
    if group == "negative":
        return rows
    for order in ORDERS:
        permuted = np.ascontiguousarray(pixels[..., ["RGB".index(name) for name in order]])
        rows.append((f"H&E as {''.join(order)}", row(assess_quality(permuted))))
    return rows


def run(folder: Path) -> dict[str, object]:
    """Judge every image and count the verdicts by group."""
    counts: dict[str, Counter[str]] = {}
    images = []
    for name, group in GROUPS.items():
        for path in image_files(folder / name):
            for label, found in judge(path, group):
                counts.setdefault(label, Counter())[str(found["verdict"])] += 1
                if label == group:
                    images.append({"path": str(path.relative_to(folder)), "group": group, **found})
    table = {
        label: {verdict.value: count[verdict.value] for verdict in Verdict}
        for label, count in counts.items()
    }
    return {"table": dict(sorted(table.items())), "images": images}


def lines(result: dict) -> list[str]:
    out = [f"{'group':<14}{'accept':>8}{'flag':>8}{'refuse':>8}{'all':>8}"]
    for label, count in result["table"].items():
        cells = [count[verdict.value] for verdict in Verdict]
        out.append(f"{label:<14}" + "".join(f"{n:>8}" for n in [*cells, sum(cells)]))
    out += [
        f"{image['verdict']:<8}{image['path']}: {image['reason']}"
        for image in result["images"]
        if (image["verdict"] == "accept") == (image["group"] == "negative")
    ]
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("tests/data/images"))
    parser.add_argument("--json", dest="json_path", metavar="PATH|-")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    result = run(args.folder)
    if not result["images"]:
        sys.exit(f"{args.folder}: no images in {', '.join(GROUPS)}")
    to_stdout = args.json_path == "-"
    print("\n".join(lines(result)), file=sys.stderr if to_stdout else sys.stdout)
    text = json.dumps(result, indent=2)
    if to_stdout:
        print(text)
    elif args.json_path:
        Path(args.json_path).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
