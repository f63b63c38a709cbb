"""Shared helpers of the guideline tests."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from guideline_support import AS_OF

from immunopath.domain.guidance import Guidance
from immunopath.guidelines.check import run_inputs
from immunopath.guidelines.loader import Knowledge, load_knowledge


@pytest.fixture
def kb() -> Knowledge:
    return load_knowledge()


@pytest.fixture
def run() -> Callable[..., Guidance]:
    """Evaluate vignette inputs: an adenocarcinoma without drivers unless stated."""

    def evaluate_inputs(**inputs: Any) -> Guidance:
        base: Mapping[str, Any] = {"histology": "adenocarcinoma", "drivers": "all_neg"}
        return run_inputs({**base, **inputs}, as_of=AS_OF)

    return evaluate_inputs
