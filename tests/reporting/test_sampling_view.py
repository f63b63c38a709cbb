"""How slides were sampled, in every form of the report."""

import samples
import samples_sampling
from rich.console import Console

from immunopath.domain.report import CaseReport
from immunopath.reporting.html import render_html
from immunopath.reporting.markdown import render_markdown
from immunopath.reporting.sampling_view import sampling_sections
from immunopath.reporting.terminal import render_terminal


def sampled(first_alone: float | None = 0.27) -> CaseReport:
    return samples.full().model_copy(update={"sampling": samples_sampling.block(first_alone)})


def test_every_form_shows_rounds_reason_estimate_and_cells() -> None:
    console = Console(width=200, record=True, file=None, force_terminal=False)
    with console.capture() as caught:
        console.print(render_terminal(sampled()))
    page = render_html(sampled())
    for text in (caught.get(), render_markdown(sampled()), page):
        flat = " ".join(text.split())
        assert "sampling of the slides" in flat.lower()
        assert "5 regions of 20 with tissue, 512 µm a side" in flat
        assert "1 further regions, as many as allowed" in flat
        assert "the engines differ" in flat
        assert "0.21 (90% interval 0.16 to 0.26)" in flat
        assert "the first, evenly spread ones alone 0.27" in flat
        assert "inflamed 0.20, excluded 0.30, desert 0.50" in flat
        assert "n = 9, 1 more without a phenotype" in flat
    assert "&lt;few&gt; cells" in page


def test_a_first_round_without_a_value_is_said() -> None:
    assert "the first, evenly spread ones alone without a value" in " ".join(
        render_markdown(sampled(None)).split()
    )


def test_a_case_without_slides_has_no_section() -> None:
    assert sampling_sections(samples.full()) == ()
    assert "Sampling of the slides" not in render_markdown(samples.full())


def test_the_block_survives_json_and_its_absence_leaves_no_trace() -> None:
    text = sampled().model_dump_json()
    assert CaseReport.model_validate_json(text).model_dump_json() == text
    plain = samples.full()
    assert "sampling" not in plain.model_dump(mode="json")
    assert CaseReport.model_validate_json(plain.model_dump_json()).sampling is None


def test_regions_picked_by_hand_stand_with_their_place_and_scale() -> None:
    picked = samples.image().model_copy(
        update={"region": (960, 1500, 512, 400), "picked": True, "mpp": 0.5, "mpp_source": "user"}
    )
    report = samples.full().model_copy(update={"images": (picked,)})
    (section,) = sampling_sections(report)
    assert section.title == "Regions picked by hand"
    assert section.note == "Nothing here is an estimate of the slide."
    (row,) = section.blocks[1].rows  # type: ignore[union-attr]
    assert row[1:6] == ("960", "1500", "512", "400", "256 × 200 µm")
    assert row[6] == "0.5 µm/px (stated by the user)"
    assert "no engine did" in render_html(report)
