"""What a trial ran on: versions, commit and device, noted with the trial for the report."""

import functools
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from doctune.words import counted
from src.hardware.detect import cores

PACKAGES = ("torch", "timm", "pytorch-lightning", "optuna", "hydra-core")
REPOSITORY = Path(__file__).parents[2]


@functools.cache
def environment(accelerator: str) -> dict[str, str]:
    """Return a name and a value for everything that might explain another score elsewhere."""
    found = {"device": _device(accelerator), "commit": _commit()}
    found["python"] = f"{platform.python_version()} on {platform.system()}"
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {name: value for name, value in found.items() if value}


def _device(accelerator: str) -> str:
    if accelerator in ("cuda", "gpu", "auto") and torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        return f"{card.name}, {card.total_memory / 2**30:.0f} GB"
    return f"{_processor()}, {counted(cores(), 'core')}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _commit() -> str:
    """Return the commit of this checkout, with a note where files differ from it."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head + (" with changes" if changed else "")


def _git(*words: str) -> str:
    command = ["git", "-C", str(REPOSITORY), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
