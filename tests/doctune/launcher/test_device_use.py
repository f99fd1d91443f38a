"""What the display shows of the devices, and that it asks for those of the workers alone."""

import io
from types import SimpleNamespace
from typing import Any

import optuna
import pynvml
import pytest
from rich.console import Console

from doctune.launcher.plugin import WorkersLauncher
from doctune.launcher.workers.device_use import GIB, device_lines
from doctune.study.budget import Budget
from doctune.sweeper.display import make_display

CARDS = {0: (97, 7.1), 1: (3, 0.5)}


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    def handle(index: int) -> int:
        if index not in CARDS:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return index

    def memory(index: int) -> Any:
        return SimpleNamespace(used=CARDS[index][1] * GIB, total=9.8 * GIB)

    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", handle)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByUUID", lambda uuid: 1)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", memory)
    monkeypatch.setattr(
        pynvml,
        "nvmlDeviceGetUtilizationRates",
        lambda index: SimpleNamespace(gpu=CARDS[index][0]),
    )


@pytest.mark.usefixtures("two_cards")
def test_a_line_for_each_device_of_the_workers() -> None:
    launcher = WorkersLauncher(n_workers=4, devices=["0", "0", "GPU-8f2", "7"], preload=[])
    assert launcher.device_lines() == [
        "gpu 0  97 % busy, 7.1 of 9.8 GB used",
        "gpu GPU-8f2  3 % busy, 0.5 of 9.8 GB used",
    ]


def test_no_line_where_there_is_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", fail)
    assert device_lines(["0"]) == []


@pytest.mark.usefixtures("two_cards")
def test_the_live_display_shows_them() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120)
    study = optuna.create_study()
    display = make_display(
        study, Budget(n_trials=3, n_jobs=1), console, lambda: device_lines(["1"])
    )
    display.start()
    display.stop()
    assert "gpu 1  3 % busy, 0.5 of 9.8 GB used" in screen.getvalue()
