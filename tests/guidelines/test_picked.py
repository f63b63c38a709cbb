"""The caution of regions that a person picked."""

import samples

from immunopath.domain.quality import IntakeResult
from immunopath.guidelines.picked import picked_findings


def taken(*picked: bool) -> IntakeResult:
    images = tuple(samples.image().model_copy(update={"picked": each}) for each in picked)
    return IntakeResult(usable=True, images=images, tiles=())


def test_only_what_a_person_picked_is_cautioned() -> None:
    assert picked_findings(taken(False, False)) == ()
    (one,) = picked_findings(taken(True))
    (two,) = picked_findings(taken(True, True))
    assert one.severity == "caution"
    assert one.message.startswith("1 region was picked by hand")
    assert two.message.startswith("2 regions were picked by hand")
