"""The loop from the adjudicator back to intake, on a slide that is really read from a file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engines_under_test import Handle, absent
from langgraph.checkpoint.memory import InMemorySaver
from slide_files import checkered_slide
from test_graph import agents, context, run

from immunopath.agents.context import RunContext
from immunopath.agents.pixels import tiles_of
from immunopath.agents.state import INTAKE, REPORT, CaseState
from immunopath.domain.case import Case
from immunopath.domain.prediction import ImageCall, PredictorResult
from immunopath.domain.report import CaseReport
from immunopath.domain.sampling import SamplingBudget
from immunopath.guidelines.adjudication import empty_profile
from immunopath.models.protocols import EngineInfo, Prediction, TileSource
from immunopath.pipeline.graph import build_graph

HOT = frozenset((column, row) for column in (3, 4) for row in range(5))


class Darkness:
    """Reads off how dark each region is, stretched: a number that rests on its pixels alone."""

    info = EngineInfo("predictor", "dark", "1", None, 0.5, None, None, "MIT", False, "a test")

    def __init__(self) -> None:
        self.seen: list[int] = []

    def predict(self, source: TileSource) -> Prediction:
        dark: dict[int, list[float]] = {}
        for tile in source.tiles:
            pixels = source.pixels(tile.tile_id, 0.5)
            dark.setdefault(tile.image_index, []).append(float((pixels[..., 0] < 128).mean()))
        self.seen.append(len(dark))
        images = tuple(
            ImageCall(image_index=i, til=6 * float(np.mean(values)) - 1.8, weight=1)
            for i, values in dark.items()
        )
        profile = empty_profile("only darkness is read")
        return Prediction(PredictorResult(profile=profile, cut_points=None, images=images))


class Checksum(Darkness):
    """Reads off what no thumbnail shows, so that further rounds are asked for."""

    def predict(self, source: TileSource) -> Prediction:
        found = super().predict(source).result
        sums = {t.image_index: int(source.pixels(t.tile_id, 0.5).sum()) for t in source.tiles}
        images = tuple(
            call.model_copy(update={"til": sums[call.image_index] % 97 / 97})
            for call in found.images
        )
        return Prediction(found.model_copy(update={"images": images}))


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkered_slide(tmp_path_factory.mktemp("slide") / "s.ome.tif", HOT)


@pytest.fixture(scope="module")
def spotted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a slide whose one hot place no spread region meets, but the thumbnail shows it."""
    return checkered_slide(tmp_path_factory.mktemp("slide") / "p.ome.tif", frozenset({(3, 2)}))


def dark(budget: SamplingBudget | None = None, engine: Darkness | None = None) -> RunContext:
    """Return a context in which only the stand-in predictor runs."""
    gone = {role: absent(role) for role in ("phenotype", "embedder", "drugs")}
    ctx = context(predictor=Handle(engine or Darkness()), **gone)
    return replace(ctx, sampling=budget or SamplingBudget(rounds=3, regions=9))


def case(path: Path) -> Case:
    return Case(case_id="S", images=(path,))


def report_of(state: CaseState) -> CaseReport:
    found = REPORT.value(state)
    assert found is not None
    return found


def test_the_loop_reads_more_where_it_is_hot_and_ends(slide: Path) -> None:
    ctx = dark()
    state = run(case(slide), ctx)
    report = report_of(state)
    found = report.sampling
    assert found is not None
    rounds = len(found.rounds)
    assert rounds > 1
    assert found.stop in {"settled", "rounds", "budget", "no_gain"}
    assert agents(state).count("intake") == agents(state).count("adjudicator") == rounds
    assert agents(state).count("guideline") == agents(state).count("reporter") == 1
    # the first regions stay, and nothing is read twice
    assert len(found.rounds[0].images) == 12
    assert sum(len(r.images) for r in found.rounds) == len(report.images) <= 12 + 9
    regions = [image.region for image in report.images]
    assert len(set(regions)) == len(regions)
    assert ctx.predictor.get().seen[0] == 12  # type: ignore[attr-defined]
    assert ctx.predictor.get().seen[-1] == len(report.images)  # type: ignore[attr-defined]
    before = [visit.width_before for visit in found.rounds[1:]]
    assert all(width is not None and width > found.estimates[0].width for width in before)
    assert any(f.code == "SAMPLING_ADAPTIVE" for f in report.findings)
    assert any("no average" in f.message for f in report.findings)
    assert "chosen by what earlier ones showed" in " ".join(report.limitations)


def test_two_runs_give_the_same_bytes(slide: Path) -> None:
    first, second = (report_of(run(case(slide), dark())).model_dump_json() for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("budget", "stop"),
    [
        (SamplingBudget(rounds=0, regions=9), "off"),
        (SamplingBudget(rounds=1, regions=2), "rounds"),
        (SamplingBudget(rounds=5, regions=1), "budget"),
    ],
)
def test_the_budget_is_kept(slide: Path, budget: SamplingBudget, stop: str) -> None:
    report = report_of(run(case(slide), dark(budget)))
    assert report.sampling is not None
    assert report.sampling.stop == stop
    added = budget.regions if budget.rounds else 0
    assert len(report.images) == 12 + added
    assert report.sampling.budget == budget


def test_the_longest_loop_fits_the_recursion_limit() -> None:
    """LangGraph allows 25 steps where nobody says otherwise: 3 a round, 3 at the end."""
    most = next(m.le for m in SamplingBudget.model_fields["rounds"].metadata if hasattr(m, "le"))
    assert 3 * (most + 1) + 3 < 25


def stopped_after(saver: InMemorySaver, path: Path, node: str, times: int) -> None:
    """Run a case until `node` has ended `times` times, then go away."""
    graph, count = build_graph(saver), 0
    fresh = {"case": case(path).model_dump(mode="json"), "trace": []}
    for step in graph.stream(fresh, CONFIG, context=dark(), stream_mode="updates"):
        count += node in step
        if count == times:
            return


CONFIG: dict[str, Any] = {"configurable": {"thread_id": "t"}}


@pytest.mark.parametrize(("node", "times"), [("adjudicator", 1), ("intake", 2), ("predictor", 2)])
def test_a_resumed_case_gives_the_same_bytes(slide: Path, node: str, times: int) -> None:
    whole = report_of(run(case(slide), dark())).model_dump_json()
    saver = InMemorySaver()
    stopped_after(saver, slide, node, times)
    state: CaseState = build_graph(saver).invoke(None, CONFIG, context=dark())
    assert report_of(state).model_dump_json() == whole


def test_what_the_thumbnail_shows_is_read_and_weighs_what_it_covers(spotted: Path) -> None:
    report = report_of(run(case(spotted), dark(SamplingBudget(rounds=0))))
    assert report.sampling is not None
    (visit,), (estimate,) = report.sampling.rounds, report.sampling.estimates
    assert (len(visit.images), visit.by_thumbnail) == (13, (12,))
    assert estimate.first_round_value is not None
    hot = 25 * (estimate.value - 24 / 25 * estimate.first_round_value)
    assert hot > 2 * estimate.value  # one place of 25, not one region of 13
    (caution,) = (f for f in report.findings if f.code == "SAMPLING_ADAPTIVE")
    assert "of 13 regions were read for where they lie, 1 because they look dark" in caution.message


def test_a_resumed_store_with_a_dark_region_is_the_store_of_the_run(spotted: Path) -> None:
    budget = SamplingBudget(rounds=1, regions=2)
    ctx, fresh = dark(budget, Checksum()), dark(budget, Checksum())
    state = run(case(spotted), ctx)
    sampling = report_of(state).sampling
    assert sampling is not None
    assert [len(visit.images) for visit in sampling.rounds] == [13, 2]
    again = tiles_of(state, fresh)
    assert list(again.all_tiles) == list(ctx.workspace.store.all_tiles)


def test_a_resumed_store_is_the_store_of_the_run(slide: Path) -> None:
    ctx, fresh = dark(), dark()
    state = run(case(slide), ctx)
    again = tiles_of(state, fresh)
    assert list(again.all_tiles) == list(ctx.workspace.store.all_tiles)
    last = again.tiles[-1].tile_id
    assert np.array_equal(again.pixels(last, 0.5), ctx.workspace.store.pixels(last, 0.5))


def test_a_slide_that_is_gone_keeps_what_it_had(slide: Path, tmp_path: Path) -> None:
    copy = tmp_path / "c.ome.tif"
    copy.hardlink_to(slide)
    ctx = dark()
    ctx.predictor.get().predict = _once_then_gone(ctx.predictor.get(), copy)  # type: ignore[attr-defined]
    state = run(case(copy), ctx)
    report = report_of(state)
    assert report.sampling is not None
    assert report.sampling.stop == "unreadable"
    assert "c.ome.tif" in report.sampling.stop_reason
    assert len(report.images) == 12
    assert INTAKE.value(state) is not None


def _once_then_gone(engine: object, path: Path) -> Any:
    real = engine.predict  # type: ignore[attr-defined]

    def predict(source: TileSource) -> Prediction:
        path.unlink(missing_ok=True)
        answer: Prediction = real(source)
        return answer

    return predict


def test_a_plain_image_never_loops_and_has_no_block(shared_images: Path) -> None:
    patch = shared_images / "lung_he_til/u24_cae100/image_99.png"
    state = run(Case(case_id="a", images=(patch,), mpp=0.5), context())
    assert agents(state).count("intake") == 1
    report = report_of(state)
    assert report.sampling is None
    assert '"sampling"' not in report.model_dump_json()
    assert "sampling" not in report.model_dump()
    assert not any("slide" in limit for limit in report.limitations if "millimetre" in limit)
