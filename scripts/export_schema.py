"""Write the JSON Schema of everything that crosses the project's border to ``docs/schema``.

The kinds of knowledge files are in ``docs/schema/knowledge``.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from immunopath.domain.case import Case
from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.report import CaseReport
from immunopath.guidelines.lint_source import KINDS

MODELS: dict[str, type[BaseModel]] = {
    "case": Case,
    "clinical_context": ClinicalContext,
    "case_report": CaseReport,
}


def schema_text(model: type[BaseModel]) -> str:
    return json.dumps(model.model_json_schema(), indent=2, sort_keys=True) + "\n"


def write(folder: Path, models: Mapping[str, type[BaseModel]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, model in models.items():
        (folder / f"{name}.json").write_text(schema_text(model), encoding="utf-8")


def main() -> None:
    folder = Path(__file__).resolve().parent.parent / "docs" / "schema"
    write(folder, MODELS)
    write(folder / "knowledge", KINDS)


if __name__ == "__main__":
    main()
