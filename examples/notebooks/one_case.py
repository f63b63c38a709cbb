# %% [markdown]
"""
# One case

From one H&E image and the measured facts of a patient to one report. **Research use only.** The
image is shipped with the project (`tests/data/SOURCES.md`); the patient is invented.

Percent format: open it with Jupyter (jupytext), VS Code or PyCharm, or run it as a script.
"""

# %%
import tempfile
from datetime import date
from pathlib import Path

import rich

from immunopath import Case, ImmunoPath, load_clinical

HERE = Path.cwd()
ROOT = next(p for p in (HERE, *HERE.parents) if (p / "tests/data/images").is_dir())
IMAGE = ROOT / "tests/data/images/lung_he_til/u24_train300/24.png"
OUT = Path(tempfile.mkdtemp(prefix="immunopath-case-"))

# %% [markdown]
# The resolution is stated as mpp (µm per pixel). Clinical facts are measured; what is absent from
# the file is unknown, never negative.

# %%
facts = load_clinical(ROOT / "examples/clinical_complete.yaml")
case = Case(case_id="P-17", images=(IMAGE,), mpp=0.5, clinical=facts)
engines = ImmunoPath()  # the embedded engines: any CPU, nothing is downloaded
report = engines.analyze(case, as_of=date(2026, 11, 28))

# %% [markdown]
# Every field says what it is, or why the engine is silent: H&E does not show MSI, so that is an
# abstention and no number. In a notebook `report` as the last line of a cell shows the whole page.

# %%
for name, field in report.profile.items():
    said = f"silent: {field.reason}" if field.abstained else f"{field.value} ({field.quantity})"
    rich.print(f"[bold]{name}[/bold]: {said}")

# %% [markdown]
# Measured facts lead to guidance; no prediction ever reaches a drug.

# %%
guidance = report.guidance.value
rich.print(f"{guidance.category}, triage {guidance.triage.level}")
for test in guidance.tests:
    rich.print(f"  test: {test.code}")

# %%
report.to_html(OUT / "P-17.html")
report.to_json(OUT / "P-17.json")
engines.close()
rich.print(f"written to {OUT}")
