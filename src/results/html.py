"""What the HTML pages of results are made of: templates, figures, text made safe, packed scripts.

What is packed is unpacked by the browser when it is wanted: a third of plotly's own size is left,
base64 included; every browser since 2023 unpacks gzip.
"""

import base64
import functools
import gzip
import json
import re
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup
from plotly.offline import get_plotlyjs

# In advice: a command in quotes, `key=value`, or a key of several parts.
CODE = re.compile(
    # A name in a command may bring quotes of its own, within others: "study='my study'".
    r"'(?P<quoted>(?=[^']*=)(?:\"[^\"]*\"|[^'\"])+)'"
    r"|[a-z]\w*(?:\.\w+)+=(?:[^\s,;]*[^\s,;.:])|[a-z]\w*(?:\.[a-z]\w*)+"
)


@dataclass(frozen=True)
class Plot:
    """A figure and its place on the page."""

    name: str
    figure: go.Figure

    @property
    def height(self) -> int:
        """Return the pixels to keep free until it is drawn."""
        return int(self.figure.layout.height)

    @property
    def min_width(self) -> int:
        """Return the pixels below which it scrolls sideways in its own box."""
        return int((self.figure.layout.meta or {}).get("min_width", 0))

    @property
    def json(self) -> Markup:
        """Return the figure as JSON that cannot end the script it stands in."""
        return safe_in_script(self.figure.to_json())


def safe_in_script(text: str) -> Markup:
    """Return JSON that cannot end the script it stands in."""
    for char, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(char, code)
    return Markup(text)


def with_code(text: str) -> Markup:
    """Return a text safe for the page, its keys, values and commands set as code."""
    found = Markup("")
    rest = 0
    for match in CODE.finditer(text):
        found += text[rest : match.start()]
        found += Markup("<code>{}</code>").format(match["quoted"] or match[0])
        rest = match.end()
    return found + text[rest:]


@functools.cache
def environment() -> Environment:
    """Return what fills the templates of the pages in."""
    found = Environment(
        loader=PackageLoader("src.results"),
        autoescape=select_autoescape(default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["with_code"] = with_code
    found.filters["for_script"] = lambda value: safe_in_script(json.dumps(value))
    return found


def packed_json(value: Any) -> str:
    """Return JSON as base64 of gzip, safe wherever it stands in a page."""
    return _packed(json.dumps(value, separators=(",", ":")))


@functools.cache
def packed_plotly() -> str:
    """Return plotly's script, the same way."""
    return _packed(get_plotlyjs())


def _packed(text: str) -> str:
    # Without the time, so that equal studies have equal pages.
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()
