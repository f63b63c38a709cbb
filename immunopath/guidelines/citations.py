"""References as readers cite them: text, identifiers, and how well each is known."""

import re

from immunopath.domain.guidance import ReferenceRow

_PMID = re.compile(r"(?<![\w/.-])(?<!PMID )(\d{7,8})(?![\w/.-])")
"""A bare PubMed number; the digits of a DOI or of a trial number are none."""
_GRADED = re.compile(r"^(.*?)\s*\b([VM])(?: \(secondary\))?$")
_IN_THE_TEXT = frozenset({"", "doi", "doi path", "date", "label", "NCT"})
"""Kinds of identifier that stand in the reference itself; the list then only grades them."""


def citation(row: ReferenceRow) -> str:
    """Return a reference with its identifiers, a bare PubMed number named as such."""
    ident, text = identifier(row), reference_text(row)
    return f"{text} ({ident})" if ident else text


def reference_text(row: ReferenceRow) -> str:
    """Return the text of a reference, with bare PubMed numbers named as such."""
    return _PMID.sub(r"PMID \1", row.text)


def identifier(row: ReferenceRow) -> str:
    """Return the identifiers of a reference with the grade of each; empty when it lists none."""
    parts = (_one_identifier(part.strip()) for part in row.ident.split(";"))
    return "; ".join(part for part in parts if part)


def _one_identifier(part: str) -> str:
    found = _GRADED.match(part)
    name, grade = (found[1], f" [{found[2]}]") if found else (part, "")
    if name in _IN_THE_TEXT or name == "none":
        return ""
    return _PMID.sub(r"PMID \1", name) + grade
