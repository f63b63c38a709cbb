"""Whom a checkpoint was made from: part of its record, read wherever it is tested."""

from immunopath.domain.base import Frozen


class Seen(Frozen):
    """Patients and sites behind a checkpoint.

    train: short digests of the patients it was fitted on; val: of those who decided when to stop
    (`immunopath.training.seen.key_of`; digests of ids that can be guessed hide nobody); sites:
    names of the tissue-source sites of both.
    """

    train: tuple[str, ...]
    val: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
