"""`python -m src.worker study=NAME` is the command of the search itself, joined from anywhere.

The study keeps the words that its search was started with. What they say of the machine of the
search is left out: its launcher, its folders, how many trials it runs at a time.
"""

from argparse import Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser

from doctune.commands import override
from doctune.errors import UserError
from src.before.earlier_search import flags_and_overrides
from src.before.places import CONF

# Beginnings of what belongs to the machine of the search.
OF_ITS_MACHINE = ("hydra/launcher", "hydra.launcher", "hydra.sweep.", "hydra.run.", "paths")
OF_ITS_PROCESS = ("optuna.n_jobs", "optuna.storage", "optuna.study_name")


def as_its_search(words: Sequence[str]) -> list[str]:
    """Return the command line of a search for that of a worker.

    Args:
        words: `study=NAME`, and keys that hold on this machine.

    Raises:
        UserError: no name, or no study of that name there.
    """
    if any(word in ("--help", "-h") for word in words):
        return list(words)
    try:
        flags = flags_and_overrides(words)
    except ValueError:
        # Told by Hydra.
        return list(words)
    named = [word for word in flags.overrides if word.startswith("study=")]
    own = [word for word in flags.overrides if word not in named]
    # Without quotes of Hydra's grammar.
    name = str(OverridesParser.create().parse_override(named[-1]).value()) if named else ""
    url = _storage(flags, own)
    attrs = _attributes(url, name)
    keys = {_key(word) for word in own}
    kept = [word for word in attrs["overrides"] if _is_of_the_search(word, keys)]
    joined = [
        override("optuna.storage", url),
        override("optuna.study_name", name),
        "hydra.sweeper.join=true",
    ]
    rest = [word for word in words if word not in named]
    given = [word for word in joined if _key(word) not in keys]
    return ["--multirun", *kept, *given, *rest]


def _is_of_the_search(word: str, own: Iterable[str]) -> bool:
    key = _key(word)
    return not (key.startswith(OF_ITS_MACHINE) or key in OF_ITS_PROCESS or key in own)


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


def _storage(flags: Namespace, own: Sequence[str]) -> str:
    """Return the URL of the storage, a file by its whole path."""
    # Imported here, as Optuna comes along.
    from doctune.study.location import counted_from

    with initialize_config_dir(CONF):
        cfg = compose(flags.config_name or "train", list(own))
    return counted_from(Path.cwd(), str(cfg.optuna.storage))


def _attributes(url: str, name: str) -> dict[str, Any]:
    """Return what the study keeps of its search.

    Raises:
        UserError: there is none, or another program has made it.
    """
    from doctune.passwords import without_passwords
    from doctune.study.study import existing_study
    from doctune.words import did_you_mean

    there = f"optuna.storage={without_passwords(url)}"
    study = existing_study(url, name) if name else None
    if study is None:
        names = _names(url)
        hint = f"; there are: {', '.join(names)}" if names else "; it has none yet"
        if name and names:
            hint = did_you_mean(name, names)
        told = f"study={name}: there is none of that name" if name else "study=NAME is missing"
        raise UserError(
            f"{told} in {there}{hint}\nThe study of another machine is reached through its "
            "storage, as in optuna.storage=postgresql://HOST/DATABASE"
        )
    attrs = dict(study.user_attrs)
    if "overrides" not in attrs:
        raise UserError(
            f"study={name}: it was not made by python -m src.train -m, so its config is not known"
        )
    return attrs


def _names(url: str) -> list[str]:
    """Return the studies of a storage; no file is made for it."""
    import optuna

    from doctune.study.storage import existing_storage

    storage = existing_storage(url)
    return [] if storage is None else sorted(optuna.get_all_study_names(storage))
