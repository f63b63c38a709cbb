"""Broken knowledge texts, each with the check that must find the fault and what it must say."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from immunopath.guidelines.loader import knowledge_texts

Content = dict[str, Any]
TEXTS = knowledge_texts()
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def swapped(name: str, old: str, new: str) -> dict[str, str]:
    """The shipped texts with the first `old` in a file replaced."""
    assert old in TEXTS[name], f"{old!r} is not in {name}"
    return {**TEXTS, name: TEXTS[name].replace(old, new, 1)}


def edited(name: str, change: Callable[[Content], object]) -> dict[str, str]:
    """The shipped texts with the content of one file changed."""
    content = yaml.load(TEXTS[name], Loader=LOADER)
    change(content)
    return {**TEXTS, name: yaml.dump(content, Dumper=DUMPER, allow_unicode=True)}


def drug(content: Content, name: str) -> Content:
    return next(d for d in content["drugs"] if d["name"] == name)


def rule(content: Content, rule_id: str) -> Content:
    return next(r for r in content["rules"] if r["id"] == rule_id)


FAULTS = [
    pytest.param(check, texts, record, message, id=f"{check}: {message}")
    for check, texts, record, message in [
        ("files", {**TEXTS, "flags.yaml": "- not a mapping"}, "", "does not hold a mapping"),
        ("files", {**TEXTS, "flags.yaml": "kind: ["}, "", "not YAML"),
        ("files", {**TEXTS, "notes.yaml": "kind: notes"}, "", "no kind of file"),
        ("files", {n: t for n, t in TEXTS.items() if n != "flags.yaml"}, "", "missing"),
        ("files", swapped("flags.yaml", "kind: flags", "kind: tests"), "", "kind is 'tests'"),
        ("schema", swapped("flags.yaml", "flags:", "extra: 1\nflags:"), "", "extra"),
        ("schema", edited("drugs.yaml", lambda c: drug(c, "alectinib").update(colour="red")),
         "alectinib", "colour"),
        ("schema", edited("drugs.yaml", lambda c: drug(c, "alectinib")["ids"][0].update(a=1)),
         "alectinib", "ids.0.a"),
        ("schema", edited("discordance.yaml", lambda c: c["rules"]["D-7"].update(a=1)),
         "D-7", "rules.D-7.a"),
        ("schema", edited("rules_scope.yaml", lambda c: rule(c, "SC-1").update(references=[])),
         "SC-1", "references"),
        ("schema", edited("rules_scope.yaml", lambda c: rule(c, "SC-1").update(grade="?")),
         "SC-1", "grade"),
        ("conditions", edited("rules_scope.yaml",
                              lambda c: rule(c, "SC-2").update(when={"age": {"near": 18}})),
         "SC-2", "near"),
        ("conditions", edited("rules_scope.yaml",
                              lambda c: rule(c, "SC-2").update(when={"any": ["age"]})),
         "SC-2", "items"),
        ("unique-ids", edited("rules_scope.yaml", lambda c: rule(c, "SC-2").update(id="SC-1")),
         "SC-1", "stands 2 times"),
        ("unique-ids", edited("rules_scope.yaml", lambda c: c.update(table="router")),
         "table router", "stands 2 times"),
        ("unique-ids", edited("regimens.yaml", lambda c: c["regimens"].append(c["regimens"][0])),
         "RX-PEMBRO", "stands 2 times"),
        ("unique-ids", edited("flags.yaml", lambda c: c["flags"].append(c["flags"][0])),
         "ADJUVANT_CHEMO_UNKNOWN", "stands 2 times"),
        ("resolves", swapped("rules_first_line.yaml", "[RX-PEMBRO,", "[RX-PEMBRU,"),
         "NSQ-H", "regimen 'RX-PEMBRU'"),
        ("resolves", swapped("rules_scope.yaml", "[PATH_REVIEW]", "[PATH_REVUE]"),
         "SC-4", "test 'PATH_REVUE'"),
        ("resolves", swapped("rules_scope.yaml", "[PREGNANCY_OR_LACTATION]", "[PREGNANT]"),
         "SC-3", "flag 'PREGNANT'"),
        ("resolves", swapped("rules_scope.yaml", "asks: [histology]", "asks: [histologie]"),
         "SC-4", "question 'histologie'"),
        ("resolves", edited("rules_scope.yaml",
                            lambda c: rule(c, "SC-2").update(references=["NOBODY2099"])),
         "SC-2", "reference 'NOBODY2099'"),
        ("resolves", swapped("rules_barriers.yaml", "remove: [pemetrexed]", "remove: [pemetrex]"),
         "CI-15", "'pemetrex'"),
        ("resolves", swapped("rules_tests.yaml", "has_any: [pemetrexed, cisplatin]",
                             "has_any: [pemetrexed, cisplatine]"),
         "TS-2", "drug 'cisplatine'"),
        ("resolves", swapped("rules_tests.yaml", "option_classes: {has: ICI}",
                             "option_classes: {has: ICIS}"),
         "TS-1", "class 'ICIS'"),
        ("resolves", swapped("genes.yaml", "gate: [EGFR", "gate: [EGRF"), "", "gene 'EGRF'"),
        ("resolves", swapped("genes.yaml", "actionable: [EGFR_ANY", "actionable: [EGFR_ALL"),
         "", "driver 'EGFR_ALL'"),
        ("resolves", swapped("staging.yaml", "references: [AJCC9]", "references: [AJCC10]"),
         "", "reference 'AJCC10'"),
        ("resolves", edited("discordance.yaml",
                            lambda c: c["rules"]["D-8"].update(references=["NOBODY2099"])),
         "D-8", "NOBODY2099"),
        ("resolves", edited("manifest.yaml", lambda c: c["category_priority"].pop()),
         "category_priority", "not every category"),
        ("regimens", edited("regimens.yaml", lambda c: c["regimens"][0].update(indication=" ")),
         "RX-PEMBRO", "no indication"),
        ("regimens", edited("regimens.yaml", lambda c: c["regimens"][0].update(references=[])),
         "RX-PEMBRO", "no reference"),
        ("regimens", edited("regimens.yaml", lambda c: c["regimens"][0].update(components=[])),
         "RX-PEMBRO", "no drug"),
        ("regimens", edited("regimens.yaml",
                            lambda c: c["regimens"][0].update(references=["NOBODY2099"])),
         "RX-PEMBRO", "reference 'NOBODY2099'"),
        ("regimens", edited("regimens.yaml",
                            lambda c: c["regimens"][0].update(components=[["unheardumab"]])),
         "RX-PEMBRO", "drug 'unheardumab'"),
        ("regimens", edited("regimens.yaml",
                            lambda c: c["regimens"][0].update(excludes_genes=["EGRF"])),
         "RX-PEMBRO", "gene 'EGRF'"),
        ("nothing-idle", edited("flags.yaml", lambda c: c["flags"].append(
            {"code": "NEVER", "severity": "info", "meaning": "nobody raises it"})),
         "NEVER", "nothing raises it"),
        ("nothing-idle", edited("regimens.yaml", lambda c: c["regimens"].append(
            {**c["regimens"][0], "id": "RX-IDLE"})),
         "RX-IDLE", "no rule lists it"),
        ("facts-exist", edited("rules_scope.yaml",
                               lambda c: rule(c, "SC-2").update(when={"aeg": {"lt": 18}})),
         "SC-2", "'aeg'"),
        ("facts-exist", swapped("rules_pdl1.yaml", "{p_readable: false}", "{age: 3}"),
         "PDL-1", "'age'"),
        ("facts-exist", edited("questions.yaml",
                               lambda c: c["questions"][0]["branches"][0].update(set={"x": 1})),
         "histology", "'x'"),
        ("facts-exist", edited("questions.yaml", lambda c: c["what_if"][0].update(fact="mood")),
         "mood", "'mood'"),
        ("reviewed", edited("rules_scope.yaml", lambda c: c.pop("last_reviewed")),
         "", "last_reviewed is ''"),
        ("reviewed", edited("drugs.yaml", lambda c: c.update(last_reviewed="soon")),
         "", "'soon', not a day"),
        ("reviewed", edited("rules_scope.yaml", lambda c: c.pop("section")),
         "SC-1", "names no section"),
        ("reviewed", edited("rules_scope.yaml", lambda c: rule(c, "SC-2").update(summary=" ")),
         "SC-2", "no summary"),
        ("predictions-read", edited("rules_first_line.yaml", lambda c: rule(c, "NSQ-H")[
            "cases"].append({"when": {"pred_cd274": "high"}, "then": {}})),
         "NSQ-H", "reads pred_cd274"),
        ("predictions-read", edited("rules_predicted.yaml", lambda c: c.update(section="2.8")),
         "PR-1", "reads pred_cd274"),
        *[
            ("predictions-inert",
             edited("rules_predicted.yaml", lambda c, e=emitted: rule(c, "PR-2").update(then=e)),
             "PR-2", f"emits {next(iter(emitted))}")
            for emitted in (
                {"options": [{"regimens": ["RX-PEMBRO"], "rank": 1, "reason": "", "strength": ""}]},
                {"remove": ["ICI"]}, {"set": {"tps_stratum": "high"}}, {"route": "first_line"},
                {"category": "TEST_FIRST"}, {"stop_ici": True}, {"review": True},
                {"rerank": {"regimens": ["RX-PEMBRO"], "rank": 1}}, {"asks": ["pdl1"]},
            )
        ],
        ("pending", swapped("rules_first_line.yaml", "[RX-PEMBRO,", "[RX-RETI-CHEMO,"),
         "NSQ-H", "lists RX-RETI-CHEMO: the regimen is pending_unverified"),
        ("pending", edited("regimens.yaml",
                           lambda c: c["regimens"][0].update(regulatory="unverified")),
         "NSQ-H", "RX-PEMBRO: the regimen is active, unverified"),
        ("pending", edited("regimens.yaml",
                           lambda c: c["regimens"][0].update(components=[["tislelizumab"]])),
         "NSQ-H", "tislelizumab has the US status no_nsclc_label"),
        ("pending", edited("regimens.yaml",
                           lambda c: c["regimens"][0].update(components=[["ivonescimab"]])),
         "NSQ-H", "its us_nsclc_use is pending"),
        ("pending", edited("drugs.yaml",
                           lambda c: drug(c, "alectinib")["facts"][0].update(grade="?")),
         "DR-5", "alectinib: its mechanism is graded ?"),
        ("pending", edited("references.yaml", lambda c: c["references"][0].update(grade="?")),
         "NSQ-H", "graded ?"),
        ("wording", edited("rules_scope.yaml",
                           lambda c: rule(c, "SC-2").update(summary="We recommend paediatrics")),
         "SC-2", "'recommend'"),
        ("wording", swapped("rules_first_line.yaml", 'reason: "TPS 1-49"', 'reason: "is safe"'),
         "NSQ-L", "'safe'"),
        ("wording", edited("flags.yaml", lambda c: c["flags"][0].update(
            meaning="the patient should receive it")),
         "ADJUVANT_CHEMO_UNKNOWN", "'should receive'"),
        ("wording", edited("manifest.yaml",
                           lambda c: c["headlines"].update(TEST_FIRST="Guaranteed.")),
         "TEST_FIRST", "'Guaranteed'"),
        ("wording", edited("discordance.yaml",
                           lambda c: c["rules"]["D-7"].update(action="This is safe.")),
         "D-7", "'safe'"),
        ("synonyms", edited("drugs.yaml",
                            lambda c: drug(c, "alectinib")["synonyms"].append("KEYTRUDA")),
         "alectinib", "also names pembrolizumab"),
        ("drug-records", edited("drugs.yaml", lambda c: drug(c, "alectinib").update(facts=[])),
         "alectinib", "no fact on boxed_warning, half_life"),
        ("drug-records", edited("drugs.yaml",
                                lambda c: drug(c, "alectinib")["ids"][0].update(status="conflict")),
         "alectinib", "conflict with a value"),
        ("drug-records", edited("drugs.yaml", lambda c: drug(c, "lorlatinib")["ids"][0].update(
            value=drug(c, "alectinib")["ids"][0]["value"])),
         "lorlatinib", "is alectinib's"),
        ("drug-records", edited("drugs.yaml",
                                lambda c: drug(c, "cisplatin").update(txgemma_applicable=True)),
         "cisplatin", "no input for an in-silico model"),
        ("drug-records", edited("drugs.yaml", lambda c: drug(c, "pembrolizumab").update(
            structure=drug(c, "alectinib")["structure"])),
         "pembrolizumab", "a mab with a SMILES"),
        ("drug-records", edited("drugs.yaml",
                                lambda c: drug(c, "alectinib")["structure"].update(inchikey="A-B")),
         "alectinib", "is no InChIKey"),
        ("codes", swapped("codes.yaml", "83053-9", "83053-8"), "", "83053-8"),
    ]
]  # fmt: skip
"""Check, broken texts, the record that is named, a part of the message."""
