"""Codes for exchange: each with a status, check digits right, nothing unverified sent."""

import re

import pytest

from immunopath.domain.errors import KnowledgeError
from immunopath.domain.molecular import Gene
from immunopath.guidelines.codes import (
    code_problems,
    coded,
    codes_of,
    find_code,
    find_system,
    load_codes,
    loinc_check_digit_ok,
    read_codes,
)
from immunopath.guidelines.loader import knowledge_texts

TEXT = knowledge_texts()["codes.yaml"]
HEAD = (
    "kind: codes\nsystems:\n- {key: loinc, uri: u, name: n, status: verified, source: s}\ncodes:\n"
)


def row(**change: str) -> str:
    keys = {
        "key": "a", "system": "loinc", "code": "83053-9", "display": "d", "status": "verified",
        "source": "s",
    } | change  # fmt: skip
    return f"- {{{', '.join(f'{k}: {v}' for k, v in keys.items() if v)}}}\n"


def problems(*rows: str) -> tuple[str, ...]:
    return code_problems({"codes.yaml": HEAD + "".join(rows)})


def test_the_shipped_codes_have_no_problem() -> None:
    assert code_problems() == ()
    file = load_codes()
    assert (file.kind, file.section, file.clinician_review) == ("codes", "5", "none")
    assert len(file.codes) > 90
    assert all(code.source for code in file.codes)


@pytest.mark.parametrize(
    ("code", "ok"),
    [
        ("83053-9", True),
        ("89247-1", True),
        ("69548-6", True),
        ("83053-8", False),
        ("83035-9", False),  # two digits exchanged
        ("83053", False),
        ("-9", False),
        ("83053-", False),
        ("83053-99", False),
        ("LA26203-2", False),
        ("8305\u0663-9", False),  # a digit, but no ASCII one
        ("", False),
    ],
)
def test_the_check_digit_of_loinc(code: str, ok: bool) -> None:
    assert loinc_check_digit_ok(code) is ok


def test_every_wrong_check_digit_is_found() -> None:
    for code in codes_of("loinc"):
        if code.code is None or code.code.startswith("LA"):
            continue
        body, _, check = code.code.partition("-")
        wrong = [d for d in "0123456789" if loinc_check_digit_ok(f"{body}-{d}")]
        assert wrong == [check]


def test_known_codes_are_those_of_the_specification() -> None:
    assert coded("pdl1_tps") == ("http://loinc.org", "83053-9")
    assert coded("msi") == ("http://loinc.org", "81695-9")
    assert coded("ecog") == ("http://loinc.org", "89247-1")
    assert find_code("karnofsky").code == "89243-0"  # type: ignore[union-attr]
    assert coded("adenocarcinoma.snomed") == ("http://snomed.info/sct", "254626006")
    assert coded("squamous.snomed") == ("http://snomed.info/sct", "254634000")
    assert coded("sclc.icdo3") == ("http://terminology.hl7.org/CodeSystem/icd-o-3", "8041/3")


def test_every_gene_of_the_tables_has_an_id() -> None:
    ids = [coded(f"gene.{gene}") for gene in (*Gene, "CD274")]
    assert None not in ids
    assert len(set(ids)) == len(ids)
    assert all(found and re.fullmatch(r"HGNC:\d+", found.code) for found in ids)


@pytest.mark.parametrize(
    "key", ["squamous.icdo3", "nsclc_nos.icdo3", "stage_group_clinical", "smoking"]
)
def test_an_unverified_code_is_kept_and_not_sent(key: str) -> None:
    code = find_code(key)
    assert code is not None
    assert code.status == "unverified"
    assert coded(key) is None


def test_a_code_of_an_unverified_system_is_not_sent() -> None:
    code = find_code("adenocarcinoma.oncotree")
    assert code is not None
    assert code.status == "verified"
    assert find_system("oncotree").status == "unverified"
    assert coded("adenocarcinoma.oncotree") is None


def test_what_does_not_exist_is_none() -> None:
    assert find_code("nothing") is None
    assert coded("nothing") is None
    assert coded("pdl1_sp263") is None
    with pytest.raises(KnowledgeError, match="no system 'nothing'"):
        find_system("nothing")


def test_the_linter_lists_every_fault_at_once() -> None:
    found = problems(
        row(),
        row(key="b", code="83053-8"),
        row(key="c", code="85147-7", status=""),
        row(key="d", code="89247-1", status="sure"),
        row(key="e", code="null"),
        row(key="b", code="94076-7"),
        row(key="f", code="94077-5", system="lionc"),
        row(key="g"),
    )
    text = "\n".join(found)
    assert "LOINC 83053-8 fails its check digit" in text
    assert "c: status is verified or unverified" in text
    assert "d: status is verified or unverified" in text
    assert "e: a missing code cannot be verified" in text
    assert "key b appears twice" in text
    assert "f: unknown system 'lionc'" in text
    assert "LOINC 83053-9 has two keys" in text
    assert len(found) == 7


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({}, "is missing"),
        ({"codes.yaml": "kind: ["}, "is not YAML"),
        ({"codes.yaml": "- a"}, "does not hold a mapping"),
        ({"codes.yaml": "systems: 3\ncodes: x"}, "systems holds no rows"),
    ],
)
def test_the_linter_never_raises(texts: dict[str, str], message: str) -> None:
    assert any(message in line for line in code_problems(texts))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + row() + row(), "keys appear twice: a"),
        (HEAD + row(system="other"), "unknown systems: other"),
        (HEAD + row(status=""), "status"),
        (HEAD + row(code="null"), "no code is unverified"),
        (HEAD + row(extra="1"), "extra"),
        ("kind: [", "codes.yaml"),
        (TEXT.replace("status: verified", "status: sure", 1), "status"),
    ],
)
def test_a_faulty_file_is_not_loaded(text: str, message: str) -> None:
    with pytest.raises(KnowledgeError, match=message):
        read_codes(text)
