"""Numbers before their nouns, here and wherever a text is written."""

import re
from pathlib import Path

import pytest

import immunopath
from immunopath.domain.words import counted

NOUNS = "cases|tiles|patients|slides|images|regions|genes|patches|nuclei|prompts|steps"
PLURAL = re.compile(rf"\{{(?:len\(|n_|n\b|[a-z_.]+\.n\b)[^{{}}]*\}} (?:{NOUNS})\b")
"""A bare count before a plural: one of them would read "1 tiles"."""
NEVER_ONE = {
    "consistency.py",  # a share of tiles that disagree
    "explain.py",  # several vignettes
    "intake.py",  # several tiles; one is said by its own reason
    "medgemma_fields.py",  # a share of prompts that disagree
    "ssgsea.py", "signatures.py",  # of the genes of a set
    "score.py", "page.py",  # fixed least numbers
    "anndata_tiles.py", "case.py", "uploads.py", "onnx_embedder.py",  # more than one, or of all
}  # fmt: skip


@pytest.mark.parametrize(
    ("n", "noun", "plural", "text"),
    [
        (0, "case", "", "0 cases"),
        (1, "case", "", "1 case"),
        (2, "case", "", "2 cases"),
        (1, "nucleus was", "nuclei were", "1 nucleus was"),
        (7, "nucleus was", "nuclei were", "7 nuclei were"),
    ],
)
def test_one_is_singular(n: int, noun: str, plural: str, text: str) -> None:
    assert counted(n, noun, plural) == text


def test_no_text_counts_without_minding_one() -> None:
    package = Path(immunopath.__file__).parent
    found = [
        f"{path.relative_to(package)}: {line.strip()}"
        for path in sorted(package.rglob("*.py"))
        if path.name not in NEVER_ONE
        for line in path.read_text("utf-8").splitlines()
        if PLURAL.search(line)
    ]
    assert found == []
