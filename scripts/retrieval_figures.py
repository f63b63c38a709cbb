"""What the embedded embedder and the reference atlas are worth, as one JSON object.

    python scripts/retrieval_figures.py DATA

*Self-retrieval*: a changed copy of every atlas image must find its own original first (chance
1 / number of images). The whitening was fitted on the NuCLS patches only, so the other images are
out of sample; they are counted apart. *Leave one out*: each labelled image asks the atlas with its
own pixels left out; the vote is compared with its label, beside the same with shuffled labels.
"""

import argparse
import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr
from stain_jitter import jitter

import immunopath
from immunopath.imaging.decode import decode_image
from immunopath.imaging.tiles import TileStore, resample
from immunopath.models.atlas import Atlas, Hit, LeaveOut, load_atlas
from immunopath.models.atlas_entry import Encoder
from immunopath.models.embedded.descriptor import describe
from immunopath.models.embedded.embedder import EmbeddedEmbedder, shipped
from immunopath.models.retrieval import MIN_VOTES, pool, votes

RGB = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
K = 8
SHUFFLES = 500


def jpeg(rgb: RGB, quality: int) -> RGB:
    """Return the image after one round of JPEG."""
    _, data = cv2.imencode(
        ".jpg", np.ascontiguousarray(rgb[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


def changes(rng: np.random.Generator) -> dict[str, Callable[[RGB, float], RGB]]:
    """Return the named changes, each a function of pixels and mpp."""
    return {
        "rotated_90": lambda a, _: np.ascontiguousarray(np.rot90(a)),
        "mirrored": lambda a, _: np.ascontiguousarray(a[:, ::-1]),
        "jpeg_60": lambda a, _: jpeg(a, 60),
        "cropped_to_80_percent": lambda a, _: a[: a.shape[0] * 4 // 5, : a.shape[1] * 4 // 5],
        "stain_jittered": lambda a, mpp: jitter(a, mpp, rng),
        "stain_jittered_two_thirds": lambda a, mpp: jitter(
            np.ascontiguousarray(a[:, : a.shape[1] * 2 // 3]), mpp, rng
        ),
    }


def self_retrieval(atlas: Atlas, data: Path) -> dict[str, object]:
    """Return top-1 shares per change, over NuCLS images and over all others."""
    paths = {row["id"]: data / row["path"] for row in manifest_rows()}
    images = [
        (entry.image_id, decode_image(paths[entry.image_id]).pixels, entry.mpp)
        for entry in atlas.entries
        if entry.entry_id == entry.image_id
    ]
    whitening, encoder, found = shipped(), atlas.encoder, {}
    for name, change in changes(np.random.default_rng(7)).items():
        hits: dict[bool, list[bool]] = {True: [], False: []}
        for image_id, pixels, mpp in images:
            raw = describe(resample(change(pixels, mpp), mpp, 0.5))
            vector = whitening.apply(raw[None])
            first = atlas.search(vector, 1, encoder=encoder).hits[0][0]
            hits[image_id.startswith("nucls")].append(first.entry.image_id == image_id)
        found[name] = {
            "others_top1": round(float(np.mean(hits[False])), 3),
            "nucls_top1": round(float(np.mean(hits[True])), 3),
        }
    return {"n_others": len(hits[False]), "n_nucls": len(hits[True]), "changes": found}


def manifest_rows() -> list[dict[str, str]]:
    """Return the rows of the shipped manifest."""
    path = Path(immunopath.__file__).parent / "data" / "atlas" / "manifest.tsv"
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def neighbours(atlas: Atlas, data: Path) -> dict[str, tuple[Hit, ...]]:
    """Return the neighbours of every image with a density label, its own pixels left out."""
    paths = {row["id"]: data / row["path"] for row in manifest_rows()}
    embedder, found = EmbeddedEmbedder(shipped()), {}
    for entry in atlas.entries:
        if "til_density" not in entry.labels:
            continue
        store = TileStore()
        store.add_image(decode_image(paths[entry.image_id]), entry.mpp)
        leave_out = LeaveOut(pixels_sha256s=frozenset({entry.pixels_sha256}))
        answer = atlas.search(
            embedder.embed(store), K, encoder=Encoder.of(embedder.info), leave_out=leave_out
        )
        found[entry.image_id] = pool(answer.hits, K)
    return found


def leave_one_out(atlas: Atlas, data: Path) -> dict[str, object]:
    """Return agreement of the votes with the labels, beside shuffled labels."""
    found = neighbours(atlas, data)
    labels = {e.image_id: e.labels for e in atlas.entries if e.image_id in found}
    real = agreement(found, labels, labels)
    rng, ids, shuffled = np.random.default_rng(3), sorted(labels), []
    for _ in range(SHUFFLES):
        mixed = {i: labels[j] for i, j in zip(ids, rng.permutation(np.array(ids)), strict=True)}
        shuffled.append(agreement(found, mixed, mixed)["density_agreement"])
    majority = max(np.unique([v["til_density"] for v in labels.values()], return_counts=True)[1])
    return {
        **real,
        "n": len(labels),
        "majority_class": round(float(majority / len(labels)), 3),
        "shuffled_density_agreement": round(float(np.mean(shuffled)), 3),
        "shuffled_95_percentile": round(float(np.percentile(shuffled, 95)), 3),
    }


Labels = dict[str, dict[str, str | float]]


def agreement(
    found: dict[str, tuple[Hit, ...]], carried: Labels, truth: Labels
) -> dict[str, float]:
    """Return the share of right density votes among those with an opinion, and Spearman's rho."""
    right, estimate, annotated = [], [], []
    for image_id, hits in found.items():
        relabelled = [
            Hit(
                h.entry.model_copy(update={"labels": carried.get(h.entry.image_id, {})}),
                h.similarity,
            )
            for h in hits
        ]
        said = {vote.field: vote for vote in votes(relabelled)}
        if said["til_density"].n_votes < MIN_VOTES:
            continue
        right.append(said["til_density"].value == truth[image_id]["til_density"])
        estimate.append(said["til_fraction"].value)
        annotated.append(truth[image_id]["til_fraction"])
    varied = len(set(estimate)) > 1
    return {
        "with_opinion": len(right),
        "density_agreement": round(float(np.mean(right)), 3) if right else float("nan"),
        "fraction_spearman": round(float(spearmanr(estimate, annotated).statistic), 3)
        if varied
        else float("nan"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    atlas = load_atlas()
    result = {
        "atlas_id": atlas.atlas_id,
        "self_retrieval": self_retrieval(atlas, options.data),
        "leave_one_out": leave_one_out(atlas, options.data),
    }
    json.dump(result, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
