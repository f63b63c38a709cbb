"""Reports for tests, built from the real domain types: full, test-first, partial, refused, hostile.

Only tests use these. Values are plausible, typed and validated; nothing renders itself here.
"""

import hashlib
import io
from datetime import date
from pathlib import Path

import numpy as np
import samples_guidance as guidance
import samples_heat
import samples_sampling
from PIL import Image

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.drug import DrugProfile
from immunopath.domain.finding import Agreement, Finding, Opinion, Severity, TrustRow
from immunopath.domain.guidance import Guidance
from immunopath.domain.measured import Measured, SpecimenRef, State
from immunopath.domain.molecular import Gene, GeneResult, Pdl1Result
from immunopath.domain.outcome import Abstained, Failed, Ok, Unavailable
from immunopath.domain.prediction import (
    FIELD_VALUES,
    BiomarkerProfile,
    FieldPrediction,
    FieldVote,
    Morphometry,
    Neighbour,
    PhenotypeScores,
    RetrievalResult,
)
from immunopath.domain.provenance import Provenance
from immunopath.domain.quality import (
    ImageSummary,
    QualityCheck,
    QualityReport,
    TileSummary,
    Verdict,
)
from immunopath.domain.report import CaseStatus, EngineStatus, ReportProvenance
from immunopath.reporting.figures import FigureImage, Figures
from immunopath.reporting.rendered import RenderedReport

HOSTILE = (
    "<script>alert(1)</script>",
    "[bold red]x[/bold red][link=https://evil.example]y[/link]",
    "\x1b[2J\x1b]8;;https://evil.example\x07click\x1b]8;;\x07",
    "line one\nline two\r\tthree",
    "\u202egnp.exe\u2066\u200b\ufeff",
    "| a | b |\n|---|---|\n# heading",
    "![pixel](https://evil.example/p.png) [a](javascript:alert(1)) `code` **b** &amp; $x$ @you",
    "'\"><img src=x onerror=alert(1)>{{ 7*7 }}{% raw %}",
    "1. list\n- item\n> quote",
)
SOURCE = Provenance(
    engine="embedded-predictor",
    revision="1",
    weights_digest="ab" * 32,
    tile_ids=("0a1b2c3d:0,0,512,512", "0a1b2c3d:512,0,512,512"),
    mpp=0.5,
    mpp_source="tag",
)
ACCEPTED = QualityReport(
    verdict=Verdict.accept,
    checks=(
        QualityCheck(
            code="tissue_share",
            verdict=Verdict.accept,
            measured=0.84,
            limit=0.1,
            message="enough tissue",
        ),
    ),
    tissue_share=0.84,
)
BLURRED = QualityReport(
    verdict=Verdict.flag,
    checks=(
        QualityCheck(
            code="blur", verdict=Verdict.flag, measured=0.31, limit=0.4, message="soft focus"
        ),
    ),
    tissue_share=0.5,
    reason="soft focus",
)
STAINED = QualityReport(
    verdict=Verdict.refuse,
    checks=(
        QualityCheck(
            code="tissue_share",
            verdict=Verdict.accept,
            measured=0.9,
            limit=0.1,
            message="enough tissue",
        ),
        QualityCheck(
            code="brown_stain",
            verdict=Verdict.refuse,
            measured=0.412,
            limit=0.05,
            message="brown chromogen covers the tissue: this looks like IHC, not H&E",
        ),
    ),
    tissue_share=0.9,
    reason="brown chromogen covers the tissue: this looks like IHC, not H&E",
)


def image(quality: QualityReport = ACCEPTED, *, mpp_source: str = "tag") -> ImageSummary:
    """Return one decoded image."""
    return ImageSummary(
        name="instanseg_tma_HE_0.5mpp.tif",
        sha256="cd" * 32,
        pixels_sha256="ef" * 32,
        width=1024,
        height=1024,
        format="TIFF",
        mpp=0.5,
        mpp_source=mpp_source,
        notes=("alpha composited on white",),
        quality=quality,
    )


def tiles(n: int = 4) -> tuple[TileSummary, ...]:
    """Return tiles of which the last is flagged."""
    return tuple(
        TileSummary(
            tile_id=f"cdcdcdcd:{512 * i},0,512,512",
            image_index=0,
            box=(512 * i, 0, 512, 512),
            mpp=0.5,
            quality=BLURRED if i == n - 1 else ACCEPTED,
        )
        for i in range(n)
    )


def _abstained(quantity: str, reason: str, prior: dict[str, float]) -> FieldPrediction[str]:
    return FieldPrediction[str](
        quantity=quantity,
        n_tiles=4,
        qc_pass=True,
        value=None,
        prior=prior,
        abstained=True,
        reason=reason,
        source=SOURCE,
    )


def _class(key: str, value: str, *shares: float) -> FieldPrediction[str]:
    names = FIELD_VALUES[key] or ()
    return FieldPrediction[str](
        quantity="lymphocyte_share_of_nuclei",
        n_tiles=4,
        tile_disagreement=0.25,
        qc_pass=True,
        value=value,
        probabilities=dict(zip(names, shares, strict=True)),
        abstained=False,
        source=SOURCE,
    )


def _share(value: float, *, hint: bool = False) -> FieldPrediction[float]:
    return FieldPrediction[float](
        quantity="lymphocyte_share_of_nuclei",
        n_tiles=4,
        qc_pass=True,
        value=value,
        raw_value=value - 0.02,
        interval=(value - 0.09, value + 0.1),
        coverage=0.9,
        hint=hint,
        abstained=False,
        source=SOURCE,
    )


def profile() -> BiomarkerProfile:
    """Return what the embedded predictor can say: three fields, one hint, four abstentions."""
    no_image = "morphology of one H&E image cannot show it"
    return BiomarkerProfile(
        cd274_expression=_abstained("cd274_rna", no_image, {"high": 0.5, "low": 0.5}),
        msi_status=_abstained("msi", no_image, {"MSI-H": 0.007, "MSS": 0.993}),
        tme_subtype=_abstained(
            "mfp_class", no_image, {"IE": 0.24, "IE/F": 0.25, "F": 0.25, "D": 0.26}
        ),
        til_fraction=_share(0.31),
        til_density=_class("til_density", "moderate", 0.2, 0.72, 0.08),
        immune_phenotype=_class("immune_phenotype", "excluded", 0.21, 0.7, 0.09),
        cd8_infiltration=_abstained(
            "cd8_rna", no_image, {"high": 0.3, "moderate": 0.4, "low": 0.3}
        ),
        immune_score=_share(0.4, hint=True),
    )


def unknown_profile(reason: str) -> BiomarkerProfile:
    """Return a profile in which every field abstains for `reason`."""
    field = FieldPrediction[str](
        quantity="unknown", n_tiles=0, qc_pass=False, value=None, abstained=True, reason=reason,
        source=Provenance(engine="none", revision="none"),
    )  # fmt: skip
    number = FieldPrediction[float](**field.model_dump())
    fields = {key: number if allowed is None else field for key, allowed in FIELD_VALUES.items()}
    return BiomarkerProfile.model_validate(fields)


def clinical() -> ClinicalContext:
    """Return complete facts of a driver-negative adenocarcinoma; KRAS is still pending."""
    core = SpecimenRef(site="lung", type="core", tumour_cellularity_pct=40)
    negative = Measured[str](
        state=State.measured,
        value="negative",
        reported_on=date(2026, 6, 20),
        lab="Reference laboratory",
        specimen=core,
    )
    genes = (Gene.EGFR, Gene.ALK, Gene.ROS1, Gene.RET, Gene.BRAF, Gene.MET, Gene.ERBB2)
    return ClinicalContext(
        age_years=64,
        sex_at_birth="female",
        question="first_line_metastatic",
        histology="adenocarcinoma",
        histology_evidence=("TTF1",),
        stage_group="IVA",
        line=1,
        ecog=1,
        prior_therapies=(),
        pdl1=(
            Pdl1Result(
                tps=Measured[float | str](
                    state=State.measured,
                    value=30.0,
                    assay="22C3_pharmDx",
                    specimen=core,
                    reported_on=date(2026, 6, 18),
                    source_ref="R-2291",
                ),
                score_type="TPS",
                assay="22C3",
            ),
        ),
        genes=(
            *(GeneResult(gene=gene, result=negative, method="NGS_DNA_RNA") for gene in genes),
            GeneResult(gene=Gene.KRAS, result=Measured[str](state=State.pending)),
        ),
        mmr=Measured(state=State.measured, value="pMMR", method="IHC"),
    )


def findings() -> tuple[Finding, ...]:
    """Return one finding of each severity, the mildest first."""
    return (
        Finding(
            code="TIL_FEW_TILES",
            severity=Severity.note,
            message="Only four tiles carry tissue.",
            action="Add images of other areas if there are any.",
        ),
        Finding(
            code="TILE_SPLIT",
            rule_id="D-11",
            severity=Severity.caution,
            message="A quarter of the tiles differ from the case's phenotype.",
            action="Look at the overlay of the differing tiles.",
            fields=("immune_phenotype",),
        ),
        Finding(
            code="PRED_INTERNAL_INCONSISTENT",
            rule_id="D-7",
            severity=Severity.serious,
            message="Phenotype and lymphocyte share contradict each other.",
            action="Use neither for triage; have a pathologist score TILs.",
            fields=("immune_phenotype", "til_fraction"),
        ),
    )


def agreement() -> tuple[Agreement, ...]:
    """Return one row of each state."""
    predictor = Opinion(engine="predictor", value="excluded")
    return (
        Agreement(
            field="immune_phenotype",
            opinions=(
                predictor,
                Opinion(engine="phenotype", value="inflamed"),
                Opinion(engine="neighbours", value=None, reason="1 label"),
            ),
            state="disagree",
        ),
        Agreement(
            field="til_density",
            opinions=(Opinion(engine="predictor", value="moderate"),),
            state="single",
        ),
        Agreement(
            field="msi_status",
            opinions=(Opinion(engine="predictor", value=None, reason="cannot be seen"),),
            state="none",
        ),
    )


def retrieval() -> RetrievalResult:
    """Return three neighbours, one of them without a label."""
    found = tuple(
        Neighbour(
            neighbour_id=f"atlas-{i}",
            similarity=0.91 - 0.04 * i,
            title=f"TCGA-LUAD patch {i}",
            tissue="lung adenocarcinoma",
            labels={"til_density": "high", "til_fraction": 0.42} if i else {},
            licence="BSD-3-Clause",
            attribution="SBU-BMI/u24_lymphocyte (Saltz et al. 2018)",
        )
        for i in range(3)
    )
    return RetrievalResult(
        neighbours=found,
        votes=(
            FieldVote(field="til_density", n_votes=2, value=None),
            FieldVote(field="til_fraction", n_votes=3, value=0.42),
        ),
        atlas_id="embedded-atlas-1",
        atlas_size=180,
        excluded={"same_patient": 2},
        source=Provenance(engine="embedded-embedder", revision="1", mpp=0.5),
    )


def full() -> RenderedReport:
    """Return a complete report with options and drugs."""
    scores = PhenotypeScores(
        scores={"inflamed": 0.55, "excluded": 0.35, "desert": 0.1},
        value="inflamed",
        abstained=False,
        features={"clustering_um": 41.5, "contact_share": 0.22},
        source=Provenance(engine="embedded-phenotype", revision="1", mpp=1.0),
    )
    return RenderedReport(
        case_id="DEMO-01",
        patient_id="PAT-01",
        as_of=guidance.AS_OF,
        status=CaseStatus.ok,
        images=(image(),),
        tiles=tiles(),
        clinical=clinical(),
        profile=profile(),
        layout_note="lymphocytes lie outside the nests",
        morphometry=Morphometry(
            n_nuclei=1812,
            n_lymphocytes=562,
            tissue_mm2=0.221,
            lymphocytes_per_mm2=2543.0,
            raw_share=0.29,
            corrected_share=0.31,
            median_nuclear_area_um2=33.4,
            mpp_plausible=True,
            nest_mm2=0.081,
            lymphocytes_per_mm2_in_nests=310.0,
            lymphocytes_per_mm2_outside=3830.0,
            warnings=("crowded nuclei may be undercounted",),
        ),
        phenotype=Ok[PhenotypeScores](value=scores),
        retrieval=Ok[RetrievalResult](value=retrieval()),
        agreement=agreement(),
        trust=tuple(
            TrustRow(field=key, informative=False, reason="no validation card")
            for key in FIELD_VALUES
        ),
        findings=findings(),
        guidance=Ok[Guidance](value=guidance.with_options()),
        drugs=Ok[tuple[DrugProfile, ...]](value=(guidance.drug(),)),
        engines=tuple(
            EngineStatus(agent=agent, status="ok", engine=f"embedded-{agent}", revision="1")
            for agent in ("predictor", "phenotype", "retrieval", "adjudicator", "guideline")
        ),
        limitations=("One field is not the tumour.", "Fitted on ten annotated images."),
        provenance=ReportProvenance(
            package_version="0.1.0",
            configuration_digest="12" * 32,
            input_digest="34" * 32,
            knowledge_version=guidance.KNOWLEDGE,
            atlas_id="embedded-atlas-1",
        ),
    )


def test_first() -> RenderedReport:
    """Return a report of H&E alone: nothing measured, resolution assumed."""
    return full().model_copy(
        update={
            "case_id": "DEMO-00",
            "patient_id": None,
            "images": (image(mpp_source="assumed"),),
            "clinical": ClinicalContext(),
            "guidance": Ok[Guidance](value=guidance.test_first()),
            "drugs": Abstained(reason="no regimen is named, so no drug is"),
        }
    )


def partial() -> RenderedReport:
    """Return a report in which no engine gave an answer, each for another reason."""
    reason = "predictor unavailable: no weights"
    return full().model_copy(
        update={
            "case_id": "DEMO-PARTIAL",
            "status": CaseStatus.partial,
            "status_reason": "predictor unavailable",
            "profile": unknown_profile(reason),
            "morphometry": None,
            "layout_note": "",
            "clinical": ClinicalContext(),
            "phenotype": Unavailable(reason="not installed"),
            "retrieval": Failed(error_id="AtlasError", message="atlas of another encoder"),
            "agreement": (),
            "findings": (),
            "trust": (),
            "guidance": Failed(error_id="KnowledgeError", message="rules could not be read"),
            "drugs": Abstained(reason="no regimen is named"),
            "engines": (
                EngineStatus(agent="predictor", status="unavailable", reason="no weights"),
                EngineStatus(agent="retrieval", status="failed", reason="atlas"),
            ),
        }
    )


def refused() -> RenderedReport:
    """Return the report of an IHC image."""
    return partial().model_copy(
        update={
            "case_id": "DEMO-IHC",
            "status": CaseStatus.refused,
            "status_reason": STAINED.reason,
            "images": (image(STAINED),),
            "tiles": (),
        }
    )


def hostile(text: str) -> RenderedReport:
    """Return a full report with `text` wherever input or an engine may put a string."""
    base = test_first()
    found = retrieval()
    rules = guidance.with_options()
    named = guidance.MONO.model_copy(update={"name": text, "reason": text, "notes": (text,)})
    return base.model_copy(
        update={
            "case_id": text,
            "patient_id": text,
            "status_reason": text,
            "layout_note": text,
            "limitations": (text,),
            "images": (image().model_copy(update={"name": text, "notes": (text,)}),),
            "tiles": tuple(tile.model_copy(update={"tile_id": text}) for tile in tiles(2)),
            "clinical": clinical().model_copy(update={"allergies": (text,)}),
            "findings": (findings()[0].model_copy(update={"message": text, "action": text}),),
            "agreement": (
                Agreement(field=text, opinions=(Opinion(engine=text, value=text),), state="single"),
            ),
            "retrieval": Ok[RetrievalResult](
                value=found.model_copy(
                    update={
                        "neighbours": (
                            found.neighbours[1].model_copy(
                                update={"title": text, "labels": {text: text}, "attribution": text}
                            ),
                        ),
                    }
                )
            ),
            "guidance": Ok[Guidance](
                value=rules.model_copy(
                    update={
                        "headline": text,
                        "options": (named,),
                        "missing": (text,),
                        "conditional": (
                            guidance.DRIVER.model_copy(update={"condition": text, "note": text}),
                        ),
                    }
                )
            ),
            "drugs": Failed(error_id=text, message=text),
            "sampling": samples_sampling.block(name=text),
            "heat": samples_heat.block(name=text),
        }
    )


def every_sample() -> dict[str, RenderedReport]:
    """Return all samples by name, hostile ones included."""
    named = {
        "full": full(),
        "test_first": test_first(),
        "partial": partial(),
        "refused": refused(),
        "sampled": full().model_copy(update={"sampling": samples_sampling.block()}),
        "heated": full().model_copy(update={"heat": samples_heat.block()}),
        "long_id": full().model_copy(update={"case_id": "A" * 200}),
        "long_wide": test_first().model_copy(update={"case_id": "肺" * 100}),
        "long_strings": hostile("x" * 200),
    }
    return named | {f"hostile_{i}": hostile(text) for i, text in enumerate(HOSTILE)}


def jpeg(path: Path | None = None, size: int = 64) -> bytes:
    """Return JPEG bytes of a real image, or of a plain field when no path is given."""
    shown = (
        Image.new("RGB", (size, size), (225, 180, 205))
        if path is None
        else Image.open(path).convert("RGB")
    )
    stream = io.BytesIO()
    shown.save(stream, "JPEG", quality=85)
    return stream.getvalue()


def figures(n: int = 300, name: str = "instanseg_tma_HE_0.5mpp.tif") -> Figures:
    """Return one picture with `n` nuclei at reproducible places, and two thumbnails."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    draw = np.random.default_rng(seed)
    x, y = draw.uniform(0, 1024, (2, n)).astype(np.float32)
    picture = FigureImage(
        name=name,
        jpeg=jpeg(size=1024),
        width=1024,
        height=1024,
        um_per_px=0.5,
        x=x,
        y=y,
        is_lymphocyte=draw.random(n) < 0.3,
        in_nest=(x > 300) & (x < 600) & (y > 300) & (y < 600),
    )
    thumbs = {"atlas-0": jpeg(), "atlas-1": jpeg()}
    return Figures(images=(picture,), neighbour_jpegs=thumbs)
