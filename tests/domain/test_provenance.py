"""Provenance never fills in what an engine does not know."""

import pytest
from domain_strategies import instances
from hypothesis import given
from pydantic import ValidationError

from immunopath.domain.provenance import Provenance


def test_engine_and_revision_are_asked_for_and_nothing_else_is_guessed() -> None:
    bare = Provenance(engine="embedded-predictor", revision="1")
    known = {"engine", "revision", "kind", "tile_ids"}
    assert {name for name, value in bare.model_dump().items() if value is not None} == known
    assert bare.tile_ids == ()
    for name in ("engine", "revision"):
        with pytest.raises(ValidationError, match=name):
            Provenance.model_validate(bare.model_dump(exclude={name}))


def test_a_value_is_a_measurement_unless_something_else_is_said() -> None:
    assert Provenance(engine="e", revision="1").kind == "measurement"


@given(instances(Provenance))
def test_provenance_is_a_value(source: Provenance) -> None:
    """It can be a key: two values of the same origin can be grouped."""
    assert len({source, Provenance.model_validate(source.model_dump())}) == 1
