"""Numbers of whole slides in the bundle: their own names, percent as unit, no probability."""

from typing import Any

import pytest
import samples
import samples_sampling
from fhir_support import by_url, only, resources

from immunopath.domain.report import CaseReport
from immunopath.reporting.fhir import fhir_bundle

UCUM = {"unit": "%", "system": "http://unitsofmeasure.org", "code": "%"}


def sampled(**change: Any) -> CaseReport:
    block = samples_sampling.block().model_copy(update=change)
    full = samples.full()
    images = tuple(full.images[0].model_copy(update={"name": f"{i}"}) for i in range(6))
    return full.model_copy(update={"sampling": block, "images": images})


@pytest.fixture(scope="module")
def bundle() -> dict[str, Any]:
    return fhir_bundle(sampled())


def of(bundle: dict[str, Any], key: str) -> dict[str, Any]:
    (found,) = [
        item
        for item in resources(bundle, "RiskAssessment")
        if item["code"]["coding"][0]["code"] == key
    ]
    return found


def parts(row: dict[str, Any]) -> dict[str, Any]:
    return {item["url"].rpartition(":")[2]: item for item in row["extension"]}


def test_the_share_of_a_slide_is_percent_with_the_interval_of_other_regions(
    bundle: dict[str, Any],
) -> None:
    found = of(bundle, "slide_til_share")
    (row,) = found["prediction"]
    own = parts(row)
    assert own["slide-share"]["valueQuantity"] == {"value": 21, **UCUM}
    assert own["slide-share-interval"]["valueRange"] == {
        "low": {"value": 16, **UCUM},
        "high": {"value": 26, **UCUM},
    }
    assert "probabilityDecimal" not in row
    assert "0.16 to 0.26 at 90 % coverage" in row["rationale"]
    assert "a share, not a probability" in row["rationale"]
    said = " ".join(text["text"] for text in found["note"])
    assert "own error is not in it" in said
    assert "5 regions" in said
    assert "give 0.27" in said
    assert "unvalidated" in said
    assert found["status"] == "preliminary"
    media = [by_url(bundle)[link["reference"]] for link in found["basis"]]
    assert [item["content"]["title"] for item in media] == ["0", "1", "2", "3", "4"]


def test_cells_are_one_assessment_with_a_row_per_phenotype(bundle: dict[str, Any]) -> None:
    found = of(bundle, "slide_phenotype_share_1mm2")
    rows = found["prediction"]
    assert [parts(r)["slide-share"]["valueQuantity"]["value"] for r in rows] == [20, 30, 50]
    assert ["slide-share-interval" in parts(row) for row in rows] == [True, False, False]
    assert len(found["basis"]) == 4  # the regions of the first round
    assert "no IIP" in " ".join(text["text"] for text in found["note"])


def test_the_engine_is_named_and_the_report_links_to_both(bundle: dict[str, Any]) -> None:
    links = {item["valueReference"]["reference"] for item in only(bundle, "DiagnosticReport")[
        "extension"] if item["url"].endswith(":prediction")}  # fmt: skip
    for key in ("slide_til_share", "slide_phenotype_share_1mm2"):
        found = of(bundle, key)
        device = by_url(bundle)[found["performer"]["reference"]]
        assert device["deviceName"][0]["name"] == samples.full().profile.til_fraction.source.engine
        (url,) = [url for url, item in by_url(bundle).items() if item["id"] == found["id"]]
        assert url in links


def test_a_first_round_without_a_value_is_said_and_no_slide_adds_nothing() -> None:
    found = of(fhir_bundle(sampled(estimates=samples_sampling.block(None).estimates)),
               "slide_til_share")  # fmt: skip
    assert "give no value" in " ".join(text["text"] for text in found["note"])
    plain = fhir_bundle(samples.full())
    assert not any("slide" in r["code"]["text"] for r in resources(plain, "RiskAssessment"))


def test_a_score_of_rna_is_no_share_and_has_no_percent() -> None:
    (estimate,) = samples_sampling.block().estimates
    score = estimate.model_copy(update={"quantity": "rna_score_minmax"})
    found = of(fhir_bundle(sampled(estimates=(score,))), "slide_til_share")
    (row,) = found["prediction"]
    assert parts(row)["slide-share"]["valueQuantity"] == {"value": 0.21}
    span = parts(row)["slide-share-interval"]["valueRange"]
    assert span == {"low": {"value": 0.16}, "high": {"value": 0.26}}
    assert "a score from 0 to 1, not a probability" in row["rationale"]
    assert "ymphocyte share" not in f"{found['code']['text']} {row['outcome']['text']}"
