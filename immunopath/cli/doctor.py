"""``immunopath doctor``: the options. Nothing heavy is imported until the command runs."""

import typer

from immunopath.cli.options import Config, Device, Engine, Profile


def doctor(  # noqa: PLR0913, PLR0917 - one parameter per option, as typer wants it
    profile: Profile = None,
    predictor: Engine = None,
    phenotype: Engine = None,
    embedder: Engine = None,
    drugs: Engine = None,
    device: Device = None,
    config: Config = None,
) -> None:
    """Check this installation. With options: whether that request can run here."""
    from immunopath.cli.doctor_run import installation, request

    engines = {
        "profile": profile,
        "predictor": predictor,
        "phenotype": phenotype,
        "embedder": embedder,
        "drugs": drugs,
        "device": device,
    }
    asked = config is not None or any(engines.values())
    raise typer.Exit(request(engines, config) if asked else installation())
