"""The exchange score is odd, ships with its fit, and the fit can be repeated."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from he_fields import he_field

from immunopath.imaging.control import control_image
from immunopath.imaging.decode import decode_image
from immunopath.imaging.exchange import (
    FEATURES,
    exchange_features,
    exchange_score,
    shipped_fit,
)

ROOT = Path(__file__).parents[2]


def score(rgb: npt.NDArray[Any]) -> float:
    found = exchange_score(control_image(rgb))
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(4))
def test_the_score_changes_its_sign_with_the_channels(seed: int) -> None:
    rgb = he_field(150, 180, seed=seed)
    assert score(rgb) == pytest.approx(-score(rgb[..., ::-1]), abs=1e-3)
    assert score(rgb) > 0


def test_it_is_odd_on_real_images_too(shared_images: Path) -> None:
    for path in sorted((shared_images / "he_other").iterdir()):
        rgb = decode_image(path).pixels
        assert score(rgb) == pytest.approx(-score(rgb[..., ::-1]), abs=2e-2)
        assert score(rgb) > 0  # none of these took part in the fit


def test_too_little_tissue_has_no_score() -> None:
    assert exchange_score(control_image(np.full((100, 100, 3), 245, np.uint8))) is None


def test_black_pigment_is_left_out() -> None:
    rgb = he_field(200, 200, seed=8)
    sooty = rgb.copy()
    sooty[50:90, 50:90] = 5
    clean, soot = exchange_features(control_image(rgb)), exchange_features(control_image(sooty))
    assert clean is not None
    assert soot is not None
    assert (soot > 0).all()
    assert soot[1] == pytest.approx(clean[1], abs=0.02)  # counted, soot would take half of it


def test_the_shipped_fit_is_complete() -> None:
    fit = shipped_fit()
    assert fit.features == FEATURES
    assert len(fit.scale) == len(fit.weights) == len(FEATURES)
    assert all(value > 0 for value in fit.scale)


def test_the_shipped_fit_can_be_repeated(shared_images: Path) -> None:
    pytest.importorskip("sklearn")
    script = _script("fit_exchange")
    paths = sorted((shared_images / "nucls_til" / "images").glob("*.png"))
    again = script.fit(script.rows(paths), len(paths))
    fit = shipped_fit()
    assert again.weights == pytest.approx(fit.weights, rel=0.05)
    assert again.scale == pytest.approx(fit.scale, rel=0.05)
    assert again.n_images == fit.n_images


def _script(name: str) -> ModuleType:
    folder = str(ROOT / "scripts")
    spec = importlib.util.spec_from_file_location(name, Path(folder) / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    return module
