"""The confusion script counts what quality control says, by group."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "quality_confusion.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("quality_confusion", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path, shared_images: Path) -> Path:
    for name, group in (
        ("01581x_25327y.png", "he_other"),
        ("skimage_ihc.png", "negatives"),
        ("instanseg_fluorescence.tif", "negatives"),
    ):
        (tmp_path / group).mkdir(exist_ok=True)
        shutil.copy(shared_images / group / name, tmp_path / group / name)
    (tmp_path / "lung_he_til").mkdir()
    image = shared_images / "lung_he_til" / "u24_necrosis" / "image_50.png"
    for name in ("image_50.png", "mask_50.png"):
        shutil.copy(image, tmp_path / "lung_he_til" / name)
    return tmp_path


def test_every_image_is_counted_once_and_masks_are_not(script: ModuleType, folder: Path) -> None:
    result = script.run(folder)
    assert len(result["images"]) == 4
    assert result["table"]["H&E other"] == {"accept": 1, "flag": 0, "refuse": 0}
    assert result["table"]["H&E lung"] == {"accept": 1, "flag": 0, "refuse": 0}
    assert result["table"]["negative"] == {"accept": 0, "flag": 0, "refuse": 2}
    assert result["table"]["H&E as RBG"] == {"accept": 0, "flag": 0, "refuse": 2}
    assert sum(label.startswith("H&E as") for label in result["table"]) == 5


def test_with_json_on_stdout_nothing_else_is_there(
    script: ModuleType,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["quality_confusion.py", str(folder), "--json", "-"])
    script.main()
    out, err = capsys.readouterr()
    assert json.loads(out) == script.run(folder)
    assert "H&E as BGR" in err


def test_a_folder_without_images_is_said(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["quality_confusion.py", str(tmp_path)])
    with pytest.raises(SystemExit, match="no images"):
        script.main()
