"""``evaluate`` measures nothing on patients whom a checkpoint or its calibration has seen."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from evaluation_cases import cohort, of_split, seeing
from typer.testing import CliRunner

from immunopath.cli.main import app
from immunopath.domain.errors import InputError, LeakageError
from immunopath.models.calibration import Calibrator, write_calibrator
from immunopath.models.validation import ValidationFile
from immunopath.training.evaluation.held_out import on_their_word, require_held_out
from immunopath.training.evaluation.request import Request
from immunopath.training.evaluation.resample import Plan
from immunopath.training.evaluation.run import run
from immunopath.training.predictions import write_predictions
from immunopath.training.samples import SAMPLES, Sample, Split, write_samples
from immunopath.training.seen import keys_of, seen_of

SAMPLES_OF = cohort(20, origin="rna")


def checkpoint(folder: Path, train: Sequence[Sample], val: Sequence[Sample] = ()) -> Path:
    folder.mkdir()
    (folder / "mil.json").write_text(f'{{"seen": {seen_of(train, val).model_dump_json()}}}')
    return folder


def asked(folder: Path, **more: object) -> Request:
    return Request(folder, folder / "out", **more)  # type: ignore[arg-type]


def check(request: Request, split: Split = "test") -> None:
    require_held_out(request, SAMPLES_OF, of_split(SAMPLES_OF, split))


@pytest.mark.parametrize(
    "engine", ["mil:{}", "medgemma:base,adapter={}", "mil:{},calibration=none"]
)
def test_a_split_made_anew_is_found_out(tmp_path: Path, engine: str) -> None:
    own = checkpoint(tmp_path / "a", of_split(SAMPLES_OF, "train"), of_split(SAMPLES_OF, "val"))
    check(asked(tmp_path, predictor=engine.format(own)))
    other = checkpoint(tmp_path / "b", of_split(SAMPLES_OF, "test")[:3])
    for request in (
        asked(tmp_path, predictor=engine.format(other)),
        asked(tmp_path, predictor="constant", engines=(("mil", engine.format(other)),)),
        asked(tmp_path, files=(("predictor", tmp_path),), checkpoint=other),
    ):
        with pytest.raises(LeakageError, match="3 of 20 patients of the split test"):
            check(request)


def test_test_patients_of_the_calibration_are_found_out(tmp_path: Path) -> None:
    own = checkpoint(tmp_path / "a", of_split(SAMPLES_OF, "train"))
    fitted = Calibrator(
        version="1", engine="mil", checkpoint="d", predictions="p", samples="s", split="val", n=20,
        patients=keys_of(of_split(SAMPLES_OF, "val")), coverage=0.9, fields=(),
    )  # fmt: skip
    write_calibrator(fitted, own)
    check(asked(tmp_path, predictor=f"mil:{own}"))
    again = fitted.model_copy(update={"patients": keys_of(of_split(SAMPLES_OF, "test")[:2])})
    path = write_calibrator(again, own)
    elsewhere = path.rename(tmp_path / "other.json")
    check(asked(tmp_path, predictor=f"mil:{own}"))
    with pytest.raises(LeakageError, match=r"other\.json: was fitted on 2 of 20 patients"):
        check(asked(tmp_path, predictor=f"mil:{own},calibration={elsewhere}"))
    elsewhere.rename(path)
    with pytest.raises(LeakageError, match="was fitted on 2 of 20"):
        check(asked(tmp_path, predictor=f"mil:{own}"))
    check(asked(tmp_path, predictor=f"mil:{own},calibration=none"))


def test_the_word_external_is_checked_against_the_record(tmp_path: Path) -> None:
    write_samples(tmp_path / SAMPLES, SAMPLES_OF)
    answers = seeing(of_split(SAMPLES_OF, "test"))
    write_predictions(tmp_path / "a.json", answers)
    files = (("predictor", tmp_path / "a.json"),)
    with pytest.raises(InputError, match="name its folder with --checkpoint"):
        run(asked(tmp_path, files=files, external=True))
    own = checkpoint(tmp_path / "own", of_split(SAMPLES_OF, "train"))
    with pytest.raises(InputError, match="made from 20 patients of this cohort"):
        run(asked(tmp_path, files=files, external=True, checkpoint=own))
    far = [Sample(patient_id=f"Q{i}", site="far", labels={}, origin="rna") for i in range(9)]
    other = checkpoint(tmp_path / "other", far)
    made = run(asked(tmp_path, files=files, external=True, checkpoint=other, plan=Plan(draws=100)))
    assert made.validation == other / "validation.json"
    cards = ValidationFile.model_validate_json(made.validation.read_bytes()).cards
    assert cards
    assert all(card.external for card in cards.values())


def test_what_no_record_says_is_taken_on_somebodys_word_and_said_so(tmp_path: Path) -> None:
    known = checkpoint(tmp_path / "a", of_split(SAMPLES_OF, "train"))
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    engines = (("mil", f"mil:{known}"), ("zero_shot", "medgemma:hub/base"))
    assert on_their_word(asked(tmp_path, predictor=f"mil:{known}"), {}) == ()
    assert on_their_word(asked(tmp_path, predictor="constant"), {}) == ()
    assert on_their_word(asked(tmp_path, predictor="embedded"), {}) == ()
    for text in (f"mil:{foreign}", f"medgemma:hub/base,adapter={foreign}", "medgemma:hub/base"):
        said = on_their_word(asked(tmp_path, predictor=text, engines=engines), {})
        assert [line.partition(":")[0] for line in said] == ["predictor", "zero_shot"]
        assert "these test patients is taken on your word" in said[0]
        assert str(tmp_path) not in said[0]


def test_answers_from_a_file_say_nothing_of_their_checkpoint(tmp_path: Path) -> None:
    own = checkpoint(tmp_path / "a", of_split(SAMPLES_OF, "train"))
    made = seeing(of_split(SAMPLES_OF, "test"))
    blank = made.model_copy(update={"control": "blank"})
    files = {"predictor": made, "blank": blank}
    said = on_their_word(asked(tmp_path), files)
    assert len(said) == 1
    assert said[0].startswith("predictor: answers from a file")
    assert on_their_word(asked(tmp_path, checkpoint=own), files) == ()
    constant = made.model_copy(update={"engine": "constant"})
    assert on_their_word(asked(tmp_path), {"predictor": constant}) == ()


def test_a_caution_is_in_the_figures_on_the_pages_and_on_the_terminal(tmp_path: Path) -> None:
    write_samples(tmp_path / SAMPLES, SAMPLES_OF)
    path = tmp_path / "answers.json"
    write_predictions(path, seeing(of_split(SAMPLES_OF, "test")))
    files = (("predictor", path),)
    result = run(Request(tmp_path, tmp_path / "out", files=files, plan=Plan(draws=100)))
    said = result.evaluation.cautions
    assert len(said) == 1
    for name in ("evaluation.json", "evaluation.md", "evaluation.html", "model-card.md"):
        assert said[0] in (tmp_path / "out" / name).read_text()
    again = ["evaluate", str(tmp_path), "--predictions", str(path), "-o", str(tmp_path / "o2")]
    assert f"caution: {said[0]}" in CliRunner().invoke(app, again).output.replace("\n", "")
