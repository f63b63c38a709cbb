"""HTML pages, everything escaped: self-contained ones, and those that the app serves.

All have one shell, ``page.html.j2``. A self-contained page makes no request and has no script; its
style sheet stands in it, and its content policy admits that sheet by digest and nothing else. A
served page links to its style and script, and its policy is a header of the server's.
"""

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from immunopath.reporting.text import visible

HOUSE: Final = "immunopath.reporting"
HOUSE_STYLE: Final = "report.css"


def self_contained(
    template: str,
    *,
    package: str = HOUSE,
    sheet: str = HOUSE_STYLE,
    **values: Any,  # noqa: ANN401 - what templates show
) -> str:
    """Return a page of the ``templates/`` of `package`, with a style sheet of the same folder."""
    style = style_sheet(package, sheet)
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    markup = Markup(style)  # noqa: S704 - the package's own file
    shell = {"style": markup, "style_digest": digest, "links": None}
    return environment(package).get_template(template).render(**values, **shell)


def served(
    template: str,
    *,
    package: str,
    sheet: str,
    scripts: tuple[str, ...] = (),
    **values: Any,  # noqa: ANN401 - what templates show
) -> str:
    """Return a page that links to a style `sheet` and `scripts`, addresses on its own server."""
    shell = {"style": None, "style_digest": None, "links": {"sheet": sheet, "scripts": scripts}}
    return environment(package).get_template(template).render(**values, **shell)


def style_sheet(package: str = HOUSE, sheet: str = HOUSE_STYLE) -> str:
    """Return a style sheet of a package's templates."""
    return files(package).joinpath("templates", sheet).read_text("utf-8")


@cache
def environment(package: str) -> Environment:
    """Return the templates of a package; what it lacks is the house's.

    No value reorders or hides text: controls and direction marks are spelled out (`text.visible`).
    """
    return Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader(HOUSE)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )


def _shown(value: object) -> object:
    """Spell out what a reader would not see; what a template made (`Markup`) stays as it is."""
    return visible(value) if type(value) is str else value
