# %% [markdown]
"""
# A cohort

From a manifest of cases to a worklist for the reference laboratory. **Research use only.** Shipped
images, invented patients. One image is missing and one is no H&E, on purpose: nothing is lost.
"""

# %%
import csv
import tempfile
from datetime import date
from pathlib import Path

import rich

from immunopath import ImmunoPath
from immunopath.pipeline.cohort.case_run import CasePlan
from immunopath.pipeline.cohort.cohort import Machines, run_cohort
from immunopath.pipeline.cohort.manifest import read_manifest

HERE = Path.cwd()
ROOT = next(p for p in (HERE, *HERE.parents) if (p / "tests/data/images").is_dir())
IMAGES = ROOT / "tests/data/images"
LUNG = IMAGES / "lung_he_til"
OUT = Path(tempfile.mkdtemp(prefix="immunopath-cohort-"))
AS_OF = date(2026, 11, 28)

# %% [markdown]
# A manifest is CSV, TSV, JSON lines or Parquet. Any clinical key may be a column; an empty cell is
# unknown, never negative.

# %%
ROWS = [
    ("case_id", "images", "mpp", "histology", "stage", "tempo", "diagnosed_on"),
    ("A", LUNG / "u24_cae100/image_99.png", 0.5, "adenocarcinoma", "IVB", "crisis", ""),
    ("B", LUNG / "u24_cae100/image_199.png", 0.5, "squamous", "IVA", "routine", ""),
    ("C", LUNG / "u24_train300/24.png", 0.5, "adenocarcinoma", "", "", "2026-10-01"),
    ("cat", IMAGES / "negatives/skimage_chelsea.png", 0.5, "", "", "", ""),
    ("gone", OUT / "no-such-file.png", 0.5, "", "", "", ""),
]  # fmt: skip
manifest = OUT / "manifest.csv"
with manifest.open("w", newline="") as stream:
    csv.writer(stream).writerows(ROWS)

# %%
rows = read_manifest(manifest)
with ImmunoPath() as engines:
    plan = CasePlan(OUT / "run", AS_OF, engines.settings.digest())
    here = Machines(engines=lambda: engines)  # Machines(workers=8), or engine="ray"
    result = run_cohort(rows, engines.settings, plan, here)
    again = run_cohort(rows, engines.settings, plan, here)
for record in result.records:
    rich.print(f"{record.case_id}: {record.status} {record.reason}")

# %% [markdown]
# The second run keeps what is whole: that is also what happens after a kill. A row that cannot be
# used is a failed case with its reason.

# %%
rich.print(f"first run: {result.made} analysed; second: {again.made}, kept {again.resumed}")

# %% [markdown]
# Who goes to the laboratory first, and why. While no engine is validated the list ranks by clinical
# facts alone and says so in its first line.

# %%
with (OUT / "run/worklist.csv").open(newline="") as stream:
    rich.print(stream.readline().strip())
    for line in csv.DictReader(stream):
        rich.print(f"{line['rank']}. {line['case_id']} ({line['triage_level']}): {line['why']}")
rich.print(f"pages and tables: {OUT / 'run'}")
