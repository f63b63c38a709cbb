"""``immunopath cohort-data``: from file lists and RNA to labelled, split patients."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from immunopath.cli.options import value_of
from immunopath.cli.output import spare, write_json
from immunopath.domain.errors import InputError, SplitError
from immunopath.domain.files import require_place
from immunopath.domain.words import counted

if TYPE_CHECKING:
    from immunopath.training.cohort.manifest import ManifestRow
    from immunopath.training.labels.agreement import Agreement, Estimate
    from immunopath.training.labels.build import BuildOptions, Sources

app = typer.Typer(
    help="Cohorts for training: slides, RNA labels, splits.",
    no_args_is_help=True,
)
JsonPath = Annotated[str | None, typer.Option("--json", metavar="PATH|-", help="Write as JSON.")]


@app.command()
def manifest(  # noqa: PLR0913, PLR0917 - one parameter per option, as typer wants it
    lists: Annotated[
        list[Path],
        typer.Argument(metavar="LIST...", help="GDC manifest, sample sheet or metadata JSON."),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The manifest (CSV).")],
    project: Annotated[
        list[str] | None, typer.Option(help="Keep this project, e.g. TCGA-LUAD; may be repeated.")
    ] = None,
    need: Annotated[str, typer.Option(help="both, expression or slides.")] = "both",
    areas: Annotated[
        Path | None, typer.Option(help="CSV of slide and tissue_area: more tissue is preferred.")
    ] = None,
    assume_primary: Annotated[
        bool,
        typer.Option("--assume-primary", help="Files of unknown sample type are primary tumour."),
    ] = False,
    diagnostic_only: Annotated[
        bool, typer.Option("--diagnostic-only", help="No frozen sections.")
    ] = False,
    all_slides: Annotated[
        bool, typer.Option("--all-slides", help="Keep all slides of the best kind.")
    ] = False,
) -> None:
    """Choose one slide and one expression file a patient. All else is counted and listed."""
    from immunopath.cli.inspect import show_table
    from immunopath.training.cohort.gdc import read_gdc
    from immunopath.training.cohort.manifest import read_areas, write_manifest
    from immunopath.training.cohort.resolve import Dropped, Rules, resolve
    from immunopath.training.tables import write_csv

    chosen = {
        "projects": project or (), "need": need, "assume_primary": assume_primary,
        "diagnostic_only": diagnostic_only, "all_slides": all_slides,
    }  # fmt: skip
    rules = value_of(Rules, chosen)
    spare((*lists, *([areas] if areas else [])), out)
    require_place(out)
    found = resolve(read_gdc(lists), rules, None if areas is None else read_areas(areas))
    write_manifest(out, found.rows)
    listed = out.with_name(f"{out.stem}.dropped.csv")
    write_csv(listed, tuple(Dropped.model_fields), (d.model_dump() for d in found.dropped))
    typer.echo(
        f"{counted(found.files, 'file')}: {counted(len(found.rows), 'patient')} in {out.name}, "
        f"{counted(len(found.dropped), 'file')} left out, listed in {listed.name}"
    )
    if found.dropped:
        show_table(("left out", "files"), ((r, str(n)) for r, n in found.counts.items()))


@app.command()
def build(  # noqa: PLR0913, PLR0917 - one parameter per option, as typer wants it
    manifest: Annotated[Path, typer.Argument(help="One patient a line (CSV).")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The cohort folder.")],
    rna: Annotated[
        Path | None, typer.Option(help="Folder of the expression files. Default: the manifest's.")
    ] = None,
    matrix: Annotated[
        Path | None, typer.Option(help="Instead of files: genes in rows, patients in columns.")
    ] = None,
    unit: Annotated[str, typer.Option(help="Of the expression: tpm or log2tpm.")] = "tpm",
    calls: Annotated[
        list[Path] | None, typer.Option(help="Published MSI and subtype calls; may be repeated.")
    ] = None,
    variant: Annotated[str, typer.Option(help="card or run-v3.1.")] = "run-v3.1",
    constants: Annotated[
        Path | None, typer.Option(help="A labels.json: label a new cohort by its constants.")
    ] = None,
    gmt: Annotated[
        Path | None, typer.Option(help="Gene sets: fit a subtype classifier for missing calls.")
    ] = None,
    classifier: Annotated[str, typer.Option(help="knn or nearest-centroid.")] = "knn",
    by_site: Annotated[
        bool, typer.Option("--by-site", help="Keep a tissue-source site in one split.")
    ] = False,
    fractions: Annotated[str, typer.Option(help="Train, val, test.")] = "0.8,0.1,0.1",
    seed: Annotated[int, typer.Option(min=0, help="Of the split.")] = 42,
    splits: Annotated[
        Path | None, typer.Option(help="Keep this split: a folder of train, val and test.txt.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="Leave a field unknown; may be repeated.")
    ] = None,
    allow_missing_genes: Annotated[
        bool, typer.Option("--allow-missing-genes", help="Do with half of a signature.")
    ] = False,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="List bad expression files, go on.")
    ] = False,
) -> None:
    """Split and label the patients, write samples.jsonl. Label constants are the training ones'."""
    from immunopath.training.cohort.barcodes import patient_key
    from immunopath.training.cohort.manifest import read_manifest, with_split
    from immunopath.training.labels.build import BuildOptions, Sources
    from immunopath.training.labels.calls import read_calls
    from immunopath.training.labels.expression import read_matrix
    from immunopath.training.labels.recipe import read_recipe
    from immunopath.training.labels.ssgsea import read_gmt
    from immunopath.training.samples import SAMPLES
    from immunopath.training.splits import read_split

    chosen = {
        "variant": variant, "seed": seed, "fractions": _fractions(fractions), "by_site": by_site,
        "without": without or (), "allow_missing": allow_missing_genes,
        "skip_unreadable": skip_unreadable, "classifier": classifier, "unit": unit,
    }  # fmt: skip
    options = value_of(BuildOptions, chosen)
    require_place(out / SAMPLES)
    rows = read_manifest(manifest)
    if splits is not None:
        rows = with_split(rows, read_split(splits))
    sources = Sources(
        root=manifest.parent if rna is None else rna,
        matrix=None if matrix is None else read_matrix(matrix, options.unit),
        calls=read_calls(calls or (), {patient_key(row.patient_id) for row in rows}),
        gmt=None if gmt is None else read_gmt(gmt),
        recipe=None if constants is None else read_recipe(constants),
    )
    _build(rows, sources, options, out)


def _build(
    rows: "tuple[ManifestRow, ...]", sources: "Sources", options: "BuildOptions", out: Path
) -> None:
    """Build, write and say what came out."""
    from rich.console import Console
    from rich.progress import Progress

    from immunopath.cli.inspect import show_table
    from immunopath.training.labels.build import build_cohort
    from immunopath.training.labels.folder import write_cohort

    console = Console(stderr=True)
    with Progress(transient=True, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("expression", total=len(rows))
        built = build_cohort(
            rows, sources, options, lambda done, total: bar.update(task, completed=done)
        )
    summary = write_cohort(out, built, sources.calls)
    splits = ", ".join(f"{name} {n}" for name, n in summary["splits"].items())
    typer.echo(
        f"{counted(summary['patients'], 'patient')} in {out}: {splits}; "
        f"{summary['dropped']} left out"
    )
    titles = (f"labels ({summary['labels_of']})", "known", "unknown", "values")
    show_table(titles, _field_rows(summary))
    msi = summary["msi"]
    typer.echo(
        f"MSI of all patients: {msi['msi_h']} MSI-H, {msi['mss']} MSS, {msi['unknown']} unknown; "
        f"{msi['conflicts']} in conflict"
    )


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(help="A cohort folder.")],
    by_site: Annotated[
        bool, typer.Option("--by-site", help="Also refuse a site in two splits.")
    ] = False,
) -> None:
    """Refuse leaks between splits and fields of one class. Exit code 2."""
    from immunopath.imaging.tile_manifest import read_tiles
    from immunopath.training.labels.checks import require_classes
    from immunopath.training.labels.recipe import LABELS, read_recipe
    from immunopath.training.leakage import placed, require_no_leak
    from immunopath.training.samples import SAMPLES, TILES, read_samples

    samples = read_samples(folder / SAMPLES)
    tiles = read_tiles(folder / TILES) if (folder / TILES).exists() else ()
    rows = placed(samples, tiles)
    if not rows:
        raise SplitError(f"{folder / SAMPLES}: no patient lies in a split; nothing can be checked")
    require_no_leak(rows, by_site=by_site)
    if (folder / LABELS).exists():
        read_recipe(folder / LABELS).require_held_out({s.patient_id: s.split for s in samples})
    require_classes(s.labels for s in samples if s.split == "train")
    what = (
        f"{len(rows)} of {counted(len(samples), 'patient')} in a split, "
        f"{counted(len(tiles), 'tile')}"
    )
    typer.echo(f"no leak between splits ({what}{', by site' if by_site else ''})")


@app.command()
def agreement(  # noqa: PLR0913, PLR0917 - one parameter per option, as typer wants it
    table: Annotated[Path, typer.Argument(help="Published measures, one patient a row (TSV).")],
    scores: Annotated[
        Path | None, typer.Option(help="scores.csv of a cohort. Default: the table's own genes.")
    ] = None,
    bootstraps: Annotated[int, typer.Option(min=100, help="Resamples of patients.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of the split and of the resamples.")] = 42,
    by_site: Annotated[bool, typer.Option("--by-site", help="Split by site.")] = False,
    json_path: JsonPath = None,
) -> None:
    """Correlate label scores with published measures. Intervals by bootstrap over patients.

    The JSON has the groups by project too.
    """
    from immunopath.cli.inspect import show_table
    from immunopath.training.labels.compare import compare_table

    if json_path not in {None, "-"}:
        require_place(Path(str(json_path)))
    found = compare_table(table, scores, bootstraps=bootstraps, seed=seed, by_site=by_site)
    if json_path is not None:
        write_json(found.model_dump(mode="json"), json_path)
    if json_path == "-":
        return
    for group in ("all", "held out"):
        for score in dict.fromkeys(row.score for row in found.rows):
            typer.echo(f"\n{score}, {group} patients")
            rows = [r for r in found.rows if (r.score, r.group) == (score, group)]
            show_table(
                ("published measure", "n", "shared genes", "Spearman", "Pearson", "by chance"),
                map(_agreement_row, rows),
            )
    msi = found.msi
    typer.echo(
        f"MSI-H: MANTIS > 0.4 in {msi.mantis_msi_h} of {msi.mantis_known}, MSIsensor ≥ 3.5 in "
        f"{msi.sensor_msi_h} of {msi.sensor_known}; {msi.conflicts} in conflict. Called: "
        f"{msi.msi_h} MSI-H, {msi.mss} MSS, {msi.unknown} unknown"
    )


def _agreement_row(row: "Agreement") -> tuple[str, ...]:
    """One line of the table; a class has an AUROC where a number has a rank correlation."""
    ranked = row.auroc or row.spearman
    start = (
        row.measure,
        str(row.n),
        "not known" if row.shared_genes is None else str(row.shared_genes),
    )
    if ranked is None:
        return (*start, "too few" if row.too_few else "constant", "", "")
    first = ("AUROC " if row.auroc else "") + _estimate(ranked)
    return (*start, first, _estimate(row.pearson), f"{ranked.null:g} ± {ranked.chance:.2f}")


def _estimate(value: "Estimate | None") -> str:
    return "" if value is None else f"{value.value:.2f} [{value.low:.2f}, {value.high:.2f}]"


def _field_rows(summary: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    for field in summary["labels"]:
        values = ", ".join(f"{name} {n}" for name, n in field["values"].items())
        yield field["field"], str(field["known"]), str(field["unknown"]), values


def _fractions(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--fractions {text!r}: give three numbers, e.g. 0.8,0.1,0.1") from error
