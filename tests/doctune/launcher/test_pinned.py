"""Calls in processes of their own, each in its place."""

import os
import time
from concurrent.futures.process import BrokenProcessPool

import pytest
from pebble import ProcessExpired

from doctune.launcher.workers.pinned import call_pinned


def place_of(number: int) -> tuple[int, int, str, str | None]:
    time.sleep(0.05)
    device = os.environ.get("CUDA_VISIBLE_DEVICES")
    return number, os.getpid(), os.environ["WORKER_NAME"], device


def test_each_device_has_a_process_and_every_item_its_result() -> None:
    found = dict(call_pinned(place_of, range(8), 2, ["3", "5"]))
    assert {item: result[0] for item, result in found.items()} == {i: i for i in range(8)}
    places = {result[1:] for result in found.values()}
    assert {(name, device) for _, name, device in places} == {("gpu 3", "3"), ("gpu 5", "5")}
    assert len(places) == 2
    assert os.getpid() not in {pid for pid, _, _ in places}


def fail(number: int) -> int:
    if number == 1:
        raise ValueError("one")
    if number == 2:
        os._exit(3)
    return number


@pytest.mark.parametrize(
    ("items", "error"), [([0, 1], (ValueError,)), ([0, 2], (ProcessExpired, BrokenProcessPool))]
)
def test_what_goes_wrong_is_raised(items: list[int], error: tuple[type[Exception], ...]) -> None:
    with pytest.raises(error):
        list(call_pinned(fail, items, 2, []))
