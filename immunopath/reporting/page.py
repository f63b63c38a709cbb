"""Self-contained HTML pages: no script, no request, everything escaped."""

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

HOUSE: Final = "immunopath.reporting"
HOUSE_STYLE: Final = "report.css"


def self_contained(
    template: str,
    *,
    package: str = HOUSE,
    sheet: str = HOUSE_STYLE,
    **values: Any,  # noqa: ANN401 - what templates show
) -> str:
    """Return a page of the ``templates/`` of `package`, with a style sheet of the same folder.

    Its content policy (see ``page.html.j2``) admits this sheet, by digest, and nothing else.
    """
    style = style_sheet(package, sheet)
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    markup = Markup(style)  # noqa: S704 - the package's own file
    return environment(package).get_template(template).render(
        **values, style=markup, style_digest=digest
    )  # fmt: skip


def style_sheet(package: str = HOUSE, sheet: str = HOUSE_STYLE) -> str:
    """Return a style sheet of a package's templates."""
    return files(package).joinpath("templates", sheet).read_text("utf-8")


@cache
def environment(package: str) -> Environment:
    """Return the templates of a package; what it lacks is the house's."""
    return Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader(HOUSE)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
