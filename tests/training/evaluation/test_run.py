"""The command: what it writes, what it refuses, and the constant that must be found out."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from evaluation_cases import cohort, of_split, same, seeing
from tile_cohort import write_cohort
from typer.testing import CliRunner

from immunopath.cli.main import app
from immunopath.domain.errors import CaseFileError, EngineSpecError, InputError
from immunopath.models.validation import read_validation
from immunopath.training.evaluation.compare_runs import compare_runs, verdict
from immunopath.training.evaluation.evaluate import Evaluation
from immunopath.training.evaluation.request import Request
from immunopath.training.evaluation.resample import Plan
from immunopath.training.evaluation.run import run
from immunopath.training.predictions import PredictionSet, read_predictions, write_predictions
from immunopath.training.samples import SAMPLES, read_samples, write_samples

FEW = ["--draws", "100"]


def invoke(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def put(folder: Path, name: str, found: PredictionSet) -> Path:
    write_predictions(folder / name, found)
    return folder / name


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort without tiles, answers to it and to its controls."""
    folder = tmp_path_factory.mktemp("cohort")
    samples = cohort()
    test = of_split(samples, "test")
    write_samples(folder / SAMPLES, samples)
    put(folder, "main.json", seeing(test))
    put(folder, "blank.json", same(test, "blank", til_fraction=0.4, tme_subtype="D"))
    put(folder, "mil.json", seeing(test, 0.1, 3).model_copy(update={"engine": "mil:/heads/a"}))
    return folder


@pytest.fixture(scope="module")
def written(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "run"
    files = [made / name for name in ("main.json", "blank.json")]
    words = [w for file in files for w in ("--predictions", file)]
    found = invoke("evaluate", made, *words, "--predictions", f"mil={made / 'mil.json'}",
                   "-o", out, *FEW)  # fmt: skip
    assert found.exit_code == 0, found.output
    return out


def test_the_constant_shows_skill_0_and_raises_the_alarm(made: Path, tmp_path: Path) -> None:
    found = invoke("evaluate", made, "--predictor", "constant", "-o", tmp_path, *FEW)
    assert found.exit_code == 0
    assert "COLLAPSE ALARM" in found.output
    table = json.loads((tmp_path / "evaluation.json").read_text())
    metrics = table["main"]["fields"]["til_fraction"]["metrics"]
    assert metrics["mae_skill"]["value"] == pytest.approx(0.0, abs=1e-12)
    assert metrics["spearman"] == {"value": 0.0, "low": 0.0, "high": 0.0, "constant": True}
    assert table["alarm"]["raised"] is True
    assert len(table["alarm"]["messages"]) == 6
    assert not (tmp_path / "validation.json").exists()
    assert "constant is a baseline" in found.output


def test_everything_is_written_and_says_that_it_is_synthetic(written: Path) -> None:
    names = {p.relative_to(written).as_posix() for p in written.rglob("*") if p.is_file()}
    assert names == {
        "evaluation.json", "evaluation.md", "evaluation.html", "model-card.md", "samples.jsonl",
        "validation.json", "predictions/predictor.json", "predictions/blank.json",
        "predictions/mil.json",
    }  # fmt: skip
    found = Evaluation.model_validate_json((written / "evaluation.json").read_bytes())
    assert set(found.others) == {
        "constant", "majority", "clinical", "mil", "blank", "swapped",
    }  # fmt: skip
    assert set(found.not_run) == {"zero_shot", "shuffled"}
    for name in ("evaluation.md", "evaluation.html", "model-card.md"):
        text = (written / name).read_text()
        assert "SYNTHETIC COHORT" in text
        assert "not run" in text
        assert not re.search(r"\bnan\b", text, re.IGNORECASE)
    assert read_predictions(written / "predictions/mil.json").engine == "mil:/heads/a"


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_asks_for_nothing_and_runs_nothing(written: Path) -> None:
    text = (written / "evaluation.html").read_text()
    page = Page()
    page.feed(text)
    assert not [tag for tag, _ in page.tags if tag in {"script", "link", "img", "iframe", "object"}]
    assert not [a for _, a in page.tags if {"src", "style", "onclick"} & set(a)]
    assert all((a.get("href") or "#").startswith("#") for _, a in page.tags)
    assert "http:" not in text
    assert "https:" not in text
    assert sum(tag == "svg" for tag, _ in page.tags) > 15


def test_what_is_not_ours_is_escaped(made: Path, tmp_path: Path) -> None:
    evil = seeing(of_split(cohort(), "test")).model_copy(
        update={"engine": "<script>alert(1)</script>|`x`"}
    )
    put(tmp_path, "evil.json", evil)
    invoke("evaluate", made, "--predictions", tmp_path / "evil.json", "-o", tmp_path / "o", *FEW)
    assert "<script" not in (tmp_path / "o/evaluation.html").read_text()
    for name in ("evaluation.md", "model-card.md"):
        assert "<script" not in (tmp_path / "o" / name).read_text()


def test_the_card_of_a_synthetic_cohort_is_never_external(written: Path, made: Path) -> None:
    cards = read_validation(written / "validation.json")
    assert cards is not None
    assert cards.origin == "synthetic"
    assert "til_fraction" in cards.cards
    assert "msi_status" not in cards.cards
    assert not any(card.external for card in cards.cards.values())
    assert "not tissue" in cards.cards["til_fraction"].cohort
    with pytest.raises(InputError, match="no external validation"):
        run(Request(made, written / "x", files=(("predictor", made / "main.json"),), external=True))


def test_the_same_request_writes_the_same_bytes(made: Path, written: Path, tmp_path: Path) -> None:
    files = [made / "main.json", made / "blank.json", f"mil={made / 'mil.json'}"]
    words = [word for file in files for word in ("--predictions", file)]
    invoke("evaluate", made, *words, "-o", tmp_path, *FEW)
    for name in ("evaluation.json", "evaluation.md", "evaluation.html", "model-card.md"):
        assert (tmp_path / name).read_bytes() == (written / name).read_bytes()


def test_the_embedded_engine_runs_with_its_controls(tmp_path: Path) -> None:
    write_cohort(tmp_path, n=2)
    found = invoke("evaluate", tmp_path, "--predictor", "embedded", "-o", tmp_path / "o", *FEW)
    assert found.exit_code == 0
    for name in ("predictor", "blank", "shuffled"):
        answers = read_predictions(tmp_path / f"o/predictions/{name}.json")
        assert answers.engine == "embedded"
        assert answers.control == ("none" if name == "predictor" else name)


def test_a_baseline_that_cannot_run_is_not_run_and_costs_nothing_else(
    made: Path, tmp_path: Path
) -> None:
    write_cohort(tmp_path, n=2)
    found = run(
        Request(
            tmp_path,
            tmp_path / "o",
            predictor="embedded",
            engines=(("zero_shot", f"medgemma:{tmp_path / 'nowhere'}"),),
            plan=Plan(draws=100),
        )
    )
    assert "no such folder" in found.evaluation.not_run["zero_shot"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "either as an engine"),
        ({"predictor": "embedded", "files": "predictor"}, "either as an engine"),
        ({"predictor": "no-such"}, "does not exist"),
        ({"files": "predictor", "split": "val"}, "none of the 60 patients"),
        ({"files": "blank", "predictor": "constant"}, "answers to images with control 'none'"),
        ({"predictor": "constant", "files": "mil", "engines": (("mil", "embedded"),)}, "twice"),
        ({"predictor": "constant", "engines": (("predictor", "embedded"),)}, "twice"),
    ],
)
def test_requests_that_make_no_sense_are_refused(
    made: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    if "files" in changes:
        changes = changes | {"files": ((changes["files"], made / "main.json"),)}
    with pytest.raises((InputError, EngineSpecError, CaseFileError), match=said):
        run(Request(made, tmp_path, **changes))
    assert not (tmp_path / "evaluation.json").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--predictor", "constant", "--split", "dev"], "choose train, val, test"),
        (["--predictor", "embedded", "--controls", "noise"], "choose of blank, shuffled"),
        (["--predictor", "constant", "--baseline", "mil="], "nothing follows"),
        (["--predictions", "gone.json"], "no such file"),
    ],
)
def test_wrong_words_are_named(made: Path, tmp_path: Path, words: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        invoke("evaluate", made, *words, "-o", tmp_path)


def test_pages_name_no_folder_of_this_machine(made: Path, tmp_path: Path) -> None:
    local = seeing(of_split(cohort(), "test")).model_copy(
        update={"engine": "medgemma:google/medgemma-1.5-4b-it,adapter=/home/me/secret/v4,batch=2"}
    )
    put(tmp_path, "local.json", local)
    invoke("evaluate", made, "--predictions", tmp_path / "local.json", "-o", tmp_path / "o", *FEW)
    for name in ("evaluation.md", "evaluation.html", "model-card.md"):
        text = (tmp_path / "o" / name).read_text()
        assert "secret" not in text
        assert "medgemma:google/medgemma-1.5-4b-it,adapter=v4,batch=2" in text


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1.5"])
def test_an_answer_that_is_no_share_is_refused_before_anything(
    made: Path, tmp_path: Path, number: str
) -> None:
    patient = f'{{"patient_id": "P0120", "fields": {{"til_fraction": {{"value": {number}}}}}}}'
    text = f'{{"engine": "e", "digest": "d", "answers": [{patient}]}}'
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(CaseFileError, match=r"til_fraction|finite|valid number"):
        invoke("evaluate", made, "--predictions", tmp_path / "bad.json", "-o", tmp_path / "o")
    assert not (tmp_path / "o/evaluation.json").exists()


def test_validation_answers_are_no_validation_card(made: Path, tmp_path: Path) -> None:
    put(tmp_path, "val.json", seeing(of_split(cohort(), "val")))
    found = invoke("evaluate", made, "--split", "val", "--predictions", tmp_path / "val.json",
                   "-o", tmp_path / "o", *FEW)  # fmt: skip
    assert "no validation written: the split val" in found.output
    assert not (tmp_path / "o/validation.json").exists()


def test_two_runs_are_compared_patient_by_patient(
    made: Path, written: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    invoke("evaluate", made, "--predictions", made / "mil.json", "-o", other, *FEW)
    found = invoke("compare", written, other, "-o", tmp_path / "c.json", *FEW)
    assert found.exit_code == 0
    assert "60 patients of both, 0 of one alone" in found.output
    differences = compare_runs(written, other, Plan(draws=200)).differences
    mae = next(d for d in differences if (d.field, d.metric) == ("til_fraction", "mae"))
    assert mae.value < 0
    assert verdict(mae) == "first"
    mirrored = compare_runs(other, written, Plan(draws=200)).differences
    back = next(d for d in mirrored if (d.field, d.metric) == ("til_fraction", "mae"))
    assert back.value == pytest.approx(-mae.value)
    assert verdict(back) == "second"
    assert {verdict(d) for d in compare_runs(written, written).differences} == {"not shown", ""}


def test_one_rendered_patient_makes_the_comparison_synthetic(written: Path, tmp_path: Path) -> None:
    samples = read_samples(written / SAMPLES)
    mixed = [samples[0], *(s.model_copy(update={"origin": "rna"}) for s in samples[1:])]
    write_samples(tmp_path / SAMPLES, mixed)
    answers = read_predictions(written / "predictions/predictor.json")
    put(tmp_path / "predictions", "predictor.json", answers)
    assert compare_runs(tmp_path, tmp_path, Plan(draws=100)).origin == "synthetic"


def test_runs_on_other_truth_are_not_compared(written: Path, tmp_path: Path) -> None:
    for name, change in (("labels", {"til_fraction": 0.5}), ("patients", None)):
        folder = tmp_path / name
        samples = list(read_samples(written / SAMPLES))
        if change is None:
            samples = [s.model_copy(update={"patient_id": "X" + s.patient_id}) for s in samples]
        else:
            samples = [s.model_copy(update={"labels": s.labels | change}) for s in samples]
        write_samples(folder / SAMPLES, samples)
        put(
            folder / "predictions",
            "predictor.json",
            read_predictions(written / "predictions/predictor.json"),
        )
    with pytest.raises(CaseFileError, match="'P0120' has til_fraction"):
        compare_runs(written, tmp_path / "labels")
    with pytest.raises(CaseFileError, match="no patient in common"):
        compare_runs(written, tmp_path / "patients")


def test_the_samples_of_a_cohort_are_never_written_over(made: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_samples(other / SAMPLES, cohort())
    link = tmp_path / "link"
    link.symlink_to(made)
    for out in (made, other, link):
        before = (out / SAMPLES).read_bytes()
        with pytest.raises(InputError, match="is a cohort's folder"):
            run(Request(cohort=made, out=out, predictor="constant", plan=Plan(100, 0)))
        assert (out / SAMPLES).read_bytes() == before
