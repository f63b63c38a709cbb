"""Keys become words, units stand with their numbers, and an unknown key is still readable."""

import pytest

from immunopath.models.foundation.medgemma.medgemma_fields import RNA_QUANTITIES
from immunopath.reporting.words import (
    QUANTITIES,
    feature_text,
    field_name,
    label_status,
    method_name,
    named_fields,
    quantity_name,
    rounded,
    system_name,
    topic_name,
)


def test_every_quantity_of_the_engines_has_words() -> None:
    assert set(RNA_QUANTITIES.values()) <= set(QUANTITIES)
    assert quantity_name("lymphocyte_share_of_nuclei_class") == (
        "class of the share of all nuclei that look like lymphocytes"
    )
    assert quantity_name("some_new_class") == "some new class"


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("field_um", 687.5, "largest field 688 µm"),
        ("tissue_mm2", 0.3759, "tissue 0.376 mm²"),
        (
            "lymphoid_per_mm2_outside",
            15099.05,
            "lymphocyte-like nuclei outside nests 15099 per mm²",
        ),
        ("lymphoid_share", 0.6684, "lymphocyte-like share of nuclei 66.8 %"),
        ("clustering_um", 41.5, "clustering 41.5 µm"),
        ("views", 4.0, "views of the field 4"),
        ("some_thing", 1.5, "some thing 1.500"),
    ],
)
def test_a_feature_has_a_name_and_a_unit(key: str, value: float, text: str) -> None:
    assert feature_text(key, value) == text


def test_fields_inside_a_sentence_are_named() -> None:
    assert named_fields("til_density: 40% differ") == "TIL density: 40% differ"
    assert named_fields("my_til_density_2 stays") == "my_til_density_2 stays"
    assert named_fields("a.tif 2 µm/px (user).") == "a.tif 2 µm/px (stated by the user)."
    assert field_name("lymphocyte_rich") == "Lymphocyte-rich"


def test_topics_and_methods_are_written_as_people_write_them() -> None:
    assert topic_name("nsclc_dose") == "Dose in NSCLC"
    assert topic_name("toxicity") == "Toxicity"
    assert label_status("nsclc_label") == "US label in NSCLC"
    assert [system_name(key) for key in ("atc", "new")] == ["ATC", "new"]
    assert method_name("NGS_DNA_RNA") == "NGS of DNA and RNA"


def test_long_decimals_are_rounded_and_versions_are_left() -> None:
    assert rounded("x: 0.6750320703922525 (a)") == "x: 0.675 (a)"
    assert rounded("2026.11.1, 0.5, weights 12.345.678") == "2026.11.1, 0.5, weights 12.345.678"
