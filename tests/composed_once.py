"""Hydra's composing, done once for the same files: most of what a command takes here."""

import contextlib
import copy
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_store import ConfigStore
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import DictConfig

load = ConfigRepository.load_config
put_together = ConfigLoaderImpl._compose_config_from_defaults_list


class _Copies:
    """Hands out copies of what has been read, for whoever writes in it."""

    def __init__(self, repository: Any) -> None:
        self._repository = repository

    def __getattr__(self, name: str) -> Any:
        return getattr(self._repository, name)

    def load_config(self, config_path: str) -> ConfigResult | None:
        found: ConfigResult | None = copy.deepcopy(self._repository.load_config(config_path))
        return found


class _Kept:
    """What has been read and put together in this process."""

    def __init__(self) -> None:
        self._read: dict[Any, tuple[ConfigResult, Any]] = {}
        # Pickled, as to read that takes a fifth of what `deepcopy` does.
        self._made: dict[Any, bytes] = {}

    def load(self, repository: ConfigRepository, path: str) -> ConfigResult | None:
        """Do as `load_config`; the result is for all, and Hydra writes in none of them here."""
        source = repository._find_object_source(path, ObjectType.CONFIG)
        if source is None:
            return None
        state, held = _state(source, path)
        last = source is repository.sources[-1]
        key = (source.scheme(), source.provider, source.path, path, state, last)
        if key not in self._read:
            found = load(repository, path)
            assert found is not None
            self._read[key] = found, held
        return self._read[key][0]

    def put_together(self, loader: ConfigLoaderImpl, defaults: Any, repo: Any) -> DictConfig:
        """Do as `_compose_config_from_defaults_list`; the result is a copy each time."""
        key = tuple(
            (id(repo.load_config(part.config_path)), *vars(part).items()) for part in defaults
        )
        if key not in self._made:
            copies: Any = _Copies(repo)
            self._made[key] = pickle.dumps(put_together(loader, defaults, copies))
        made: DictConfig = pickle.loads(self._made[key])
        return made


def _state(source: ConfigSource, path: str) -> tuple[Any, Any]:
    """Return what differs where a config has changed, and what must stay for it to be so."""
    name = source._normalize_file_name(path)
    if source.scheme() == "structured":
        node = ConfigStore.instance()._load(name).node
        return id(node), node
    file = Path(source.path, name)
    if source.scheme() != "file" or not file.is_file():
        return None, None
    now = file.stat()
    return (now.st_ino, now.st_mtime_ns, now.st_size), None


@contextlib.contextmanager
def composed_once() -> Iterator[None]:
    """Read each config once, and put the same ones together once, while this lasts.

    The words of a command, the values that it sets, and all mistakes are Hydra's as ever.
    """
    kept = _Kept()

    def load_once(self: ConfigRepository, config_path: str) -> ConfigResult | None:
        return kept.load(self, config_path)

    def put_together_once(self: ConfigLoaderImpl, defaults: Any, repo: Any) -> DictConfig:
        return kept.put_together(self, defaults, repo)

    with (
        patch.object(ConfigRepository, "load_config", load_once),
        patch.object(ConfigLoaderImpl, put_together.__name__, put_together_once),
    ):
        yield
