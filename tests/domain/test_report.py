"""The schemas in the docs are those of the code, and reports obey them."""

import json
from pathlib import Path

import jsonschema
import pytest
from pydantic import BaseModel, ValidationError

from immunopath.domain.case import Case
from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.report import CaseReport
from immunopath.pipeline.run import ImmunoPath

SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"


@pytest.mark.parametrize(
    ("name", "model"),
    [("case", Case), ("clinical_context", ClinicalContext), ("case_report", CaseReport)],
)
def test_the_exported_schema_is_current(name: str, model: type[BaseModel]) -> None:
    """Run ``python scripts/export_schema.py`` after changing the domain."""
    assert json.loads((SCHEMAS / f"{name}.json").read_text()) == model.model_json_schema()


@pytest.mark.parametrize(
    "image", ["he_other/prov_normal_000_1.png", "negatives/skimage_camera.png"]
)
def test_a_real_report_obeys_the_schema(image: str, shared_images: Path) -> None:
    case = Case(case_id="s", images=(shared_images / image,), mpp=0.5)
    with ImmunoPath() as engines:
        report = engines.analyze(case)
    schema = json.loads((SCHEMAS / "case_report.json").read_text())
    jsonschema.validate(json.loads(report.to_json()), schema)


def test_unknown_keys_and_nan_are_refused() -> None:
    with pytest.raises(ValidationError, match="extra"):
        Case.model_validate({"case_id": "a", "images": ["x.png"], "magnification": 20})
    with pytest.raises(ValidationError):
        CaseReport.model_validate({})
