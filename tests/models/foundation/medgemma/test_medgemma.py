"""The predictor `medgemma`, from an engine string to the report, on tiny checkpoints."""

import json
import shutil
import threading
import weakref
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import pytest
import torch
from plain_tiles import PlainTiles
from safetensors.torch import load_file, save_file
from tiny_lora import field
from tiny_medgemma import RECORD, TEXT, Folders

from immunopath.domain.case import Case
from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.errors import EngineSpecError, ImageSizeError, LogitsNotFinite, RecordMissing
from immunopath.domain.outcome import Ok
from immunopath.domain.prediction import FIELD_VALUES, PredictorResult
from immunopath.domain.report import CaseStatus
from immunopath.models.foundation.decoding.decoded import DecodedAnswer
from immunopath.models.foundation.decoding.decoder import EncodedPrompt
from immunopath.models.foundation.medgemma.medgemma import MedGemmaPredictor
from immunopath.models.foundation.medgemma.medgemma_build import build, hub_sources, parse
from immunopath.models.foundation.medgemma.record import write_record
from immunopath.models.protocols import RGB
from immunopath.models.spec import EngineSpec
from immunopath.pipeline.run import ImmunoPath
from immunopath.reporting.rendered import RenderedReport

AS_OF = date(2026, 11, 24)
CORE = "he_other/instanseg_tma_HE_0.5mpp.tif"
DARK, BRIGHT = [field(60, 7), field(85, 8)], [field(180, 9), field(210, 10)]


@pytest.fixture
def core(shared_images: Path) -> Path:
    return shared_images / CORE


@pytest.fixture(scope="module")
def engine(medgemma: Folders) -> Iterator[MedGemmaPredictor]:
    made = build(EngineSpec.parse(medgemma.engine()))
    yield made
    made.close()


def analyse(predictor: str, image: Path, **clinical: object) -> RenderedReport:
    case = Case(
        case_id="a", images=(image,), mpp=0.5, clinical=ClinicalContext.model_validate(clinical)
    )
    with ImmunoPath(predictor=predictor) as path:
        return path.analyze(case, as_of=AS_OF)


def codes(report: RenderedReport) -> dict[str, str]:
    return {finding.code: str(finding.severity) for finding in report.findings}


def predict(engine: MedGemmaPredictor, images: Sequence[RGB]) -> PredictorResult:
    return engine.predict(PlainTiles(images)).result


# --- the whole graph


def test_the_whole_graph_with_a_base_model_from_a_folder(medgemma: Folders, core: Path) -> None:
    report = analyse(f"medgemma:{medgemma.base},patches=4", core)
    assert report.status is CaseStatus.ok
    found = codes(report)
    assert found["ZERO_SHOT_MODEL"] == "serious"
    assert found["NOT_PROBED"] == "caution"
    for _, value in report.profile.items():
        assert value.abstained  # random weights: nothing is on the schema
        assert "does not follow this format" in value.reason
        assert value.off_schema_mass is not None
        assert value.off_schema_mass > 0.5
        assert value.probabilities is None
    assert len(report.answers) == 4
    for answer in report.answers:
        assert list(json.loads(answer.text)) == list(FIELD_VALUES)
    assert report.phenotype.status == "ok"
    assert report.retrieval.status == "ok"


@pytest.mark.parametrize("quant", ["none", "nf4"])
def test_the_whole_graph_with_an_adapter(medgemma: Folders, core: Path, quant: str) -> None:
    report = analyse(medgemma.engine(patches=6, quant=quant, batch=4), core)
    assert report.status is CaseStatus.ok
    assert not codes(report).keys() & {"ZERO_SHOT_MODEL", "RECORD_BY_USER"}
    assert codes(report)["ADAPTER_BASE_UNCONFIRMED"] == "note"
    profile = report.profile
    fraction = profile.til_fraction
    assert fraction.value is not None
    assert fraction.interval is not None
    assert fraction.interval[0] <= fraction.value <= fraction.interval[1]
    assert fraction.coverage == 0.9
    assert fraction.quantity == "rna_score_minmax"
    assert profile.til_density.quantity == "rna_score_minmax_class"
    assert fraction.n_tiles == 6
    assert fraction.effective_tiles is not None
    assert 1 < fraction.effective_tiles <= 6
    assert fraction.probabilities is not None
    assert len(fraction.probabilities) == 101
    source = fraction.source
    assert (source.engine, source.kind, source.mpp) == ("medgemma", "model", 0.5)
    assert source.prompt_digest == RECORD.the_prompt.digest
    assert source.preprocess is not None
    assert f"precision={'nf4/' if quant == 'nf4' else ''}float32" in source.preprocess
    row = next(e for e in report.engines if e.agent == "predictor")
    assert row.weights_digest == source.weights_digest
    assert row.revision == source.revision
    assert not any(trust.informative for trust in report.trust)
    assert any("language model" in text for text in report.limitations)


def test_the_same_case_gives_the_same_bytes(medgemma: Folders, core: Path) -> None:
    first, second = (analyse(medgemma.engine(patches=3), core).to_json() for _ in range(2))
    assert first == second


def test_a_checkpoint_that_cannot_be_used_leaves_the_other_engines(
    medgemma: Folders, core: Path, tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(medgemma.base, tmp_path / "broken"))
    (broken / "model.safetensors").write_bytes(b"x" * 100)
    report = analyse(f"medgemma:{broken}", core)
    assert report.status is CaseStatus.partial
    row = next(e for e in report.engines if e.agent == "predictor")
    assert row.status == "unavailable"
    assert "copy it again" in row.reason
    assert report.phenotype.status == "ok"
    assert report.retrieval.status == "ok"
    assert isinstance(report.guidance, Ok)


def test_nan_behind_the_image_is_found_when_an_image_is_shown(
    medgemma: Folders, core: Path, tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(medgemma.base, tmp_path / "nan"))
    tensors = load_file(broken / "model.safetensors")
    name = next(k for k in sorted(tensors) if "vision_tower" in k and k.endswith("fc1.weight"))
    tensors[name][0, 0] = float("nan")
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    made = build(EngineSpec.parse(f"medgemma:{broken},px=64"))
    with pytest.raises(LogitsNotFinite):
        predict(made, DARK)
    made.close()
    report = analyse(f"medgemma:{broken},px=64,patches=2", core)
    row = next(e for e in report.engines if e.agent == "predictor")
    assert (row.status, report.status) == ("unavailable", CaseStatus.partial)


# --- answers


def test_the_answer_depends_on_the_image(engine: MedGemmaPredictor) -> None:
    dark, bright = predict(engine, DARK).profile, predict(engine, BRIGHT).profile
    assert (dark.cd274_expression.value, bright.cd274_expression.value) == ("low", "high")
    assert (dark.immune_phenotype.value, bright.immune_phenotype.value) == ("desert", "inflamed")
    assert dark.til_fraction.value == pytest.approx(0.29, abs=0.03)
    assert bright.til_fraction.value == pytest.approx(0.72, abs=0.03)
    for _, value in dark.items():
        assert value.off_schema_mass is not None
        assert value.tile_disagreement == 0
        assert value.conditioning == "greedy"
        assert not value.calibrated


def test_patches_that_disagree_are_an_abstention_and_a_number_stays(
    engine: MedGemmaPredictor,
) -> None:
    profile = predict(engine, [*DARK, *BRIGHT]).profile
    phenotype = profile.immune_phenotype
    assert phenotype.abstained
    assert "patches disagree" in phenotype.reason
    assert phenotype.tile_disagreement == pytest.approx(0.5)
    assert phenotype.probabilities is not None
    assert list(phenotype.probabilities) == ["inflamed", "excluded", "desert"]
    assert phenotype.spread is not None
    assert phenotype.spread > 0.2
    assert profile.til_fraction.value is not None
    assert profile.til_fraction.tile_disagreement is not None
    assert profile.til_fraction.tile_disagreement >= 0.5  # by density class


def test_one_prompt_alone_has_no_disagreement(engine: MedGemmaPredictor) -> None:
    value = predict(engine, DARK[:1]).profile.cd274_expression
    assert (value.tile_disagreement, value.spread, value.effective_tiles) == (None, 0, 1)


def test_a_case_without_tiles_is_eight_abstentions(engine: MedGemmaPredictor) -> None:
    result = predict(engine, [])
    assert all(v.abstained and "no tile" in v.reason for _, v in result.profile.items())
    assert result.answers == ()


def test_an_image_too_small_is_a_named_error(engine: MedGemmaPredictor) -> None:
    with pytest.raises(ImageSizeError, match="patches of 64 px"):
        predict(engine, [field(60, 0, 40)])


def test_batches_do_not_change_answers(medgemma: Folders) -> None:
    tables = []
    for batch in (1, 8):
        made = build(EngineSpec.parse(medgemma.engine(batch=batch)))
        answers = made.read([[image] for image in (*DARK, *BRIGHT)], TEXT)
        tables.append([p for a in answers for r in a.readings for p in r.probabilities.values()])
        made.close()
    assert tables[0] == pytest.approx(tables[1], abs=1e-4)


def reported(result: PredictorResult) -> list[float]:
    """Return every number of a result that comes out of the model."""
    numbers = [answer.log_probability for answer in result.answers]
    for _, value in result.profile.items():
        numbers += [value.spread, value.off_schema_mass, *(value.interval or ())]  # type: ignore[list-item]
        numbers += [] if value.unknown_mass is None else [value.unknown_mass]
        numbers += (value.probabilities or {}).values()
    return numbers


def test_a_case_alone_is_the_same_among_others(medgemma: Folders) -> None:
    made = build(EngineSpec.parse(medgemma.engine(batch=8, wait_ms=2000)))
    alone = predict(made, DARK)
    got: list[PredictorResult] = []
    others = [threading.Thread(target=predict, args=(made, BRIGHT)) for _ in range(3)]
    own = threading.Thread(target=lambda: got.append(predict(made, DARK)))
    for thread in (*others, own):
        thread.start()
    for thread in (*others, own):
        thread.join(120)
    made.close()
    assert [a.text for a in got[0].answers] == [a.text for a in alone.answers]
    for one, other in zip(reported(alone), reported(got[0]), strict=True):
        assert one == round(one, 6)
        # A number on the edge of a step may round to either side: a few steps, never more.
        assert one == pytest.approx(other, abs=5e-6)
    for (_, a), (_, b) in zip(alone.profile.items(), got[0].profile.items(), strict=True):
        assert (a.value, a.interval, a.abstained) == (b.value, b.interval, b.abstained)


def test_candidate_rows_only_know_no_mass_outside_the_schema(medgemma: Folders) -> None:
    made = build(EngineSpec.parse(medgemma.engine(head="candidates")))
    result = predict(made, DARK)
    made.close()
    assert all(v.off_schema_mass is None for _, v in result.profile.items())
    assert all(answer.conditional for answer in result.answers)
    assert "head=candidates" in str(result.profile.msi_status.source.preprocess)


def test_marginal_conditioning_is_named(medgemma: Folders) -> None:
    made = build(EngineSpec.parse(medgemma.engine(marginal=2)))
    result = predict(made, DARK[:1])
    made.close()
    assert result.profile.immune_score.conditioning == "marginal:2"


def test_merging_gives_the_same_answers(medgemma: Folders) -> None:
    results = []
    for merge in ("false", "true"):
        made = build(EngineSpec.parse(medgemma.engine(merge=merge)))
        results.append(made.read([[DARK[0]]], TEXT)[0])
        made.close()
    beside, merged = results
    assert beside.text == merged.text
    assert beside.log_probability == pytest.approx(merged.log_probability, abs=1e-3)


def test_cases_share_a_forward_pass(medgemma: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    made = build(EngineSpec.parse(medgemma.engine(batch=4, wait_ms=20000)))
    sizes: list[int] = []
    decode = made._batcher._run

    def counted(prompts: Sequence[object]) -> Sequence[DecodedAnswer]:
        sizes.append(len(prompts))
        return decode(prompts)  # type: ignore[arg-type]

    monkeypatch.setattr(made._batcher, "_run", counted)
    got: dict[int, PredictorResult] = {}

    def work(i: int, image: RGB) -> None:
        got[i] = predict(made, [image])

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate((*DARK, *BRIGHT))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    made.close()
    assert sizes == [4]
    assert [got[i].profile.cd274_expression.value for i in range(4)] == ["low"] * 2 + ["high"] * 2


def test_a_large_case_is_encoded_in_chunks(
    medgemma: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = build(EngineSpec.parse(medgemma.engine(batch=8)))
    refs: list[weakref.ref[EncodedPrompt]] = []
    alive: list[int] = []
    encode = made._encode

    def counted(pictures: Sequence[RGB], text: str) -> EncodedPrompt:
        prompt = encode(pictures, text)
        refs.append(weakref.ref(prompt))
        alive.append(sum(ref() is not None for ref in refs))
        return prompt

    monkeypatch.setattr(made, "_encode", counted)
    images = [[image] for image in (DARK[0], *[BRIGHT[0]] * 38, DARK[0])]
    answers = made.read(images, TEXT)
    made.close()
    assert len(answers) == 40
    assert max(alive) <= 2 * 16  # of 40; the worker may still hold the chunk before
    assert answers[0].text == answers[-1].text != answers[1].text


# --- records and requests


def test_an_adapter_without_a_record_is_refused_unless_prompt_and_format_are_said(
    medgemma: Folders, tmp_path: Path
) -> None:
    bare = Path(shutil.copytree(medgemma.seeing, tmp_path / "bare"))
    (bare / "immunopath.json").unlink()
    text = f"medgemma:{medgemma.base},adapter={bare}"
    with pytest.raises(RecordMissing, match=r"no immunopath\.json"):
        build(EngineSpec.parse(text))
    made = build(EngineSpec.parse(f"{text},prompt=card-v1,format=compact,px=64"))
    result = predict(made, DARK)
    made.close()
    assert "RECORD_BY_USER" in {c.code for c in result.cautions}
    assert result.cut_points is None
    assert {v.quantity for _, v in result.profile.items()} == {"undeclared"}
    assert result.answers[0].text.startswith('{"cd274_expression":"')


def test_a_copy_of_a_published_adapter_reports_its_collapse(
    medgemma: Folders, core: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(medgemma.constant, tmp_path / "v31"))
    (copy / "immunopath.json").unlink()
    engine = f"medgemma:{medgemma.base},adapter={copy},record=v3.1,px=64,patches=4"
    report = analyse(engine, core)
    assert codes(report)["CHECKPOINT_COLLAPSED"] == "serious"
    assert codes(report)["PROMPT_WITHOUT_HISTOLOGY"] == "caution"
    assert len(report.answers) == 2  # two images per prompt
    known = analyse(engine, core, histology="squamous")
    assert "PROMPT_WITHOUT_HISTOLOGY" not in codes(known)


def test_the_stated_histology_stands_in_the_prompt(
    medgemma: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = build(
        EngineSpec.parse(f"{medgemma.engine()},record=v2,px=64,mpp=0.5")
    )  # four images, single line
    texts: list[str] = []
    read = made.read

    def kept(images: Sequence[Sequence[RGB]], text: str) -> list[DecodedAnswer]:
        texts.append(text)
        return read(images, text)

    monkeypatch.setattr(made, "read", kept)
    result = made.predict_for(PlainTiles(DARK), "adenocarcinoma").result
    made.close()
    assert "from a lung adenocarcinoma biopsy" in texts[0]
    assert "FEWER_IMAGES_THAN_TRAINED" in {c.code for c in result.cautions}
    assert list(json.loads(result.answers[0].text))[3] == "immune_phenotype"


def test_a_field_that_the_checkpoint_is_not_asked_for_is_an_abstention(
    medgemma: Folders, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(medgemma.seeing, tmp_path / "two"))
    write_record(RECORD.model_copy(update={"keys": ("cd274_expression", "til_fraction")}), copy)
    made = build(EngineSpec.parse(f"medgemma:{medgemma.base},adapter={copy}"))
    profile = predict(made, DARK).profile
    made.close()
    assert profile.msi_status.reason == "the checkpoint is not asked for this field"
    assert profile.msi_status.n_tiles == 2
    assert not profile.cd274_expression.abstained


@pytest.mark.parametrize(
    "text",
    [
        "medgemma:/x,batch=0", "medgemma:/x,batch=many", "medgemma:/x,patches=-1",
        "medgemma:/x,head=half", "medgemma:/x,colour=red", "medgemma:/x,marginal=1.5",
    ],
)  # fmt: skip
def test_a_wrong_option_is_named(text: str) -> None:
    with pytest.raises(EngineSpecError, match=text.partition(",")[2].partition("=")[0]):
        parse(EngineSpec.parse(text), "cpu")


def test_without_a_source_the_published_pair_is_meant() -> None:
    pair = [source.name for source in hub_sources(EngineSpec.parse("medgemma"))]
    assert pair == ["google/medgemma-1.5-4b-it", "hetanshwaghela/immunopath-medgemma-v3.1"]
    alone = [source.name for source in hub_sources(EngineSpec.parse("medgemma,adapter=none"))]
    assert alone == ["google/medgemma-1.5-4b-it"]
    assert parse(EngineSpec.parse("medgemma:/x"), "cpu").adapter is None


def test_torch_is_not_imported_by_the_modules_themselves() -> None:
    import subprocess
    import sys

    code = (
        "import sys, immunopath.models.foundation.medgemma.medgemma_build, immunopath.cli.models, "
        "immunopath.models.foundation.doctor\n"
        "print([m for m in ('torch', 'transformers', 'peft') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_model_is_let_go_when_the_engine_closes(medgemma: Folders, core: Path) -> None:
    before = {t.ident for t in threading.enumerate()}
    analyse(medgemma.engine(patches=1), core)
    left = [t for t in threading.enumerate() if t.ident not in before and t.name == "batcher"]
    assert not any(t.is_alive() for t in left)
    assert torch.get_num_threads() == 1
