"""How the resolution of tiles is known."""

from immunopath.domain.quality import QualityReport, TileSummary, Verdict, mpp_sources


def tile(source: str | None) -> TileSummary:
    quality = QualityReport(verdict=Verdict.accept, checks=(), tissue_share=1)
    return TileSummary(
        tile_id="t", image_index=0, box=(0, 0, 9, 9), mpp=0.5, mpp_source=source, quality=quality
    )


def test_every_way_is_named_once_and_silence_stays_silence() -> None:
    assert mpp_sources([tile("user"), tile("tag"), tile("user"), tile(None)]) == "tag, user"
    assert mpp_sources([tile(None)]) is None
    assert mpp_sources([]) is None
