"""Training, validation and test split by patient: stratified, and on demand site by site.

Stratified by cancer type × CD274 (high or low), so that no split is easier than another. With
``by_site`` a tissue-source site lies in one split as a whole: sites differ in staining and
scanning, and a model that recognises the site looks better than it is (Howard 2021, Nature
Communications 12:4423).
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import floor, isclose
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final, Self

from pydantic import Field, model_validator

from immunopath.domain.base import Frozen
from immunopath.domain.errors import DuplicatePatient, LeakageError, SplitError
from immunopath.domain.files import read_bounded, write_text
from immunopath.domain.words import counted
from immunopath.training.samples import SPLITS, Split

if TYPE_CHECKING:
    import numpy as np

FRACTIONS: Final = (0.8, 0.1, 0.1)
SUMMARY: Final = "split.json"
_OFF_ONE: Final = 1e-9
"""By how much shares may miss a sum of 1."""


class Member(Frozen):
    """A patient who is to be split; stratum: what is balanced, site: what may be kept whole."""

    patient_id: str = Field(min_length=1)
    stratum: str = ""
    site: str = ""


class SplitPlan(Frozen):
    """Which patient lies in which split, and how that was decided."""

    seed: int
    fractions: tuple[float, float, float]
    by_site: bool
    of: dict[str, Split]
    """The split by patient id, sorted by id."""
    strata: dict[str, dict[str, int]]
    """Patients by split and stratum."""

    def ids(self, split: Split) -> tuple[str, ...]:
        """Return the patients of one split, sorted."""
        return tuple(patient for patient, found in self.of.items() if found == split)

    @model_validator(mode="after")
    def _fractions(self) -> Self:
        if min(self.fractions) < 0 or not isclose(sum(self.fractions), 1, abs_tol=_OFF_ONE):
            raise ValueError("fractions are shares of train, val and test that sum to 1")
        return self


def strata(cancer_types: Mapping[str, str], cd274: Mapping[str, float]) -> dict[str, str]:
    """Return cancer type × CD274 by patient, high being at or above the median of all patients.

    The cut serves the balance only; labels use the median of the training patients.
    """
    cut = median(cd274.values()) if cd274 else 0.0
    return {
        patient: f"{kind or 'unknown'} {'high' if cd274[patient] >= cut else 'low'}"
        if patient in cd274
        else f"{kind or 'unknown'} unknown"
        for patient, kind in cancer_types.items()
    }


def make_split(
    members: Iterable[Member],
    *,
    seed: int,
    fractions: Sequence[float] = FRACTIONS,
    by_site: bool = False,
) -> SplitPlan:
    """Split patients into train, val and test; the same members and seed give the same split.

    Without `by_site` each stratum is divided so that no split is off its share by one patient or
    more. Raises `DuplicatePatient` for a patient who is there twice, `SplitError` for fractions
    that are none, for a site that is missing, or for fewer sites than splits.
    """
    import numpy as np

    rows = sorted(members, key=lambda m: m.patient_id)
    shares = _fractions(fractions)
    twice = [i for i, n in Counter(m.patient_id for m in rows).items() if n > 1]
    if twice:
        raise DuplicatePatient(f"patient {', '.join(twice[:5])} is there twice; one row a patient")
    if not rows:
        raise SplitError("no patient to split")
    rng = np.random.default_rng(seed)
    of = _by_site(rows, shares, rng) if by_site else _by_patient(rows, shares, rng)
    empty = [s for s, share in zip(SPLITS, shares, strict=True) if share and s not in of.values()]
    if empty:
        raise SplitError(
            f"{counted(len(rows), 'patient leaves', 'patients leave')} "
            f"{', '.join(empty)} empty; give larger fractions"
        )
    counts: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    for row in rows:
        counts[of[row.patient_id]][row.stratum] += 1
    table = {split: dict(sorted(count.items())) for split, count in counts.items()}
    ordered = {row.patient_id: of[row.patient_id] for row in rows}
    return SplitPlan(seed=seed, fractions=shares, by_site=by_site, of=ordered, strata=table)


def _fractions(fractions: Sequence[float]) -> tuple[float, float, float]:
    if len(fractions) != len(SPLITS) or not all(0 <= f <= 1 for f in fractions):
        raise SplitError(f"{fractions}: give three shares for {', '.join(SPLITS)}")
    if not isclose(sum(fractions), 1, abs_tol=_OFF_ONE) or not fractions[0]:
        raise SplitError(f"{fractions}: shares sum to 1 and train is more than 0")
    train, val, test = (float(f) for f in fractions)
    return train, val, test


def _by_patient(
    rows: Sequence[Member], shares: Sequence[float], rng: "np.random.Generator"
) -> dict[str, Split]:
    """Divide each stratum; what a share leaves over goes where most is owed so far."""
    groups: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        groups[row.stratum].append(row.patient_id)
    of: dict[str, Split] = {}
    owed = [0.0] * len(SPLITS)
    for name in sorted(groups):
        ids = [groups[name][at] for at in rng.permutation(len(groups[name]))]
        exact = [share * len(ids) for share in shares]
        counts = [floor(value + 1e-9) for value in exact]
        owed = [o + e - c for o, e, c in zip(owed, exact, counts, strict=True)]
        room = [e > c + 1e-9 for e, c in zip(exact, counts, strict=True)]
        for _ in range(len(ids) - sum(counts)):
            at = max((k for k in range(len(SPLITS)) if room[k]), key=lambda k: (owed[k], -k))
            counts[at] += 1
            owed[at] -= 1
            room[at] = False
        place = [s for s, count in zip(SPLITS, counts, strict=True) for _ in range(count)]
        of.update(zip(ids, place, strict=True))
    return of


def _by_site(
    rows: Sequence[Member], shares: Sequence[float], rng: "np.random.Generator"
) -> dict[str, Split]:
    """Place whole sites, balancing the strata."""
    import numpy as np

    from immunopath.training.site_split import place_groups

    lost = [row.patient_id for row in rows if not row.site]
    if lost:
        raise SplitError(
            f"{counted(len(lost), 'patient has', 'patients have')} no site "
            f"({', '.join(lost[:5])}); fill the site column or "
            "split by patient"
        )
    kinds = sorted({row.stratum for row in rows})
    sites = sorted({row.site for row in rows})
    if len(sites) < sum(share > 0 for share in shares):
        raise SplitError(f"{counted(len(sites), 'site')} cannot fill {len(SPLITS)} splits")
    table = np.zeros((len(sites), len(kinds)))
    for row in rows:
        table[sites.index(row.site), kinds.index(row.stratum)] += 1
    of = {
        site: SPLITS[at] for site, at in zip(sites, place_groups(table, shares, rng), strict=True)
    }
    return {row.patient_id: of[row.site] for row in rows}


def write_split(folder: Path, of: Mapping[str, Split], plan: SplitPlan | None = None) -> None:
    """Write ``train.txt``, ``val.txt``, ``test.txt`` (one id a line) and ``split.json``.

    of: the split by patient; plan: how it was made, None for a split that was given.
    """
    counts: dict[str, int] = {}
    for split in SPLITS:
        ids = sorted(patient for patient, found in of.items() if found == split)
        counts[split] = len(ids)
        write_text(folder / f"{split}.txt", "".join(i + "\n" for i in ids))
    made = None if plan is None else plan.model_dump(mode="json", exclude={"of"})
    write_text(folder / SUMMARY, json.dumps({"patients": counts, "made": made}, indent=1) + "\n")


def read_split(folder: Path) -> dict[str, Split]:
    """Return the split by patient from the files of `write_split` (or one's own id lists).

    Raises `LeakageError` for a patient in two files, `DuplicatePatient` for one twice in a file,
    `SplitError` when a file is missing or none holds an id.
    """
    of: dict[str, Split] = {}
    for split in SPLITS:
        path = folder / f"{split}.txt"
        try:
            lines = read_bounded(path).decode("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SplitError(f"{path}: cannot be read; a split has train, val and test") from error
        for number, line in enumerate(lines, 1):
            patient = line.strip()
            if not patient:
                continue
            if patient in of and of[patient] != split:
                raise LeakageError(
                    f"{path}: line {number}: patient {patient} is in {of[patient]} too"
                )
            if patient in of:
                raise DuplicatePatient(f"{path}: line {number}: patient {patient} is there twice")
            of[patient] = split
    if not of:
        raise SplitError(f"{folder}: the split files hold no id")
    return of
