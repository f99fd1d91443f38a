"""Mistakes on the command line, told in a line or two instead of in Hydra's or argparse's many."""

import contextlib
import errno
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import hydra._internal.utils as inside_hydra
import yaml
from hydra.errors import (
    CompactHydraException,
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
)
from omegaconf.errors import InterpolationResolutionError

from doctune.commands import override, shell_word
from doctune.errors import UserError
from doctune.hydra_messages import (
    INTERVAL,
    in_short,
    interpolation,
    refusal,
    unknown_flag,
    unusable_choice,
)
from src.before.elsewhere import not_installed
from src.before.own_yaml import unreadable_yaml, wrong_content
from src.before.places import all_choices, value_of_flag
from src.before.starting import STARTING, end_at_once, stop
from src.before.typed_words import check_words, from_home
from src.training.model_names import meant_by, registered

# A folder in which nothing can be written.
NO_PLACE = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT),
    *(errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG),
)
# Functions that make folders: what they do not find has no place to be.
MAKES_FOLDERS = ("makedirs", "mkdir")


@contextlib.contextmanager
def hydra_in_short(own_flags: Sequence[str] = (), subject: str | None = None) -> Iterator[None]:
    """Let Hydra tell mistakes on the command line in a line or two.

    Hydra has no hook for that, so the function that prints them is replaced; where a later
    version has none of that name, its own messages stay.

    Args:
        own_flags: those of the door itself, of which Hydra knows nothing.
        subject: the key that a word alone stands for.
    """
    if signal.getsignal(signal.SIGINT) is end_at_once:
        signal.signal(signal.SIGINT, _raise_once)
    report: Callable[[Any], Any] | None = getattr(inside_hydra, "run_and_report", None)

    def report_in_short(work: Callable[[], Any]) -> Any:
        def told() -> Any:
            with _shortened():
                return work()

        return report(told) if report is not None else told()

    if report is not None:
        inside_hydra.run_and_report = report_in_short  # type: ignore[assignment]
    try:
        with _shortened():
            sys.argv[1:] = [from_home(word) for word in sys.argv[1:]]
            words = [word for word in sys.argv[1:] if word not in own_flags]
            for note in check_words(words, subject):
                print(note, file=sys.stderr)
            _check_flags(words, own_flags, [subject] if subject else [])
            yield
    except UserError as error:
        # What Hydra does not report itself, the checks above and its help among it.
        sys.exit(str(error))
    except BrokenPipeError:
        # As of `--help | head`. What is left in the buffer has nowhere to go either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except KeyboardInterrupt:
        # While it starts; whatever has begun to work tells how it goes on.
        stop(STARTING)
    finally:
        if report is not None:
            inside_hydra.run_and_report = report  # type: ignore[assignment]


def _raise_once(number: int, frame: FrameType | None) -> NoReturn:
    """Raise at the first Ctrl-C; a second one ends what that has not ended yet."""
    signal.signal(number, end_at_once)
    raise KeyboardInterrupt


@contextlib.contextmanager
def _shortened() -> Iterator[None]:
    """Make a `UserError` of the mistakes that Hydra tells at length or with a traceback."""
    try:
        yield
    except Exception as error:
        told = _told(error)
        if told is None:
            raise
        raise UserError(told) from None


def _told(error: Exception) -> str | None:
    """Return a mistake of the user in a line; None for what is told already, or is none."""
    words = sys.argv[1:]
    if isinstance(error, ConfigCompositionException):
        for word in words:
            if word.startswith("hydra/sweeper=") and "hydra.sweeper" in str(error):
                return f"{word}: the presets are made for optuna_async; leave this out"
        told = wrong_content(error)
        if told is not None:
            return told
    if isinstance(error, HydraException) and INTERVAL in str(error):
        return in_short(error, words)
    if isinstance(error, MissingConfigException):
        extra = not_installed(error.missing_cfg_file or "")
        if extra is not None:
            return extra
    if isinstance(error, CompactHydraException):
        # Ours are lines already.
        own = type(error).__module__ != "hydra.errors"
        return None if own else in_short(error, words) + _hint(error, words)
    if isinstance(error, InterpolationResolutionError):
        # What was typed may have reached Hydra under another key.
        name = re.search(r"key '([^']+)' not found|variable '([^']+)'", str(error))
        wanted = next(iter(filter(None, name.groups())), "") if name else ""
        typed = (word for word in words if wanted and "${" in word and wanted in word)
        return interpolation(error, next(typed, ""))
    if isinstance(error, yaml.YAMLError):
        return unreadable_yaml(error)
    if isinstance(error, OSError):
        return _no_place(error)
    if isinstance(error, ValueError) and _raised_by(error) == "_run_hydra":
        return str(error)  # flags that exclude one another
    if isinstance(error, ValueError) and str(error).startswith("Config group override must be"):
        choice = unusable_choice(words, all_choices())
        if choice is not None:
            return choice
    return refusal(error)


def _no_place(error: OSError) -> str | None:
    made = error.errno == errno.ENOENT and _raised_by(error) in MAKES_FOLDERS
    if error.filename is None or not (made or error.errno in NO_PLACE):
        return None
    return (
        f"{error.filename}: {os.strerror(error.errno or 0)}; mend it, or take another "
        "folder with paths.multirun_dir or paths.output_dir"
    )


def _raised_by(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return frames[-1].name if frames else ""


def _hint(error: CompactHydraException, words: Sequence[str]) -> str:
    """Return what else a choice that there is not may have meant in this program."""
    if not isinstance(error, MissingConfigException):
        return ""
    missing = error.missing_cfg_file or ""
    given = (word.partition("=") for word in words)
    above, _, choice = missing.rpartition("/")
    inner = above.rpartition("/")[2]
    if "/" in above and choice in all_choices().get(inner, []):
        # From a file of one's own, whose defaults are looked for beside it.
        return f"; in a file of {above.partition('/')[0]}/ write 'override /{inner}: {choice}'"
    group, value = next(((k, v) for k, _, v in given if f"{k}/{v}" == missing), ("", ""))
    if group == "gpu" and re.fullmatch(r"\d+|cuda(:\d+)?", value):
        return (
            "; which of several cards is said by CUDA_VISIBLE_DEVICES, as in CUDA_VISIBLE_DEVICES=0"
        )
    if group == "model":
        name = next(iter(meant_by(value, registered())), value)
        return f"; any model of timm is {shell_word(override('model.name', name))}"
    path = Path(value)
    if group != "data" or not path.exists():
        return ""
    keys = {"root": value}
    if path.is_file():
        keys = {"root": str(path.parent), "csv_file": path.name}
    told = [shell_word(override(f"data.{key}", text)) for key, text in keys.items()]
    source = "csv" if path.is_file() else "image_folder"
    return f"; your own images are data={source} {' '.join(told)}"


def _check_flags(words: Sequence[str], own_flags: Sequence[str], keys: Sequence[str]) -> None:
    """Refuse a flag that is wrong, before Hydra prints the usage of all of them.

    Raises:
        UserError: names the flag and what there is.
    """
    make_parser = getattr(inside_hydra, "get_args_parser", None)
    if make_parser is None:
        return
    config = value_of_flag(words, "--config")
    if config is not None:
        raise UserError(
            f"--config: there is no such flag; an own file is {_as_flags(config)}, a preset "
            "hparams_search=precise (the guide's optuna_config.yaml)"
        )
    parser = make_parser()

    def refuse(message: str) -> None:
        value = re.fullmatch(r"argument (.+): ignored explicit argument '(.*)'", message)
        if value is not None:
            raise UserError(f"{value[1]}: takes no value, and '{value[2]}' follows it")
        raise UserError(message.removeprefix("argument "))

    parser.error = refuse
    _, unknown = parser.parse_known_intermixed_args(list(words))
    if unknown:
        known = re.findall(r"--[a-z-]+", parser.format_usage())
        raise UserError(unknown_flag(unknown[0], [*own_flags, *known], keys))


def _as_flags(config: str) -> str:
    path = Path(config or "FOLDER/NAME.yaml")
    return f"--config-dir={shell_word(str(path.parent))} --config-name={shell_word(path.stem)}"
