"""What a page carries compressed, to be unpacked by the browser when it is wanted.

A third of plotly's own size is left, base64 included; every browser since 2023 unpacks gzip.
"""

import base64
import gzip
import json
from functools import cache
from typing import Any

from plotly.offline import get_plotlyjs


def packed_json(value: Any) -> str:
    """Return JSON as base64 of gzip, safe wherever it stands in a page."""
    return _packed(json.dumps(value, separators=(",", ":")))


@cache
def packed_plotly() -> str:
    """Return plotly's script, the same way."""
    return _packed(get_plotlyjs())


def _packed(text: str) -> str:
    # Without the time, so that equal studies have equal pages.
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()
