"""Write the JSON Schema of everything that crosses the project's border to ``docs/schema``."""

import json
from pathlib import Path

from pydantic import BaseModel

from immunopath.domain.case import Case
from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.report import CaseReport

MODELS: dict[str, type[BaseModel]] = {
    "case": Case,
    "clinical_context": ClinicalContext,
    "case_report": CaseReport,
}


def schema_text(model: type[BaseModel]) -> str:
    return json.dumps(model.model_json_schema(), indent=2, sort_keys=True) + "\n"


def main() -> None:
    folder = Path(__file__).resolve().parent.parent / "docs" / "schema"
    for name, model in MODELS.items():
        (folder / f"{name}.json").write_text(schema_text(model), encoding="utf-8")


if __name__ == "__main__":
    main()
