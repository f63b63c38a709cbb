"""``immunopath app``: the options. Nothing heavy is imported until the command runs."""

from pathlib import Path
from typing import Annotated

import typer

from immunopath.cli.options import Atlas, Config, Device, Profile
from immunopath.domain.errors import EngineUnavailable

EXTRA = "the page needs the extra 'app': pip install 'immunopath[app]'"
Engines = Annotated[
    list[str] | None,
    typer.Option(metavar="ENGINE", help="name[:id][,key=value…]; several to choose from."),
]


def page(  # noqa: PLR0913, PLR0917 - one parameter per option, as typer wants it
    host: Annotated[str, typer.Option(help="Elsewhere than here only with a password.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="0 takes any that is free.")] = 7860,
    password_file: Annotated[
        Path | None, typer.Option(help="Its first line; or IMMUNOPATH_APP_PASSWORD.")
    ] = None,
    profile: Profile = None,
    predictor: Engines = None,
    phenotype: Engines = None,
    embedder: Engines = None,
    drugs: Engines = None,
    atlas: Atlas = None,
    device: Device = None,
    config: Config = None,
    cohort: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Output folder of 'immunopath cohort'.")
    ] = None,
    max_upload_mb: Annotated[int, typer.Option(min=1, help="Of one case, all images.")] = 512,
) -> None:
    """Serve a page for this machine's browser. Upload, run, report; and a cohort's worklist."""
    from immunopath.app.bind import checked_binding, read_password

    binding = checked_binding(host, port, read_password(password_file))
    try:
        import python_multipart  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise EngineUnavailable(EXTRA) from error
    from immunopath.cli.app_run import Asked, run

    engines = {
        "predictor": tuple(predictor or ()),
        "phenotype": tuple(phenotype or ()),
        "embedder": tuple(embedder or ()),
        "drugs": tuple(drugs or ()),
    }
    others = {"profile": profile, "atlas": atlas, "device": device}
    run(Asked(binding, config, cohort, max_upload_mb), engines, others)
