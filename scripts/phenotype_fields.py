"""Print what the embedded phenotype engine says of real fields, one JSON line each.

    python scripts/phenotype_fields.py IMAGE[=MPP]... [--min-field-um F]

MPP is needed where the file does not state it (µm per pixel). ``--min-field-um`` lowers the size
limit to see what the engine would make of fields that it normally abstains on.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import cv2

from immunopath.imaging.decode import decode_image
from immunopath.imaging.tiles import TileStore
from immunopath.models.embedded.phenotype import EmbeddedPhenotype
from immunopath.models.embedded.phenotype_constants import PhenotypeModel, shipped


def model_with(min_field_um: float | None) -> PhenotypeModel:
    """Return the shipped model, with another size limit when one is given."""
    model = shipped()
    if min_field_um is None:
        return model
    layout = model.constants.layout.model_copy(update={"min_field_um": min_field_um})
    constants = model.constants.model_copy(update={"layout": layout})
    return PhenotypeModel(constants, model.digest, model.mean, model.scale)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", nargs="+")
    parser.add_argument("--min-field-um", type=float)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    engine = EmbeddedPhenotype(model_with(options.min_field_um))
    for text in options.images:
        name, _, mpp = text.partition("=")
        image = decode_image(Path(name))
        known = image.embedded.mpp if image.embedded else None
        store = TileStore()
        store.add_image(image, float(mpp) if mpp else known or 0.5)
        begin = time.perf_counter()
        answer = engine.score(store)
        line = {
            "image": image.name,
            "value": answer.value,
            "reason": answer.reason,
            "scores": {k: round(v, 3) for k, v in answer.scores.items()},
            "features": {k: round(v, 3) for k, v in answer.features.items()},
            "tiles": len(store.tiles),
            "ms": round((time.perf_counter() - begin) * 1000, 1),
        }
        sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
