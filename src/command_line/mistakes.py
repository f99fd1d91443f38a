"""Mistakes on the command line, told in a line or two instead of in Hydra's or argparse's many."""

import contextlib
import errno
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import hydra._internal.utils as inside_hydra
from hydra.errors import CompactHydraException

from src.errors import UserError
from src.sweep.hydra_messages import in_short, refusal, unknown_flag

# A folder in which nothing can be written.
NO_PLACE = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT),
    *(errno.ENOTDIR, errno.EEXIST),
)


@contextlib.contextmanager
def hydra_in_short(own_flags: Sequence[str] = ()) -> Iterator[None]:
    """Let Hydra tell mistakes on the command line in a line or two.

    Hydra has no hook for that, so the function that prints them is replaced; where a later
    version has none of that name, its own messages stay.

    Args:
        own_flags: those of the door itself, of which Hydra knows nothing.
    """
    _check_flags(own_flags)
    report: Callable[[Any], Any] | None = getattr(inside_hydra, "run_and_report", None)
    if report is None:
        yield
        return

    def report_in_short(work: Callable[[], Any]) -> Any:
        def told() -> Any:
            with _shortened():
                return work()

        return report(told)

    inside_hydra.run_and_report = report_in_short  # type: ignore[assignment]
    try:
        yield
    except KeyboardInterrupt:
        # While it starts; whatever has begun to work tells how it goes on.
        print("stopped", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    finally:
        inside_hydra.run_and_report = report  # type: ignore[assignment]


@contextlib.contextmanager
def _shortened() -> Iterator[None]:
    """Make a `UserError` of the mistakes that Hydra tells at length or with a traceback."""
    try:
        yield
    except CompactHydraException as error:
        if type(error).__module__ == "hydra.errors":
            raise UserError(in_short(error)) from None
        raise
    except OSError as error:
        if error.errno not in NO_PLACE or error.filename is None:
            raise
        raise UserError(
            f"{error.filename}: {os.strerror(error.errno)}; mend it, or take another "
            "folder with paths.multirun_dir or paths.output_dir"
        ) from None
    except Exception as error:
        refused = refusal(error)
        if refused:
            raise UserError(refused) from None
        raise


def _check_flags(own_flags: Sequence[str]) -> None:
    """End the program at a flag that is wrong, before Hydra prints the usage of all of them."""
    make_parser = getattr(inside_hydra, "get_args_parser", None)
    if make_parser is None:
        return
    parser = make_parser()
    parser.error = lambda message: sys.exit(message.removeprefix("argument "))
    words = [word for word in sys.argv[1:] if word not in own_flags]
    _, unknown = parser.parse_known_intermixed_args(words)
    if unknown:
        known = re.findall(r"--[a-z-]+", parser.format_usage())
        sys.exit(unknown_flag(unknown[0], [*own_flags, *known]))
