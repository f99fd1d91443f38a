"""The one exception for mistakes that a user can mend."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import hydra._internal.utils as inside_hydra
from hydra.errors import CompactHydraException

from src.sweep.hydra_messages import in_short, refusal


class UserError(CompactHydraException):
    """A wrong value or a missing thing; the message names the key and what to do.

    Hydra prints such an exception as its message alone, without a traceback.
    """


@contextlib.contextmanager
def told_in_one_line() -> Iterator[None]:
    """End the program with the message alone; inside a job Hydra would print a traceback."""
    try:
        yield
    except CompactHydraException as error:
        sys.exit(str(error))


@contextlib.contextmanager
def hydra_in_short() -> Iterator[None]:
    """Let Hydra tell mistakes on the command line in a line or two.

    Hydra has no hook for that, so the function that prints them is replaced; where a later
    version has none of that name, its own messages stay.
    """
    report: Callable[[Any], Any] | None = getattr(inside_hydra, "run_and_report", None)
    if report is None:
        yield
        return

    def report_in_short(work: Callable[[], Any]) -> Any:
        def told() -> Any:
            try:
                return work()
            except CompactHydraException as error:
                if type(error).__module__ == "hydra.errors":
                    raise UserError(in_short(error)) from None
                raise
            except Exception as error:
                refused = refusal(error)
                if refused:
                    raise UserError(refused) from None
                raise

        return report(told)

    inside_hydra.run_and_report = report_in_short  # type: ignore[assignment]
    try:
        yield
    finally:
        inside_hydra.run_and_report = report  # type: ignore[assignment]
