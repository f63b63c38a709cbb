"""Two cases on real images: H&E alone, and the same image with complete clinical facts."""

import sys
from datetime import date
from pathlib import Path

from rich.console import Console

from immunopath import Case, ImmunoPath
from immunopath.guidelines.casefile import load_clinical

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "tests/data/images/he_other/instanseg_tma_HE_0.5mpp.tif"
LUNG = ROOT / "tests/data/images/lung_he_til/u24_train300/24.png"
NOTE = (
    "The core of the first case is real H&E whose organ its source does not state; the patient of "
    "the second case is invented."
)
FACTS = ROOT / "examples/clinical_complete.yaml"


def main(out: Path) -> None:
    """Print both reports and write their HTML and JSON to `out`."""
    console = Console()
    cases = (
        Case(case_id="demo-he-alone", images=(CORE,)),
        Case(case_id="demo-with-facts", images=(LUNG,), mpp=0.5, clinical=load_clinical(FACTS)),
    )
    with ImmunoPath() as engines:
        for case in cases:
            report = engines.analyze(case, as_of=date.today())
            console.print(report)
            report.to_json(out / f"{case.case_id}.json")
            report.to_html(out / f"{case.case_id}.html")
    console.rule()
    console.print(NOTE, soft_wrap=True)
    for case in cases:
        console.print(f"open in a browser: {out / case.case_id}.html", soft_wrap=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("out"))
