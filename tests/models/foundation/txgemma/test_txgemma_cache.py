"""Answers on disk: a report needs neither weights nor a GPU."""

import json
import shutil
from pathlib import Path

import pytest
from tiny_gemma2 import ERLOTINIB, GEFITINIB
from txgemma_cases import engine, fact, panel

from immunopath.domain.errors import (
    EngineUnavailable,
)
from immunopath.models.foundation.txgemma import txgemma_cache as cache
from immunopath.models.foundation.weights import resolve_weights


@pytest.fixture
def copied(gemma2: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(gemma2, tmp_path / "copy"))


def test_a_report_needs_no_weights_once_the_answers_are_kept(
    gemma2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = panel(engine(gemma2, tmp_path / "kept"), "erlotinib")
    files = list((tmp_path / "kept").iterdir())
    assert len(files) == 1
    assert files[0].name.startswith(resolve_weights(str(gemma2)).digest[:16])
    gone = tmp_path / "elsewhere" / gemma2.name
    assert panel(engine(gone, tmp_path / "kept"), "erlotinib") == first
    assert panel(engine(gone, tmp_path / "kept", compute="no"), "erlotinib") == first
    one_more = engine(gone, tmp_path / "kept").profiles(["erlotinib", "gefitinib"])
    assert one_more[0].in_silico == first
    other = one_more[1].in_silico
    assert other is not None
    assert other.status == "unavailable"
    assert "not computed" in other.reason

    def refuse(*args: object) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("immunopath.models.foundation.txgemma.txgemma_panel.load_txgemma", refuse)
    assert panel(engine(gemma2, tmp_path / "kept"), "erlotinib") == first


def test_another_checkpoint_or_another_prompt_is_asked_anew(copied: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    fact(engine(copied, kept), "erlotinib", "BBB_Martins")
    prompts = json.loads((copied / "tdc_prompts.json").read_text())
    prompts["BBB_Martins"] = prompts["hERG"]
    (copied / "tdc_prompts.json").write_text(json.dumps(prompts))
    assert fact(engine(copied, kept), "erlotinib", "BBB_Martins").text == "none"
    assert len(list(kept.iterdir())) == 2
    with pytest.raises(EngineUnavailable, match="give revision="):
        cache.find(kept, copied.name, None)


def test_an_answer_to_another_prompt_is_asked_anew(gemma2: Path, tmp_path: Path) -> None:
    right = fact(engine(gemma2, tmp_path), "erlotinib", "BBB_Martins")
    path = next(tmp_path.iterdir())
    content = json.loads(path.read_text())
    kept = content["answers"][cache.answer_key("BBB_Martins", ERLOTINIB)]
    kept |= {"letter": "A", "prompt_sha256": "0" * 64}
    path.write_text(json.dumps(content))
    assert fact(engine(gemma2, tmp_path), "erlotinib", "BBB_Martins") == right


def identity(**changes: str) -> cache.Identity:
    given = {"source": "s", "revision": "r", "weights_digest": "w" * 64, "prompts_digest": "p",
             "mode": "predict", "precision": "float32"}  # fmt: skip
    return cache.Identity.model_validate(given | changes)


ANSWER = cache.CachedAnswer(prompt_sha256="x", text="(A)", letter="A", probability=0.25)


def test_answers_of_two_writers_are_both_kept(tmp_path: Path) -> None:
    cache.save(tmp_path, identity(), {"a": ANSWER})
    both = cache.save(tmp_path, identity(), {"b": ANSWER})
    assert set(both.answers) == {"a", "b"}
    assert cache.load(tmp_path, identity()) == both
    assert cache.find(tmp_path, "s", None) == both
    assert cache.find(tmp_path, "other", None) is None
    assert cache.find(tmp_path / "none", "s", None) is None
    assert [p.suffix for p in tmp_path.iterdir()] == [".json"]


@pytest.mark.parametrize("change", ["revision", "weights_digest", "prompts_digest", "precision"])
def test_whatever_decides_an_answer_has_its_own_file(tmp_path: Path, change: str) -> None:
    cache.save(tmp_path, identity(), {"a": ANSWER})
    assert cache.load(tmp_path, identity(**{change: "other"})).answers == {}
    assert identity(mode="chat").name != identity().name


def test_a_damaged_or_foreign_cache_is_named(tmp_path: Path) -> None:
    path = tmp_path / identity().name
    path.write_text("{")
    with pytest.raises(EngineUnavailable, match="delete it"):
        cache.load(tmp_path, identity())
    foreign = cache.CacheFile(identity=identity(weights_digest="v" * 64))
    path.write_text(foreign.model_dump_json())
    with pytest.raises(EngineUnavailable, match="another checkpoint"):
        cache.load(tmp_path, identity())


def test_the_key_depends_on_task_and_structure() -> None:
    keys = {cache.answer_key(t, s) for t in ("a", "b") for s in (ERLOTINIB, GEFITINIB)}
    assert len(keys) == 4
