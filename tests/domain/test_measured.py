from datetime import date

import pytest
from pydantic import ValidationError

from immunopath.domain.measured import Measured, SpecimenRef, State
from immunopath.domain.prediction import FieldPrediction
from immunopath.domain.provenance import Provenance

PREDICTION = FieldPrediction[float](
    quantity="lymphocyte_share_of_nuclei",
    n_tiles=1,
    qc_pass=True,
    value=0.4,
    abstained=False,
    source=Provenance(engine="e", revision="1"),
)


def test_nothing_stated_is_unknown() -> None:
    assert Measured[float]().state is State.unknown
    assert Measured[float]().known is False


def test_measured_needs_a_value() -> None:
    with pytest.raises(ValidationError, match="needs a value"):
        Measured[float](state=State.measured)


@pytest.mark.parametrize("state", [s for s in State if s is not State.measured])
def test_other_states_carry_no_value(state: State) -> None:
    with pytest.raises(ValidationError, match="cannot carry a value"):
        Measured[float](state=state, value=3.0)


def test_a_prediction_in_a_measured_slot_is_an_error_never_coerced() -> None:
    with pytest.raises(ValidationError):
        Measured[float](state=State.measured, value=PREDICTION)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="prediction"):
        Measured(state=State.measured, value=PREDICTION)
    with pytest.raises(ValidationError):
        Measured[float].model_validate(PREDICTION.model_dump())
    with pytest.raises(ValidationError):
        Measured[float].model_validate(PREDICTION)


def test_future_dates_are_named() -> None:
    value = Measured[float](
        state=State.measured,
        value=1.0,
        reported_on=date(2026, 5, 2),
        specimen=SpecimenRef(collected=date(2026, 5, 3)),
    )
    assert value.future_dates(date(2026, 5, 1)) == ("reported_on", "specimen.collected")
    assert value.future_dates(date(2026, 5, 3)) == ()


def test_nan_is_refused() -> None:
    with pytest.raises(ValidationError):
        Measured[float](state=State.measured, value=float("nan"))
