"""The FHIR bundle as a whole: valid R4B, reproducible, research only, nothing that treats."""

import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import samples
from fhir.resources.R4B import get_fhir_model_class
from fhir.resources.R4B.bundle import Bundle
from fhir_support import by_url, dicts, only, resources

from immunopath.domain.errors import EngineUnavailable, OutputError
from immunopath.domain.report import RESEARCH_USE, CaseReport
from immunopath.guidelines.codes import load_codes
from immunopath.reporting.fhir import fhir_bundle, render_fhir
from immunopath.reporting.fhir_base import Draft, pruned
from immunopath.reporting.rendered import RenderedReport

SAMPLES = samples.every_sample()
EVERY = pytest.mark.parametrize("name", sorted(SAMPLES))


@cache
def built(name: str) -> dict[str, Any]:
    return fhir_bundle(SAMPLES[name])


@EVERY
def test_it_is_valid_and_reads_back_to_the_same(name: str) -> None:
    bundle = json.loads(render_fhir(SAMPLES[name]))
    assert bundle == built(name)
    read = Bundle.model_validate(bundle)
    again = json.loads(read.model_dump_json())
    assert again == bundle


@EVERY
def test_the_same_report_gives_the_same_bytes(name: str) -> None:
    report = SAMPLES[name]
    read = RenderedReport.model_validate_json(report.to_json())
    assert render_fhir(read) == render_fhir(report) == report.to_fhir()


def test_another_report_gives_other_ids_and_the_same_patient() -> None:
    one, two = built("full"), fhir_bundle(samples.full().model_copy(update={"layout_note": "x"}))
    assert only(one, "Patient") == only(two, "Patient")
    assert only(one, "DiagnosticReport")["id"] != only(two, "DiagnosticReport")["id"]
    assert one["id"] != two["id"]


@EVERY
def test_nothing_orders_or_gives_a_drug(name: str) -> None:
    text = render_fhir(SAMPLES[name])
    for word in ("MedicationRequest", "MedicationAdministration", "MedicationDispense",
                 "MedicationStatement", '"Medication"', '"order"', '"active-order"'):  # fmt: skip
        assert word not in text
    intents = {item["intent"] for item in resources(built(name)) if "intent" in item}
    assert intents <= {"proposal"}


@EVERY
def test_every_resource_is_marked_as_research(name: str) -> None:
    for item in (built(name), *resources(built(name))):
        assert [tag["code"] for tag in item["meta"]["tag"]] == ["research-use"]
        assert [label["code"] for label in item["meta"]["security"]] == ["HRESCH"]
        assert "profile" not in item["meta"]
    assert RESEARCH_USE in only(built(name), "DiagnosticReport")["conclusion"]
    assert RESEARCH_USE in render_fhir(SAMPLES[name])


@EVERY
def test_ids_are_valid_unique_and_every_reference_resolves(name: str) -> None:
    bundle = built(name)
    known = by_url(bundle)
    assert len(known) == len(bundle["entry"])
    for url, item in known.items():
        assert re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", item["id"])
        assert url == f"urn:uuid:{item['id']}"
    used = {item["reference"] for item in dicts(bundle) if "reference" in item}
    assert used <= set(known)


def _wrong_targets(value: Any, model: Any, known: dict[str, dict[str, Any]]) -> list[str]:
    """Return references to a type that the specification does not allow at their place."""
    wrong: list[str] = []
    for key, item in value.items():
        field = model.model_fields.get(key) if hasattr(model, "model_fields") else None
        if field is None:
            continue
        allowed = (field.json_schema_extra or {}).get("enum_reference_types", [])
        for part in item if isinstance(item, list) else [item]:
            if not isinstance(part, dict):
                continue
            target = known.get(part.get("reference", ""))
            if target and allowed and not {"Resource", target["resourceType"]} & set(allowed):
                wrong.append(f"{model.__name__}.{key} -> {target['resourceType']}")
    return wrong


@EVERY
def test_references_lead_to_types_that_are_allowed_there(name: str) -> None:
    known = by_url(built(name))
    for item in known.values():
        assert _wrong_targets(item, get_fhir_model_class(item["resourceType"]), known) == []


@EVERY
def test_every_code_is_a_verified_one_or_our_own(name: str) -> None:
    file = load_codes()
    systems = {system.key: system for system in file.systems}
    sent = {
        (systems[code.system].uri, code.code)
        for code in file.codes
        if code.status == "verified" and systems[code.system].status == "verified"
    }
    own = {system.uri for system in file.systems if system.local}
    used = {
        (item["system"], item["code"])
        for item in dicts(built(name))
        if "system" in item and "code" in item
    }
    assert used
    assert {pair for pair in used if pair not in sent and pair[0] not in own} == set()


@EVERY
def test_no_date_but_that_of_the_question_and_those_of_laboratories(name: str) -> None:
    stated = {"2026-06-20", "2026-06-18", "2026-06-01"}
    found = set(re.findall(r"\d{4}-\d{2}-\d{2}", json.dumps(built(name))))
    assert found - stated <= {"2026-07-01"}
    assert only(built(name), "Provenance")["recorded"] == "2026-07-01T00:00:00Z"


@EVERY
def test_nothing_is_empty(name: str) -> None:
    assert pruned(built(name)) == built(name)
    for item in dicts(built(name)):
        for value in item.values():
            assert not isinstance(value, str) or value == value.strip() != ""


@pytest.mark.parametrize("text", [*samples.HOSTILE, "../../etc/passwd", "a/b\\c", " ", "\u200b"])
def test_a_hostile_id_stays_data(text: str) -> None:
    report = samples.full().model_copy(update={"case_id": text, "patient_id": None})
    bundle = fhir_bundle(report)
    Bundle.model_validate(bundle)
    ids = [item["id"] for item in resources(bundle)]
    assert all(re.fullmatch(r"[0-9a-f-]{36}", found) for found in ids)
    patient = only(bundle, "Patient")
    assert set(patient) == {"resourceType", "id", "meta", "identifier"}
    shown, stem = (item["value"] for item in patient["identifier"])
    assert shown.isprintable()
    assert re.fullmatch(r"[A-Za-z0-9._-]+", stem)


def test_markup_in_markdown_fields_is_escaped() -> None:
    report = samples.hostile("<script>alert(1)</script> [a](javascript:alert(1))")
    notes = [item["text"] for item in dicts(fhir_bundle(report)) if set(item) == {"text"}]
    plans = [item for found in resources(fhir_bundle(report), "CarePlan") for item in found["note"]]
    assert notes
    assert all("<script>" not in item["text"] and "[a](" not in item["text"] for item in plans)
    assert any("&lt;script&gt;" in item["text"] for item in plans)


def test_two_ids_that_look_alike_are_two_patients() -> None:
    pair = [
        fhir_bundle(samples.full().model_copy(update={"case_id": text, "patient_id": None}))
        for text in ("a\nb", "a\\nb")
    ]
    first, second = (only(bundle, "Patient") for bundle in pair)
    assert first["id"] != second["id"]
    assert first["identifier"][1] != second["identifier"][1]


def test_the_patient_is_a_pseudonym_only() -> None:
    patient = only(built("full"), "Patient")
    assert patient["identifier"][0]["value"] == "PAT-01"
    assert set(patient) == {"resourceType", "id", "meta", "identifier"}


def test_a_refused_report_is_short_and_says_why() -> None:
    bundle = built("refused")
    kinds = {item["resourceType"] for item in resources(bundle)}
    assert kinds == {
        "Patient", "Device", "OperationOutcome", "GuidanceResponse", "DiagnosticReport",
        "Provenance",
    }  # fmt: skip
    report, answer = only(bundle, "DiagnosticReport"), only(bundle, "GuidanceResponse")
    assert (report["status"], answer["status"]) == ("cancelled", "failure")
    assert samples.STAINED.reason in report["conclusion"]
    issue = only(bundle, "OperationOutcome")["issue"][0]
    assert samples.STAINED.reason in issue["diagnostics"]


@EVERY
def test_no_report_is_called_final(name: str) -> None:
    assert only(built(name), "DiagnosticReport")["status"] in {"partial", "cancelled"}


def test_provenance_covers_everything_and_names_digests() -> None:
    bundle = built("full")
    found = only(bundle, "Provenance")
    targets = {item["reference"] for item in found["target"]}
    made = {url for url, item in by_url(bundle).items()
            if item["resourceType"] not in {"Device", "Provenance"}}  # fmt: skip
    assert targets == made
    whats = [item["what"].get("identifier", {}).get("value") for item in found["entity"]]
    assert {"34" * 32, "12" * 32, "embedded-atlas-1"} <= set(whats)
    software = next(item for item in resources(bundle, "Device") if "parent" not in item)
    assert {v["type"]["text"]: v["value"] for v in software["version"]}["package"] == "0.1.0"


def test_without_the_library_the_error_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fhir.resources.R4B.bundle", None)
    with pytest.raises(EngineUnavailable, match=re.escape("pip install 'immunopath[interop]'")):
        fhir_bundle(samples.full())


def test_what_the_library_refuses_is_a_named_error(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": 3}]}
    monkeypatch.setattr(Draft, "bundle", lambda _: broken)
    with pytest.raises(OutputError, match="cannot be expressed in FHIR R4B"):
        fhir_bundle(samples.full())


def test_a_plain_report_is_enough_and_a_role_is_taken_once() -> None:
    report = CaseReport.model_validate_json(samples.full().to_json())
    assert fhir_bundle(report) == built("full") == samples.full().fhir()
    draft = Draft(report)
    draft.add("Basic", "role", {})
    with pytest.raises(ValueError, match="'role' is taken"):
        draft.add("Basic", "role", {})


def test_it_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    report = samples.full()
    assert report.to_fhir(tmp_path / "a.json") == (tmp_path / "a.json").read_text("utf-8")
    assert (tmp_path / "a.json").read_text("utf-8") == render_fhir(report)
    with pytest.raises(OutputError):
        report.to_fhir(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json"]


def test_values_and_reasons_for_none_exclude_each_other() -> None:
    """FHIR obs-6, which the library does not check."""
    for bundle in map(built, SAMPLES):
        for item in resources(bundle, "Observation"):
            values = [key for key in item if key.startswith("value")]
            assert len(values) + ("dataAbsentReason" in item) == 1
