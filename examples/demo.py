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
            for suffix, write in ((".html", report.to_html), (".json", report.to_json)):
                path = out / f"{case.case_id}{suffix}"
                write(path)
                console.print(f"written: {path}", soft_wrap=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("out"))
