"""What the slot decoder returns: plain floats and strings, nothing of torch or numpy."""

from collections.abc import Mapping
from dataclasses import dataclass

OFF_SCHEMA_LIMIT = 0.5
"""Above this share of probability outside the schema a field has no value."""


@dataclass(frozen=True)
class SlotReading:
    """One field of an answer.

    value: the best whole option, or the median of a number's table; None when more than
        `OFF_SCHEMA_LIMIT` lies off the schema ("the model does not follow this format").
    probabilities: over the allowed values, or over the cells ``0.00`` to ``1.00`` of a number
        (see `numbers`); conditional on the schema, sum 1.
    expectation, interval: of a number's table, the interval at 90 %; None for categories.
    off_schema_mass: probability, at the field's first token and over the full output head, of all
        tokens with which no allowed value begins; None when only candidate rows were computed.
    unknown_mass: the part of it that begins the word for "not known"; None when that word begins
        like an allowed value, or when only candidate rows were computed.
    greedy: the field as the token-greedy path spells it; it may differ from `value`.
    """

    key: str
    value: str | float | None
    probabilities: Mapping[str, float]
    expectation: float | None
    interval: tuple[float, float] | None
    off_schema_mass: float | None
    unknown_mass: float | None
    greedy: str


@dataclass(frozen=True)
class DecodedAnswer:
    """One answer.

    readings: the fields in answer order. text, tokens: the token-greedy answer, valid JSON, and
    its canonical tokenization. log_probability: natural logarithm, over the choices of the greedy
    path, the skeleton given: at a field's first token against the full head (against the allowed
    tokens when `conditional`), afterwards against the tokens that the schema allows.
    conditional: True when only candidate rows were computed. conditioning: ``greedy`` when every
    field is read after the greedy values of the earlier ones, ``marginal:n`` when it is the mean
    over n sampled histories.
    """

    readings: tuple[SlotReading, ...]
    text: str
    log_probability: float
    conditional: bool
    conditioning: str
    tokens: tuple[int, ...] = ()


def conditioning_name(marginal: int) -> str:
    """Return how fields are read: ``greedy`` without sampled histories, else ``marginal:n``."""
    return f"marginal:{marginal}" if marginal else "greedy"
