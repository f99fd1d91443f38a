"""The version of the code that makes scores, which a study remembers.

Importing this file registers the resolver `${code_version:}`. Scores of different code are not
comparable, and a checkout changes without a new version number, so the sources of the rooms that
score a trial are part of it; comments and blank lines are not.
"""

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from omegaconf import OmegaConf

ROOMS = ("data", "training", "trial")
SOURCES = Path(__file__).parents[1]


def code_version(sources: Path = SOURCES) -> str:
    """Return the package's version and the fingerprint of what scores a trial."""
    try:
        number = version("doctune")
    except PackageNotFoundError:
        number = "0"
    digest = hashlib.sha256()
    for room in ROOMS:
        for path in sorted((sources / room).rglob("*.py")):
            digest.update(path.relative_to(sources).as_posix().encode())
            for line in path.read_text(encoding="utf-8").splitlines():
                words = line.strip()
                if words and not words.startswith("#"):
                    digest.update(words.encode())
    return f"{number} ({digest.hexdigest()[:12]})"


OmegaConf.register_resolver("code_version", code_version, replace=True, use_cache=True)
