"""What the tests of the SigLIP scorer ask of it."""

from pathlib import Path

from immunopath.models.foundation.hf_loading import placement
from immunopath.models.foundation.vision import medsiglip
from immunopath.models.foundation.vision.zero_shot import ZeroShotPhenotype
from immunopath.models.foundation.weights import resolve_weights
from immunopath.models.spec import EngineSpec


def scorer(folder: Path, **options: str) -> ZeroShotPhenotype:
    spec = EngineSpec(name="medsiglip", source=str(folder), options=options)
    return medsiglip.build(spec, "cpu")


def encoder(folder: Path) -> medsiglip.SiglipEncoder:
    spec = EngineSpec(name="medsiglip", source=str(folder))
    weights = resolve_weights(str(spec.source))
    return medsiglip.load_encoder(weights, placement(spec, "cpu"), "tf-bilinear")
