"""What the tests of the drugs engine ask of it."""

from pathlib import Path
from typing import cast

from immunopath.domain.drug import InSilicoFact, InSilicoPanel
from immunopath.models.foundation.txgemma.txgemma import TxGemmaDrugs
from immunopath.models.foundation.txgemma.txgemma_model import TxGemmaModel, load_txgemma
from immunopath.models.foundation.weights import resolve_weights
from immunopath.models.registry import build_engine
from immunopath.models.spec import EngineSpec

TASKS = "BBB_Martins+hERG+Pgp_Broccatelli+Caco2_Wang+LD50_Zhu+DILI"


def engine(source: object, folder: Path, **options: str) -> TxGemmaDrugs:
    given = {"tasks": TASKS, "cache": str(folder), **options}
    spec = EngineSpec(name="txgemma", source=str(source), options=given)
    return cast("TxGemmaDrugs", build_engine("drugs", spec, "cpu"))


def model(folder: Path, **options: str) -> TxGemmaModel:
    spec = EngineSpec(name="txgemma", source=str(folder), options=options)
    return load_txgemma(spec, resolve_weights(str(folder)), "cpu")


def panel(drugs: TxGemmaDrugs, name: str) -> InSilicoPanel:
    found = drugs.profiles([name])[0].in_silico
    assert found is not None
    return found


def fact(drugs: TxGemmaDrugs, name: str, task: str) -> InSilicoFact:
    return next(f for f in panel(drugs, name).facts if f.task == task)
