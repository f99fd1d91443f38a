"""Profiles of cards, and the one that fits the machine."""

import re
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from doctune.errors import UserError
from src.before.checks import check_one_card, check_run
from src.hardware import profile
from src.hardware.config import AUTO
from src.hardware.detect import Card
from tests.conftest import Compose


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Card]]:
    """Return the list of cards that the machine seems to have."""
    found: list[Card] = []
    monkeypatch.setattr(profile, "cards", lambda: tuple(found))
    profile.machine_profile.cache_clear()
    yield found
    profile.machine_profile.cache_clear()


@pytest.mark.parametrize(
    ("card", "name"),
    [
        (Card("NVIDIA GeForce RTX 4090", 23.99), "rtx4090"),
        (Card("NVIDIA H100 80GB HBM3", 79.6), "h100"),
        (Card("Tesla T4", 14.8), "t4"),
        (Card("NVIDIA RTX A6000", 47.5), "a100"),
        (Card("NVIDIA GeForce RTX 2060", 5.8), "rtx3070"),
        (Card("NVIDIA GeForce RTX 4080", 15.9), "t4"),
        (Card("NVIDIA GeForce RTX 4090 Laptop GPU", 15.9), "t4"),
        (Card("NVIDIA H100 80GB HBM3 MIG 1g.10gb", 9.8), "rtx3080"),
    ],
)
def test_auto_takes_the_card_by_name_or_by_memory(
    machine: list[Card], card: Card, name: str
) -> None:
    machine.append(card)
    assert profile.machine_profile().name == name


def test_auto_without_a_card_is_the_cpu(machine: list[Card], cfg: Compose) -> None:
    assert profile.machine_profile().name == "cpu"
    config = cfg("gpu=auto")
    assert (config.trainer.accelerator, config.data.img_size) == ("cpu", 64)


def test_trials_that_share_a_card_are_known_to(machine: list[Card], cfg: Compose) -> None:
    machine.append(Card("NVIDIA GeForce RTX 3080", 9.8))
    gpu = cfg("gpu=rtx3080").gpu
    profile.check_jobs(gpu, "cuda", 1)
    profile.check_jobs(gpu, "cpu", 4)
    with pytest.raises(UserError, match=r"optuna.n_jobs=3: .* 1 card, .*trials_per_device=3 too"):
        profile.check_jobs(gpu, "cuda", 3)
    machine.append(machine[0])
    profile.check_jobs(gpu, "cuda", 2)
    gpu.trials_per_device = 2
    profile.check_jobs(gpu, "cuda", 4)


def test_a_card_profile_needs_a_card_unless_told_otherwise(
    machine: list[Card], cfg: Compose
) -> None:
    config = cfg("gpu=rtx4090")
    with pytest.raises(UserError, match=r"gpu=rtx4090: .* no CUDA device; use gpu=auto"):
        profile.check_device(config.gpu, config.trainer.accelerator)
    profile.check_device(config.gpu, "cpu")
    machine.append(Card("NVIDIA GeForce RTX 4090", 24))
    profile.check_device(config.gpu, config.trainer.accelerator)


@pytest.mark.parametrize("name", ["rtx4090", "rtx3080", "rtx3070", "a100", "h100", "t4", "cpu"])
def test_profiles_are_sound(name: str) -> None:
    found = OmegaConf.load(profile.PROFILES / f"{name}.yaml")
    assert found.name == name
    assert list(found.batch_sizes) == sorted(set(found.batch_sizes))
    assert max(found.batch_sizes) <= found.max_batch_size
    assert found.batch_size in found.batch_sizes
    assert found.img_size in found.img_sizes


@pytest.mark.parametrize(
    ("name", "memory", "told"),
    [
        ("rtx4090", 9.8, "24 GB.* 9.8 GB: batches may run out of memory"),
        ("rtx3070", 23.6, "8 GB.* 23.6 GB: larger batches would fit"),
        ("rtx4090", 23.6, None),
        ("cpu", 23.6, None),
    ],
)
def test_a_card_of_another_size_is_told_with_both_memories(
    machine: list[Card], cfg: Compose, name: str, memory: float, told: str | None
) -> None:
    machine.append(Card("some card", memory))
    gpu = cfg(f"gpu={name}").gpu
    warning = profile.differing_card(gpu, "cuda")
    assert warning is None if told is None else warning and re.search(told, warning)
    assert profile.differing_card(gpu, "cpu") is None


def test_the_warning_is_on_the_screen_before_training(
    machine: list[Card], cfg: Compose, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.append(Card("NVIDIA GeForce RTX 3080", 9.8))
    check_run(cfg("gpu=rtx4090"))
    assert "24 GB, but this machine's NVIDIA GeForce RTX 3080" in capsys.readouterr().err


@pytest.mark.parametrize(("cores", "slots"), [(1, 1), (3, 3), (64, profile.MOST_CPU_TRIALS)])
def test_trials_at_a_time_on_a_cpu(monkeypatch: pytest.MonkeyPatch, cores: int, slots: int) -> None:
    monkeypatch.setattr(profile, "cores", lambda: cores)
    # How many share a card says nothing there.
    assert profile.slots("cpu", 3) == profile.slots("cpu", AUTO) == slots


def test_trials_at_a_time_on_cards(machine: list[Card], monkeypatch: pytest.MonkeyPatch) -> None:
    machine.extend([Card("a", 8), Card("b", 8)])
    assert profile.slots("cuda", 2) == 4
    # Of the machine's own cores and memory there are enough for some.
    memory = SimpleNamespace(total=2**40)
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory)
    for cores, slots in ((1, 2), (6, 4), (1000, 16)):
        monkeypatch.setattr(profile, "cores", lambda cores=cores: cores)
        assert profile.slots("cuda", AUTO) == slots
    memory.total = 20 * 2**30
    assert profile.slots("cuda", AUTO) == 5


def test_a_trial_has_one_card(cfg: Compose) -> None:
    with pytest.raises(UserError, match=r"trainer.devices=2: a search gives every trial one card"):
        check_one_card(cfg("trainer.devices=2"), "a search gives every trial")
