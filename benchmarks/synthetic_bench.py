"""What the benchmarks on the synthetic cohort share: the cohort, the metrics, folder and clock."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, process_time

from immunopath.training.synthetic.cohort import CohortSettings

COHORT = CohortSettings(
    patients=640, tiles=4, size_px=112, mpp=2.0, noise=0.3, sites=8, site_effect=0.5
)
QUICK = COHORT.model_copy(update={"patients": 80, "tiles": 2})
METRICS = {
    "til_spearman": ("til_fraction", "spearman"),
    "til_mae_skill": ("til_fraction", "mae_skill"),
    "phenotype_balanced_accuracy": ("immune_phenotype", "balanced_accuracy"),
}
MORE = {
    "til_mae": ("til_fraction", "mae"),
    "til_density_balanced_accuracy": ("til_density", "balanced_accuracy"),
    "cd8_balanced_accuracy": ("cd8_infiltration", "balanced_accuracy"),
    "tme_balanced_accuracy": ("tme_subtype", "balanced_accuracy"),
    "cd274_balanced_accuracy": ("cd274_expression", "balanced_accuracy"),
    "immune_score_spearman": ("immune_score", "spearman"),
}


def parser(about: str | None) -> argparse.ArgumentParser:
    """Return the options that every one of them has."""
    made = argparse.ArgumentParser(description=about)
    made.add_argument("--json", default="-", metavar="PATH|-")
    made.add_argument("--quick", action="store_true", help="a minute: proves the path only")
    made.add_argument("--keep", type=Path, help="a new folder for everything that is made")
    return made


@contextmanager
def working_folder(keep: Path | None, name: str) -> Iterator[Path]:
    """Give the folder to keep, or one that is gone afterwards."""
    folder = keep or Path(tempfile.mkdtemp(prefix=f"immunopath-{name}-"))
    try:
        yield folder
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


class Clock:
    """Seconds and processor seconds of every stage."""

    def __init__(self) -> None:
        self.wall_s: dict[str, float] = {}
        self.cpu_s: dict[str, float] = {}
        self._at = (perf_counter(), process_time())

    def mark(self, stage: str) -> None:
        """End a stage."""
        now = (perf_counter(), process_time())
        self.wall_s[stage] = round(now[0] - self._at[0], 1)
        self.cpu_s[stage] = round(now[1] - self._at[1], 1)
        self._at = now
        sys.stderr.write(f"{stage}: {self.wall_s[stage]} s, {self.cpu_s[stage]} s of CPU\n")
