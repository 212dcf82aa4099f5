"""Load and render the Jinja templates of the HTML pages and the document."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape
from markupsafe import Markup

from capacity.report.messages import sentence
from capacity.table.number_format import number, percent
from capacity.table.phrases import cell_name, plural, spaced
from core.language import Language

LANG: Language = "es"
#: what the Spanish templates use for numbers and names
FILTERS: dict[str, Callable[..., str]] = {
    "number": lambda value, digits=2: number(value, LANG, digits),
    "percent": lambda ratio, digits=1: percent(ratio, LANG, digits),
    "plural": plural,
    "spaced": spaced,
    "cell": lambda row: cell_name(row, LANG),
    "reason": lambda reason: sentence(reason, LANG),
}
FOLDER = Path(__file__).with_name("templates")
STYLE = Path(__file__).with_name("style.css")


def template(name: str) -> Template:
    """Load the Jinja template `name` from the folder `templates`.

    If `name` ends in `.html.j2`, HTML in the values that are inserted into the template is escaped.
    """
    return _environment().get_template(name)


def render_html(name: str, lang: Language, **values: Any) -> str:
    """Render the template `name` as an HTML page in the language `lang`, with our style sheet.

    `values` are the variables that the template uses.
    """
    return template(name).render(
        lang=lang,
        t=lambda es, en: es if lang == "es" else en,
        style=Markup(STYLE.read_text(encoding="utf-8")),  # noqa: S704 (our own file)
        **values,
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=select_autoescape(("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= FILTERS
    return environment
