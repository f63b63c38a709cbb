"""One resolution per image, with where it was learned."""

from immunopath.domain.units import WORKING_MPP, MppSource, Resolution, checked_mpp

CONTRADICTION = 0.10
"""A stated mpp further than this share from the embedded one is noted."""


def resolve_resolution(embedded: Resolution | None, stated: float | None) -> Resolution:
    """Return the resolution to use: the user's, else the file's, else 0.5 µm/px marked assumed.

    Raises `ResolutionError` when `stated` is not within [0.05, 20] µm per pixel.
    """
    if stated is not None:
        mpp = checked_mpp(stated)
        return Resolution(mpp=mpp, source=MppSource.user, note=_contradiction(mpp, embedded))
    if embedded is not None:
        return embedded
    return Resolution(
        mpp=WORKING_MPP,
        source=MppSource.assumed,
        note=f"the file states no resolution: {WORKING_MPP:g} µm/px is assumed; state --mpp",
    )


def _contradiction(mpp: float, embedded: Resolution | None) -> str:
    if embedded is None or abs(mpp - embedded.mpp) <= CONTRADICTION * embedded.mpp:
        return ""
    return (
        f"the stated {mpp:g} µm/px contradicts {embedded.mpp:.4g} µm/px in the file "
        f"({embedded.source.value}); the stated value is used"
    )
