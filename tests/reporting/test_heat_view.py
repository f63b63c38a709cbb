"""What is said of a dense pass: which engine, of how much, and that it is no estimate."""

import samples
import samples_heat
import samples_sampling
from rich.console import Console

from immunopath.domain.heat import SquareCounts
from immunopath.domain.report import CaseReport
from immunopath.reporting.figures import FigureImage, Figures, Swatch
from immunopath.reporting.heat_view import heat_sections
from immunopath.reporting.html import render_html
from immunopath.reporting.markdown import render_markdown
from immunopath.reporting.terminal import render_terminal


def heated(**change: object) -> CaseReport:
    return samples.full().model_copy(update={"heat": samples_heat.block(**change)})


def said(report: CaseReport) -> str:
    return " ".join(render_markdown(report).replace("\\", "").split())


def test_every_form_names_engine_counts_shares_and_what_they_are_not() -> None:
    console = Console(width=250, record=True, file=None, force_terminal=False)
    with console.capture() as caught:
        console.print(render_terminal(heated()))
    for text in (caught.get(), render_markdown(heated()), render_html(heated())):
        flat = " ".join(text.replace("\\", "").split())
        assert "whole-slide heat" in flat.lower()
        assert "1,234 tiles of 250 µm with 75.1 mm² of tissue" in flat
        assert "763 glass" in flat
        assert "embedded-predictor nuclei-2" in flat
        assert "gain of the stain 1.25" in flat
        assert "densest tile 7,654 at x 9000, y 5000 px" in flat
        assert "inflamed 0.20 (8), excluded 0.30 (12), desert 0.50 (20)" in flat
        assert "33 less than half of it measured" in flat
        assert "corrected for false lymphocytes; as counted 0.25" in flat
        assert "take no part in the estimates from regions" in flat
        assert "Lunit's cut of 20 % does not apply" in flat.replace("&#39;", "'")
    assert "T.svs: &lt;no&gt; heat." in render_html(heated())


def test_the_estimate_from_regions_stands_beside_it_and_stays() -> None:
    both = heated().model_copy(update={"sampling": samples_sampling.block()})
    assert "0.21 (90% interval 0.16 to 0.26)" in said(both).split("for comparison")[1]
    assert "it stays the slide's estimate" in said(both)
    assert "another quantity" not in said(both)
    block = samples_sampling.block()
    score = block.estimates[0].model_copy(update={"quantity": "rna_score_minmax"})
    rna = both.model_copy(update={"sampling": block.model_copy(update={"estimates": (score,)})})
    assert "another quantity" in said(rna)
    assert "for comparison" not in said(rna)
    other = both.model_copy(update={"heat": samples_heat.block(sha256="cd" * 32)})
    assert "for comparison" not in said(other)


def test_what_is_not_known_is_said() -> None:
    nothing = SquareCounts(side_um=1000, phenotypes={"inflamed": 0, "excluded": 0, "desert": 0})
    text = said(
        heated(lymphocytes_per_mm2=None, raw_share=None, corrected_share=None, cells=nothing,
               mpp_plausible=False, densest=None, densest_per_mm2=None)
    )  # fmt: skip
    assert "no tissue was measured" in text
    assert "fewer than ten nuclei" in text
    assert "none has one" in text
    assert "does not fit the stated resolution" in text
    assert "smaller than one tile" in said(heated(grid=0, measured=0, rejected={}))


def test_few_cells_are_counts_and_no_shares() -> None:
    few = SquareCounts(side_um=1000, phenotypes={"inflamed": 1, "excluded": 0, "desert": 6})
    text = said(heated(cells=few))
    assert "inflamed 1, excluded 0, desert 6" in text
    assert "n = 7, too few for shares (they need 8)" in text
    eight = few.model_copy(update={"phenotypes": {"inflamed": 2, "excluded": 0, "desert": 6}})
    assert "inflamed 0.25 (2)" in said(heated(cells=eight))


def test_without_a_pass_there_is_no_section() -> None:
    assert heat_sections(samples.full()) == ()


def test_the_maps_have_alt_text_legend_and_scale() -> None:
    base = samples.figures()
    shown = FigureImage(
        name='<b>"S"</b>',
        jpeg=samples.jpeg(size=800),
        width=800,
        height=800,
        um_per_px=8.0,
        x=base.images[0].x[:0],
        y=base.images[0].y[:0],
        is_lymphocyte=base.images[0].is_lymphocyte[:0],
        in_nest=base.images[0].in_nest[:0],
        caption="Framed: the densest.",
        legend=(Swatch("#440154", "0"), Swatch("#fde725", "6,000 and more per mm²")),
    )
    page = render_html(heated(), Figures(images=base.images, heat=(shown,)))
    own = page.split('id="heat"')[1].split("</section>")[0]
    assert 'aria-label="Heat map: &lt;b&gt;&#34;S&#34;&lt;/b&gt;. Framed: the densest."' in own
    assert '<rect width="10" height="10" fill="#fde725"/>' in own
    assert "6,000 and more per mm²" in own
    assert "1000 µm" in own
    assert "style=" not in own
    assert "heat-map" not in render_html(samples.full(), base).split("</style>")[1]
