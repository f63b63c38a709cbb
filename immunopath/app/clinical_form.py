"""Clinical facts from the page: a short form and a YAML box, one vocabulary behind both.

Nothing is judged here: the facts go through `guidelines.casefile`, as those of a file do.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.errors import CaseFileError
from immunopath.domain.measured import SpecimenRef
from immunopath.domain.molecular import Method, Pdl1Result
from immunopath.guidelines.casefile import MAX_BYTES, clinical_of, yaml_of
from immunopath.guidelines.vocabulary import PLAIN

Kind = Literal["choice", "whole", "text", "date"]
ORIGIN: Final = Path("clinical facts")
"""What an error names in place of a file."""
MAX_FIELD: Final = 500
_MSI_RESULT: Final = type(ClinicalContext.model_fields["msi"].default)
_WHOLE: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,8})")
_DECIMAL: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?")


@dataclass(frozen=True)
class FormField:
    """One field of the short form. choices: the values the vocabulary allows; hint: an example."""

    key: str
    label: str
    kind: Kind
    choices: tuple[str, ...] = ()
    hint: str = ""
    wide: bool = False

    @property
    def empty(self) -> str:
        """What an empty field means; one fact has a default: the rules are some country's."""
        return "not stated: US" if self.key == "jurisdiction" else "not stated"


def _values(annotation: Any) -> tuple[str, ...]:  # noqa: ANN401 - a type of the vocabulary
    """Return the values of a Literal, wherever it stands in an annotation."""
    if get_origin(annotation) is Literal:
        return tuple(str(value) for value in get_args(annotation))
    return next((found for arg in get_args(annotation) if (found := _values(arg))), ())


def _plain(key: str, label: str) -> FormField:
    annotation = ClinicalContext.model_fields[PLAIN[key]].annotation
    return FormField(key, label, "choice", _values(annotation))


def _pdl1(key: str, label: str, field: str) -> FormField:
    return FormField(key, label, "choice", _values(Pdl1Result.model_fields[field].annotation))


_MSI: Final = _values(_MSI_RESULT.model_fields["value"].annotation)
_SPECIMENS: Final = _values(SpecimenRef.model_fields["type"].annotation)
_EXAMPLE: Final = "all_neg, or EGFR:ex19del; ALK:negative"
FIELDS: Final = (
    _plain("histology", "Histology"),
    _plain("stage", "Stage group"),
    _plain("question", "Question"),
    FormField("line", "Line about to start", "whole", hint="e.g. 1"),
    FormField("age", "Age, years", "whole", hint="e.g. 64"),
    _plain("sex", "Sex"),
    FormField("ecog", "ECOG", "choice", ("0", "1", "2", "3", "4")),
    _plain("smoking", "Smoking"),
    _plain("brain_mets", "Brain metastases"),
    FormField("drivers", "Drivers, measured", "text", hint=_EXAMPLE, wide=True),
    FormField("drivers_method", "Driver assay", "choice", get_args(Method)),
    FormField("pdl1_tps", "PD-L1 TPS, %", "text", hint="e.g. 60 or <1"),
    _pdl1("pdl1_assay", "PD-L1 assay", "assay"),
    _pdl1("pdl1_score_type", "PD-L1 score", "score_type"),
    FormField("msi", "MSI", "choice", (*_MSI, "not_done")),
    FormField("specimen_type", "Specimen", "choice", _SPECIMENS),
    FormField("diagnosed_on", "Diagnosed on", "date"),
    _plain("jurisdiction", "Jurisdiction"),
)
"""The most used keys of docs/clinical-file.md; the box takes all of them."""


def clinical_from_form(values: Mapping[str, str], box: str) -> ClinicalContext:
    """Return the facts of the form's `values` and of the YAML `box`; an empty field is unknown.

    Raises `CaseFileError`, one line with the key at fault.
    """
    stated = {field.key: _typed(field, text) for field in FIELDS if (text := _text(field, values))}
    listed = _listed(box)
    twice = sorted(str(key) for key in listed if key in stated)
    if twice:
        raise CaseFileError(
            f"{ORIGIN}: {twice[0]}: stands in the form and in the YAML box; keep one of them"
        )
    return clinical_of(ORIGIN, stated | listed)


def _text(field: FormField, values: Mapping[str, str]) -> str:
    text = values.get(field.key, "").strip()
    if len(text) > MAX_FIELD:
        raise CaseFileError(f"{ORIGIN}: {field.key}: longer than {MAX_FIELD} characters")
    return text


def _typed(field: FormField, text: str) -> object:
    """Return the value as YAML would read it; what is no number stays text and is refused later."""
    if field.kind == "date":
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise CaseFileError(f"{ORIGIN}: {field.key}: {text!r} is no date YYYY-MM-DD") from None
    if field.key in {"stage", "pdl1_assay"}:  # "0" and "28-8" are words
        return text
    if field.kind in {"whole", "choice"} and _WHOLE.fullmatch(text):
        return int(text)
    if field.kind == "text" and _DECIMAL.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text


def _listed(box: str) -> dict[Any, Any]:
    if len(box.encode("utf-8", "replace")) > MAX_BYTES:
        raise CaseFileError(f"{ORIGIN}: the YAML box holds more than {MAX_BYTES // 1024} KiB")
    content = yaml_of(box, ORIGIN)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise CaseFileError(f"{ORIGIN}: expected 'key: value' lines, e.g. 'histology: squamous'")
    return content
