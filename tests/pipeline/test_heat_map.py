"""The maps of a dense pass: colours where something was measured, grey everywhere else."""

import cv2
import numpy as np
from dense_slides import made

from immunopath.pipeline.heat_map import heat_figures
from immunopath.pipeline.slide_map import viridis
from immunopath.reporting.figures import FigureImage
from immunopath.reporting.heat_view import FULL_PER_MM2, PHENOTYPE_COLOURS


def pixels(figure: FigureImage) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(figure.jpeg, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]


def at(figure: FigureImage, column: int, row: int) -> tuple[int, int, int]:
    """Return the colour at the middle of a tile of the 3 x 2 ones."""
    picture = pixels(figure)
    height, width = picture.shape[:2]
    red, green, blue = picture[int((row + 0.5) * height / 2), int((column + 0.5) * width / 3)]
    return int(red), int(green), int(blue)


def grey(colour: tuple[int, int, int]) -> bool:
    return max(colour) - min(colour) <= 1


def near(colour: tuple[int, int, int], wanted: tuple[int, int, int]) -> bool:
    return sum(abs(a - b) for a, b in zip(colour, wanted, strict=True)) < 130


def test_tiles_have_the_colour_of_their_density_and_rejected_ones_none() -> None:
    density, _ = heat_figures((made(),), 1100)
    assert near(at(density, 0, 0), viridis(5000 / FULL_PER_MM2))
    assert near(at(density, 1, 0), viridis(0))
    assert near(at(density, 2, 1), viridis(1000 / FULL_PER_MM2))
    assert all(grey(at(density, *place)) for place in ((2, 0), (0, 1), (1, 1)))
    assert density.um_per_px == 0.5 * 1500 / density.width
    assert "3 of 6 places" in density.caption
    assert "5,000 per mm² at x 1000, y 500 px" in density.caption


def test_the_densest_tile_is_framed() -> None:
    density, _ = heat_figures((made(),), 1100)
    picture = pixels(density).astype(int)
    edge = picture[4 : density.height // 2 - 8, density.width // 3 - 4 : density.width // 3 + 5]
    assert ((edge[..., 0] > 150) & (edge[..., 1] < 60)).any()


def test_phenotypes_colour_what_was_measured_of_their_window() -> None:
    _, phenotype = heat_figures((made(),), 1100)
    blue = tuple(int(PHENOTYPE_COLOURS["excluded"][i : i + 2], 16) for i in (1, 3, 5))
    assert near(at(phenotype, 0, 0), (blue[0], blue[1], blue[2]))
    assert near(at(phenotype, 1, 0), (blue[0], blue[1], blue[2]))
    assert grey(at(phenotype, 0, 1))  # of the same window, rejected
    assert grey(at(phenotype, 2, 1))  # measured, no phenotype
    assert "excluded 1, desert 0, without a phenotype 1" in phenotype.caption


def test_the_legend_shows_the_colours_as_they_come_out() -> None:
    density, phenotype = heat_figures((made(),), 1100)
    assert [swatch.label for swatch in density.legend] == [
        "0", "1,000", "2,000", "3,000", "4,000", "5,000", "6,000 and more per mm²",
    ]  # fmt: skip
    assert [swatch.label for swatch in phenotype.legend] == list(PHENOTYPE_COLOURS)
    shown = density.legend[5].colour
    told = tuple(int(shown[i : i + 2], 16) for i in (1, 3, 5))
    drawn = at(density, 0, 0)  # tissue of grey 200, paled to 225
    assert all(abs(a - b) <= 3 for a, b in zip(told, drawn, strict=True))
    assert len({swatch.colour for swatch in (*density.legend, *phenotype.legend)}) == 10


def test_a_slide_without_tissue_still_has_its_maps() -> None:
    assert heat_figures((), 1100) == ()
