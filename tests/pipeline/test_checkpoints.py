"""Checkpoints: interrupted work goes on, and no case ever meets the state of another."""

import asyncio
import json
from datetime import date
from pathlib import Path
from threading import enumerate as enumerate_threads

import pytest

from immunopath.domain.case import Case
from immunopath.domain.errors import OutputError
from immunopath.pipeline.run import Event, ImmunoPath
from immunopath.pipeline.side_files import SideFiles

AS_OF = date(2026, 11, 24)


class Stopped(Exception):
    """What a person's Ctrl-C stands for here."""


class Stopper:
    """An event sink that stops the run when an agent starts, and notes who started before."""

    def __init__(self, agent: str) -> None:
        self.agent, self.seen = agent, list[str]()

    def __call__(self, event: Event) -> None:
        if event["event"] != "started":
            return
        if event["agent"] == self.agent:
            raise Stopped
        self.seen.append(event["agent"])


@pytest.fixture
def lung(shared_images: Path) -> Case:
    return Case(case_id="a", images=(shared_images / "lung_he_til/u24_train300/24.png",), mpp=0.5)


def test_a_checkpointed_run_gives_the_same_report_again_and_again(
    lung: Case, tmp_path: Path
) -> None:
    with ImmunoPath() as engines:
        plain = engines.analyze(lung, as_of=AS_OF).to_json()
    with ImmunoPath(checkpoints=tmp_path / "run.sqlite") as engines:
        assert engines.analyze(lung, as_of=AS_OF).to_json() == plain
        assert engines.analyze(lung, as_of=AS_OF).to_json() == plain
        assert asyncio.run(engines.aanalyze(lung, as_of=AS_OF)).to_json() == plain


@pytest.mark.parametrize("agent", ["adjudicator", "drugs", "reporter"])
def test_an_interrupted_run_goes_on_in_another_process_and_ends_the_same(
    lung: Case, tmp_path: Path, agent: str
) -> None:
    path = tmp_path / "run.sqlite"
    with ImmunoPath() as engines:
        plain = engines.analyze(lung, as_of=AS_OF)
    with ImmunoPath(checkpoints=path) as engines, pytest.raises(Stopped):
        engines.analyze(lung, as_of=AS_OF, on_event=Stopper(agent))
    again = Stopper("nobody")
    with ImmunoPath(checkpoints=path) as engines:
        resumed = engines.analyze(
            lung, as_of=AS_OF, on_event=again, files=SideFiles(nuclei=tmp_path / "n.geojson")
        )
    assert "intake" not in again.seen
    assert not {"predictor", "phenotype", "retrieval"} & set(again.seen)
    assert resumed.to_json() == plain.to_json()
    assert resumed.to_html() == plain.to_html()
    assert plain.morphometry is not None
    assert len(json.loads((tmp_path / "n.geojson").read_text())["features"]) >= (
        plain.morphometry.n_nuclei
    )


@pytest.mark.parametrize(
    ("image", "engines"),
    [("negatives/skimage_chelsea.png", {}), ("lung_he_til/u24_cae100/image_99.png",
     {"predictor": "none", "phenotype": "none", "embedder": "none"})],
    ids=["refused", "no engine"],
)  # fmt: skip
def test_a_case_that_no_engine_saw_is_resumed_with_its_picture(
    shared_images: Path, tmp_path: Path, image: str, engines: dict[str, str]
) -> None:
    case = Case(case_id="a", images=(shared_images / image,), mpp=0.5)
    with ImmunoPath(**engines) as made:  # type: ignore[arg-type]
        plain = made.analyze(case, as_of=AS_OF)
    path = tmp_path / "run.sqlite"
    with ImmunoPath(checkpoints=path, **engines) as made, pytest.raises(Stopped):  # type: ignore[arg-type]
        made.analyze(case, as_of=AS_OF, on_event=Stopper("reporter"))
    with ImmunoPath(checkpoints=path, **engines) as made:  # type: ignore[arg-type]
        resumed = made.analyze(case, as_of=AS_OF)
    assert resumed.to_html() == plain.to_html()
    assert "data:image/jpeg" in resumed.to_html()


def test_an_interrupted_run_leaves_no_thread_that_writes(lung: Case, tmp_path: Path) -> None:
    """LangGraph writes from threads of its own: closing the file under them ends the process."""
    path = tmp_path / "run.sqlite"
    others = set(enumerate_threads())
    with ImmunoPath(checkpoints=path) as engines, pytest.raises(Stopped) as caught:
        engines.analyze(lung, as_of=AS_OF, on_event=Stopper("adjudicator"))
    assert caught.traceback  # keeps the frames of the run alive, as a caller's handler would
    assert {t.name for t in enumerate_threads() if t.is_alive()} <= {t.name for t in others}


def test_a_second_case_with_the_same_id_starts_from_nothing(
    lung: Case, shared_images: Path, tmp_path: Path
) -> None:
    cat = Case(case_id="a", images=(shared_images / "negatives/skimage_chelsea.png",), mpp=0.5)
    with ImmunoPath(checkpoints=tmp_path / "run.sqlite") as engines:
        engines.analyze(lung, as_of=AS_OF)
        refused = engines.analyze(cat, as_of=AS_OF)
    with ImmunoPath() as engines:
        assert refused.to_json() == engines.analyze(cat, as_of=AS_OF).to_json()
    assert refused.morphometry is None
    assert {row.status for row in refused.engines} == {"skipped"}


def test_a_changed_image_under_the_same_name_starts_from_nothing(
    lung: Case, shared_images: Path, tmp_path: Path
) -> None:
    image, path = tmp_path / "a.png", tmp_path / "run.sqlite"
    case = lung.model_copy(update={"images": (image,)})
    image.write_bytes(lung.images[0].read_bytes())
    with ImmunoPath(checkpoints=path) as engines, pytest.raises(Stopped):
        engines.analyze(case, as_of=AS_OF, on_event=Stopper("adjudicator"))
    image.write_bytes((shared_images / "lung_he_til/u24_train300/27.png").read_bytes())
    seen = Stopper("nobody")
    with ImmunoPath(checkpoints=path) as engines:
        engines.analyze(case, as_of=AS_OF, on_event=seen)
    assert seen.seen[0] == "intake"


def test_a_path_that_cannot_hold_a_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.sqlite").write_text("not a database, but long enough to be one" * 50)
    for path in (tmp_path / "none" / "run.sqlite", tmp_path / "text.sqlite", tmp_path):
        with pytest.raises(OutputError, match="cannot hold checkpoints"):
            ImmunoPath(checkpoints=path)
