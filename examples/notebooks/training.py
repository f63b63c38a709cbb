# %% [markdown]
"""
# Training, on drawings

**These images are SYNTHETIC: drawn by a program, no tissue, no patient, no measurement.** A figure
taken here shows that training, evaluation and calibration do what they say. It says nothing about
slides. With your own cohort folder (`docs/cohort-data.md`, `docs/tiles.md`) the steps are the same.
"""

# %%
import tempfile
from pathlib import Path

import rich

from immunopath.models.calibration import write_calibrator
from immunopath.training.calibration.calibrate import fit_calibrator
from immunopath.training.calibration.fit import FitOptions
from immunopath.training.evaluation.request import Request
from immunopath.training.evaluation.resample import Plan
from immunopath.training.evaluation.run import run
from immunopath.training.evaluation.words import SYNTHETIC, summary_rows
from immunopath.training.mil.settings import MilSettings
from immunopath.training.mil.train import make_plan, train_mil
from immunopath.training.samples import SAMPLES
from immunopath.training.synthetic import CAPTION
from immunopath.training.synthetic.cohort import CohortSettings
from immunopath.training.synthetic.folder import write_cohort

OUT = Path(tempfile.mkdtemp(prefix="immunopath-training-"))
COHORT, HEAD = OUT / "cohort", OUT / "head"
rich.print(f"[bold red]{CAPTION}[/bold red]")

# %% [markdown]
# A cohort with known truth: what every image shows is known, because it was drawn so.

# %%
drawn = CohortSettings(patients=100, tiles=1, size_px=96, val=0.3, test=0.3)
cohort = write_cohort(COHORT, drawn, seed=0)
rich.print(f"{len(cohort.samples)} drawn patients, none of them real")

# %% [markdown]
# An attention head over the embeddings of a patient's tiles.

# %%
settings = MilSettings(members=1, epochs=40, fields=("til_fraction", "til_density"))
record = train_mil(make_plan(COHORT, "embedded", settings), HEAD)
rich.print(f"trained: {', '.join(record.trained)}; labels: {record.origin}")

# %% [markdown]
# Calibration on the patients of `val`: raw answers first, then the file beside the head.

# %%
raw = Request(COHORT, OUT / "val", f"mil:{HEAD},calibration=none", split="val", plan=Plan(100))
run(raw)
answers = OUT / "val/predictions/predictor.json"
options = FitOptions(min_cases=20, min_class=5)  # far too few for anything but a demonstration
calibrator = fit_calibrator(answers, COHORT / SAMPLES, options=options)
write_calibrator(calibrator, HEAD)
rich.print(f"calibrated: {[field.field for field in calibrator.fields if field.evaluable]}")

# %% [markdown]
# The test patients, beside baselines and the same images blanked. A number without its baseline is
# not shown.

# %%
asked = Request(COHORT, OUT / "test", f"mil:{HEAD}", controls=("blank",), plan=Plan(100))
found = run(asked).evaluation
rich.print(f"[bold red]{SYNTHETIC}[/bold red]")
headers, rows = summary_rows(found)
for row in rows:
    rich.print(dict(zip(headers, row, strict=True)))
rich.print(f"everything is in {OUT}")
