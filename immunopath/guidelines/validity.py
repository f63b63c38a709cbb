"""Checks that need the day of the question: nothing measured lies in the future."""

from datetime import date

from immunopath.domain.clinical import ClinicalContext, InputProblem
from immunopath.domain.measured import Measured


def date_problems(context: ClinicalContext, as_of: date) -> tuple[InputProblem, ...]:
    """Return one problem per date after `as_of` and per interval that ends before it starts."""
    plain: list[tuple[str, date | None]] = [
        ("crt_end_date", context.crt_end_date),
        ("diagnosed_on", context.diagnosed_on),
        ("surgery.on", context.surgery.on if context.surgery else None),
        ("prior_io.end", context.prior_io.end if context.prior_io else None),
        ("specimen.collected", context.specimen.collected if context.specimen else None),
    ]
    measured: list[tuple[str, Measured[str] | Measured[float] | Measured[float | str]]] = [
        ("msi", context.msi),  # type: ignore[list-item]
        ("mmr", context.mmr),  # type: ignore[list-item]
        ("tmb", context.tmb),
        ("her2_ihc", context.her2_ihc),  # type: ignore[list-item]
        ("met_ihc_3plus_pct", context.met_ihc_3plus_pct),
        *((f"pdl1[{n}].tps", r.tps) for n, r in enumerate(context.pdl1)),
        *((f"genes[{n}].{r.gene}", r.result) for n, r in enumerate(context.genes)),
    ]
    late = [name for name, day in plain if day is not None and day > as_of]
    late += [
        f"{name}.{part}"
        for name, value in measured
        if value.reported_on is not None or value.specimen is not None
        for part in value.future_dates(as_of)
    ]
    therapies = context.prior_therapies or ()
    late += [
        f"prior_therapies[{n}].{name}"
        for n, item in enumerate(therapies)
        for name, day in (("start", item.start), ("end", item.end))
        if day is not None and day > as_of
    ]
    problems = [
        InputProblem(field=name, code="DATE_IN_FUTURE", message=f"{name} lies after {as_of}")
        for name in late
    ]
    problems += [
        InputProblem(
            field=f"prior_therapies[{n}]", code="DATE_ORDER", message="ends before it starts"
        )
        for n, item in enumerate(therapies)
        if item.start is not None and item.end is not None and item.end < item.start
    ]
    return tuple(problems)
