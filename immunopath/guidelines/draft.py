"""The decision and its accumulator under one name."""

from immunopath.guidelines.accumulate import Draft
from immunopath.guidelines.decision import Decision

__all__ = ["Decision", "Draft"]
