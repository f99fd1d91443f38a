"""Work in threads: it ends when it is told to, and products of matrices start none of their own."""

import threading
from concurrent.futures import CancelledError
from contextvars import copy_context
from itertools import count
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from src.data.threads import TO_END, map_ahead


def of_products() -> set[int]:
    """Return how many threads products may take."""
    np.ones((2, 2)) @ np.ones((2, 2))
    return {
        library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"
    }


@pytest.fixture(autouse=True)
def three_threads() -> Any:
    with threadpool_limits(3, "blas"):
        yield


def test_products_take_one_thread_within_and_as_many_as_before_later() -> None:
    assert list(map_ahead(lambda _: of_products(), range(5), 2)) == [{1}] * 5
    assert of_products() == {3}


def test_work_that_overlaps_ends_in_any_order() -> None:
    first: Any
    second: Any
    first, second = (map_ahead(lambda _: of_products(), range(20), 2) for _ in range(2))
    assert [next(first), next(second)] == [{1}] * 2
    # Nested, too, and after one of them has ended.
    nested = list(map_ahead(lambda _: list(map_ahead(lambda _: of_products(), "ab")), "c", 1))
    assert nested == [[{1}] * 2]
    first.close()
    assert [*second] == [{1}] * 19
    assert of_products() == {3}


def test_nothing_is_left_of_work_that_fails() -> None:
    def fail(_: int) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(map_ahead(fail, range(3)))
    assert of_products() == {3}


def test_work_within_work_ends_with_it() -> None:
    """As the pages of a long PDF, which are read within a thread that reads files."""
    end, done = threading.Event(), 0

    def read(page: int) -> int:
        nonlocal done
        done += 1
        if page == 20:
            end.set()
        return page

    def files() -> None:
        TO_END.set(end)
        list(map_ahead(lambda _: list(map_ahead(read, count(), 2)), ["a.pdf"], 1))

    with pytest.raises(CancelledError):
        copy_context().run(files)
    assert 20 < done < 60
