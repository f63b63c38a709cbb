"""The schemas of the knowledge files are those of the models, and every shipped file obeys."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from immunopath.guidelines.lint_source import KINDS, kind_of
from immunopath.guidelines.loader import knowledge_texts

SCHEMAS = Path(__file__).parents[2] / "docs" / "schema" / "knowledge"
TEXTS = knowledge_texts()
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def schema(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SCHEMAS / f"{kind}.json").read_text("utf-8"))
    return found


def content(name: str) -> dict[str, Any]:
    """The file as JSON would hold it: days are strings."""
    found: dict[str, Any] = json.loads(
        json.dumps(yaml.load(TEXTS[name], Loader=LOADER), default=str)
    )
    return found


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_exported_schema_is_current(kind: str) -> None:
    """Run ``python scripts/export_schema.py`` after changing a model."""
    assert schema(kind) == json.loads(json.dumps(KINDS[kind].model_json_schema()))


def test_every_kind_has_a_schema_and_every_schema_a_kind() -> None:
    assert {path.stem for path in SCHEMAS.glob("*.json")} == set(KINDS)
    assert {kind_of(name) for name in TEXTS} == set(KINDS)


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_a_shipped_file_obeys_its_schema(name: str) -> None:
    jsonschema.validate(content(name), schema(kind_of(name)))


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_an_unknown_key_disobeys(name: str) -> None:
    with pytest.raises(jsonschema.ValidationError, match="unheard_of"):
        jsonschema.validate(content(name) | {"unheard_of": 1}, schema(kind_of(name)))


@pytest.mark.parametrize(
    ("name", "records"),
    [
        ("drugs.yaml", "drugs"), ("regimens.yaml", "regimens"), ("flags.yaml", "flags"),
        ("tests.yaml", "tests"), ("references.yaml", "references"), ("codes.yaml", "codes"),
        ("questions.yaml", "questions"), ("rules_scope.yaml", "rules"),
    ],
)  # fmt: skip
def test_an_unknown_key_of_a_record_disobeys(name: str, records: str) -> None:
    broken = copy.deepcopy(content(name))
    broken[records][0]["unheard_of"] = 1
    with pytest.raises(jsonschema.ValidationError, match="unheard_of"):
        jsonschema.validate(broken, schema(kind_of(name)))


def test_a_rule_without_reference_or_grade_disobeys() -> None:
    for change in ({"references": []}, {"grade": "?"}):
        broken = copy.deepcopy(content("rules_scope.yaml"))
        broken["rules"][0] |= change
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, schema("rules"))
