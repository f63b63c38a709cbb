"""What label constants and splits do on real patients: one JSON object.

``python benchmarks/labels.py TABLE --json -`` reads a table with columns case, project and
expr_GENE (log2) and takes of each signature the genes that the table has. It prints

- ``round_trip``: labels by constants that were stored and read back against those before;
- ``all_against_train``: over 20 splits, the share of held-out patients whose class changes, and
  the mean change of the two numbers, when constants are fitted on all patients as the published
  run did, and on the training patients;
- ``site_split``: over 20 seeds, how far a split is off its share and a stratum off its share, with
  sites kept whole; beside it sites drawn at random until a split is full.
"""

import argparse
from collections import Counter
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from benchmark_json import write_figures

from immunopath.training.labels.fields import VARIANTS
from immunopath.training.labels.genes import CHECKPOINT, LABEL_SETS, GeneSets, load_gene_sets
from immunopath.training.labels.open_table import OpenTable, read_open_table
from immunopath.training.labels.recipe import Rna, fit_recipe, read_recipe, write_recipe
from immunopath.training.samples import SPLITS
from immunopath.training.splits import FRACTIONS, Member, make_split

SEEDS = range(20)
NUMBERS = ("til_fraction", "immune_score")
CLASSES = ("cd274_expression", "til_density", "immune_phenotype", "cd8_infiltration")


def available(table: OpenTable) -> tuple[GeneSets, dict[str, Rna]]:
    """The label sets cut to the table's genes, and the patients who have all of them."""
    full = load_gene_sets()
    cut = {name: tuple(g for g in full.sets[name] if g in table.genes) for name in LABEL_SETS}
    sets = GeneSets(
        version=f"{full.version}, cut to the table", source=full.source, sets=cut, reference={}
    )
    patients = set.intersection(*(set(table.genes[g]) for g in (*sets.needed, CHECKPOINT)))
    genes = {p: {g: table.genes[g][p] for g in sets.needed} for p in sorted(patients)}
    return sets, {p: Rna(genes=found) for p, found in genes.items()}


def round_trip(sets: GeneSets, rna: dict[str, Rna], train: tuple[str, ...]) -> dict[str, Any]:
    """Count the labels that differ after the constants were written and read."""
    differ = 0
    with TemporaryDirectory() as folder:
        for variant in VARIANTS:
            recipe = fit_recipe(rna, train, variant=variant, sets=sets)
            path = Path(folder) / "labels.json"
            write_recipe(path, recipe)
            stored = read_recipe(path)
            before, after = recipe.label(rna), stored.label(rna)
            differ += (stored != recipe) + sum(before[p] != after[p] for p in rna)
    return {"patients": len(rna), "variants": len(VARIANTS), "different": differ}


def all_against_train(table: OpenTable, sets: GeneSets, rna: dict[str, Rna]) -> dict[str, Any]:
    """Mean and largest change over the splits, held-out patients only."""
    members = [m for m in table.members() if m.patient_id in rna]
    everyone = fit_recipe(rna, list(rna), sets=sets).label(rna)
    changes: dict[str, list[float]] = {name: [] for name in (*CLASSES, *NUMBERS, "clipped")}
    for seed in SEEDS:
        plan = make_split(members, seed=seed)
        held_out = [*plan.ids("val"), *plan.ids("test")]
        ours = fit_recipe(rna, plan.ids("train"), sets=sets).label({p: rna[p] for p in held_out})
        for name in CLASSES:
            pairs = [(everyone[p].fields[name], ours[p].fields[name]) for p in held_out]
            changes[name].append(fmean(a != b for a, b in pairs))
        for name in NUMBERS:
            gaps = [abs(float(everyone[p].fields[name]) - float(ours[p].fields[name]))  # type: ignore[arg-type]
                    for p in held_out]  # fmt: skip
            changes[name].append(fmean(gaps))
        changes["clipped"].append(fmean(ours[p].clipped for p in held_out))
    return {
        n: {"mean": round(fmean(v), 4), "largest": round(max(v), 4)} for n, v in changes.items()
    }


def off_share(members: list[Member], of: dict[str, str]) -> tuple[float, float]:
    """Largest distance of a split from its share, and of a stratum's part in a split from it."""
    total = Counter(m.stratum for m in members)
    found = Counter((of[m.patient_id], m.stratum) for m in members)
    sizes = Counter(of.values())
    shares = dict(zip(SPLITS, FRACTIONS, strict=True))
    by_split = max(abs(sizes[s] / len(members) - share) for s, share in shares.items())
    by_stratum = max(
        abs(found[s, k] / n - share) for s, share in shares.items() for k, n in total.items()
    )
    return by_split, by_stratum


def random_sites(members: list[Member], seed: int) -> dict[str, str]:
    """Sites in random order: test until its share is full, then val, the rest train."""
    rng = np.random.default_rng(seed)
    sites = sorted({m.site for m in members})
    size = Counter(m.site for m in members)
    place: dict[str, str] = {}
    taken = Counter[str]()
    for at in rng.permutation(len(sites)):
        split = next((s for s in ("test", "val") if taken[s] < 0.1 * len(members)), "train")
        place[sites[at]] = split
        taken[split] += size[sites[at]]
    return {m.patient_id: place[m.site] for m in members}


def site_split(table: OpenTable) -> dict[str, Any]:
    """Mean over seeds of the two distances, ours and at random."""
    members = list(table.members())
    ours = [off_share(members, dict(make_split(members, seed=s, by_site=True).of)) for s in SEEDS]
    drawn = [off_share(members, random_sites(members, s)) for s in SEEDS]
    names = ("split_off_share", "stratum_off_share")
    return {
        "sites": len({m.site for m in members}),
        **{n: round(fmean(row[k] for row in ours), 4) for k, n in enumerate(names)},
        **{f"random_{n}": round(fmean(row[k] for row in drawn), 4) for k, n in enumerate(names)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--json", default="-", metavar="PATH|-")
    asked = parser.parse_args()
    table = read_open_table(asked.table)
    sets, rna = available(table)
    train = make_split([m for m in table.members() if m.patient_id in rna], seed=0).ids("train")
    figures = {
        "genes": {name: len(genes) for name, genes in sets.sets.items()},
        "round_trip": round_trip(sets, rna, train),
        "all_against_train": all_against_train(table, sets, rna),
        "site_split": site_split(table),
    }
    write_figures(figures, asked.json)


if __name__ == "__main__":
    main()
