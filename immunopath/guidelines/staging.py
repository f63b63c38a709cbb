"""Do T, N, M and the stage group agree for the stated edition?"""

from collections.abc import Iterable

from immunopath.domain.clinical import ClinicalContext
from immunopath.guidelines.schema import StagingFile

_ONLY_AJCC9 = frozenset({"N2a", "N2b", "M1c1", "M1c2"})
_ALL_T = ("Tis", "T1mi", "T1a", "T1b", "T1c", "T2a", "T2b", "T3", "T4")


def stage_problem(context: ClinicalContext, staging: StagingFile) -> bool:
    """Return True when the stated stage contradicts itself.

    A category of AJCC 9 under an older or unstated edition is a contradiction; otherwise the
    stated group must be one of the groups that the stated elements allow (missing elements are
    open). AJCC 7 and ``recurrent_unresectable`` are not checked.
    """
    only9 = {context.n, context.m} & _ONLY_AJCC9
    if only9 and context.staging_system != "AJCC9":
        return True
    stated = context.t or context.n or context.m
    if not stated or context.stage_group in {None, "recurrent_unresectable"}:
        return False
    possible = possible_groups(context, staging)
    return possible is not None and context.stage_group not in possible


def possible_groups(context: ClinicalContext, staging: StagingFile) -> frozenset[str] | None:
    """Return the stage groups consistent with the stated T, N and M; None if not checkable."""
    if context.staging_system not in {"AJCC8", "AJCC9"}:
        return None
    table = staging.AJCC8 if context.staging_system == "AJCC8" else staging.AJCC9
    found: set[str] = set()
    if context.m in {None, "MX", "M0"}:
        for t in _expand(context.t, "TX", _ALL_T):
            for n in _expand(context.n, "NX", ("N0", "N1", "N2", "N2a", "N2b", "N3")):
                found |= set(_group(table, staging, t, n))
    if context.m != "M0":
        found |= (
            set(table["m"].values()) if context.m in {None, "MX"} else {table["m"][str(context.m)]}
        )
    return frozenset(found)


def _expand(value: str | None, unknown: str, every: Iterable[str]) -> tuple[str, ...]:
    return tuple(every) if value in {None, unknown} else (str(value),)


def _group(
    table: dict[str, dict[str, str]], staging: StagingFile, t: str, n: str
) -> tuple[str, ...]:
    if t == "Tis":
        return ("0",) if n == "N0" else ()
    if n == "N0" and t in staging.t1_n0:
        return (staging.t1_n0[t],)
    row = table["T1" if t.startswith("T1") else t]
    if n == "N2" and "N2" not in row:
        return row["N2a"], row["N2b"]
    return (row[n],) if n in row else ()
