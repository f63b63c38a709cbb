"""Write docs/clinical-file.md: every key of a clinical file with its values, read from the types.

python scripts/export_clinical_keys.py
"""

import types
import typing
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from immunopath.domain.clinical import ClinicalContext
from immunopath.guidelines.vocabulary import KEYS, NESTED, PLAIN

PAGE = Path(__file__).parents[1] / "docs/clinical-file.md"
HEAD = """# The clinical file

`immunopath analyze IMAGE --clinical CASE.yaml` and `immunopath guidelines explain CASE.yaml` read
what laboratories and clinicians know, as `key: value` lines (see `examples/`). **An absent key is
unknown, never negative.** An unknown key, a value outside its range, or two facts that contradict
each other are refused with the key that is at fault. Nothing predicted can be stated here.

Made by `scripts/export_clinical_keys.py` from the types.

| key | values |
| --- | --- |
"""
SPECIAL = {
    "autoimmune": "`none`, or the disease, with `_active` behind it if so: `myasthenia_active`",
    "drivers": "`all_neg` (every gate gene and KRAS measured negative, by DNA and RNA sequencing "
    "unless `drivers_method` says otherwise), `all_unknown`, `ctdna_negative_no_shedding`, or "
    "`GENE:alteration`, several with `;`: `EGFR:ex19del; ALK:negative`. Genes not named stay "
    "unknown; `rest_neg` as a last item says that the other gate genes and KRAS were measured "
    "negative by `drivers_method`",
    "drivers_method": "`NGS_DNA_RNA`, `NGS_DNA`, `NGS_RNA`, `PCR`, `IHC`, `FISH`, `CTDNA_NGS`",
    "her2_ihc": "0 to 3",
    "last_ici_days": "days since the last checkpoint inhibitor, at least 0",
    "margin": "`R0`, `R1` or `R2` of a resection",
    "met_ihc_3plus_pct": "0 to 100, % of cells with MET 3+",
    "mmr": "`pMMR` or `dMMR`",
    "msi": "`MSI-H`, `MSS`, `not_done`",
    "pdl1_assay": "`22C3`, `28-8`, `SP263`, `SP142`, `other_ldt`, `unknown`",
    "pdl1_score_type": "`TPS`, `TC`, `IC`, `CPS`; only TPS and TC feed the TPS rules",
    "pdl1_tps": "percent, 0 to 100; `<1`, `a-b`, `>=50`; or `pending`, `not_done`, `failed`",
    "pdl1_unit": "`percent` (the default) or `missing`: then a number between 0 and 1 is refused",
    "prior_io": "`none`, `progressed`, or `{agent, worst_irae, grade}`",
    "prior_therapies": "list of regimen ids of `guidelines.md`: `[RX-PEMBRO-PEM-PLAT]`",
    "tmb": "mutations per megabase, at least 0, or `not_done`",
    "tmb_test": "`labelled_tissue`, `other_tissue`, `blood`",
}
"""Keys that a small grammar reads; `pred` is for vignettes only and refused in a case file."""


def _words(annotation: Any, info: FieldInfo | None = None) -> str:  # noqa: ANN401
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in args)
    if origin in {typing.Union, types.UnionType}:
        return _words(next(a for a in args if a is not type(None)), info)
    if origin is typing.Annotated:
        return _words(args[0], args[1])
    if origin is tuple:
        return f"list of {_words(args[0])}"
    names = {int: "whole number", float: "number", bool: "`true` or `false`", date: "YYYY-MM-DD",
             str: "text"}  # fmt: skip
    limits = [f"{word} {getattr(m, key):g}" for m in (info.metadata if info else ())
              for key, word in (("ge", "at least"), ("gt", "above"), ("le", "at most"))
              if hasattr(m, key)]  # fmt: skip
    return ", ".join([names[annotation], *limits])


def _field(model: type[BaseModel], name: str) -> str:
    info = model.model_fields[name]
    return _words(info.annotation, info)


def _inner(annotation: Any) -> type[BaseModel]:  # noqa: ANN401
    options = (annotation, *typing.get_args(annotation))
    return next(o for o in options if isinstance(o, type) and issubclass(o, BaseModel))


def page() -> str:
    """Return the page; raises `KeyError` for a key that nothing describes."""
    rows = {key: _field(ClinicalContext, field) for key, field in PLAIN.items()}
    for key, (group, field) in NESTED.items():
        rows[key] = _field(_inner(ClinicalContext.model_fields[group].annotation), field)
    rows |= SPECIAL
    wanted = sorted(KEYS - {"pred"})
    return HEAD + "".join(f"| `{key}` | {rows[key]} |\n" for key in wanted)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
