"""The password of a storage stays out of all that is written.

Hydra writes the config and the command line of every job, we write the command that goes on.
A password in a storage URL is therefore moved into an environment variable before any of it is
written, where jobs find it; the URL goes on without. Users do better to set it there themselves,
or to leave it to the database's own ways (`PGPASSWORD`, `~/.pgpass`), as other users of the
machine can read a command line.
"""

import os
import re
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict, read_write
from sqlalchemy.engine import URL

VARIABLE = "STORAGE_PASSWORD"

# What Hydra writes for each job anew, from the overrides.
OF_HYDRA = ("hydra.overrides", "hydra.job", "hydra.runtime")

# scheme://user:password@, as SQLAlchemy reads it: a password with an @ has to be written as %40, a
# slash may stand in it as it is.
_WITH_PASSWORD = re.compile(
    r"(?P<user>[a-z][a-z0-9+.]*://[^\s:/@'\"]*):(?P<secret>[^\s@'\"]+)@", re.IGNORECASE
)


def add_password(parsed: URL, environment: Mapping[str, str]) -> URL:
    """Return the URL with the password of the environment, if it names a user and has none."""
    if parsed.username and parsed.password is None and VARIABLE in environment:
        return parsed.set(password=environment[VARIABLE])
    return parsed


def without_passwords(text: str) -> str:
    """Return `text` with the passwords of all URLs in it left out."""
    return _WITH_PASSWORD.sub(r"\g<user>@", text)


class StoragePassword:
    """The password of `hydra.sweeper.storage`, if there is one in the URL."""

    def __init__(self, config: DictConfig) -> None:
        self._config = config
        url = str(OmegaConf.select(config, "hydra.sweeper.storage"))
        self._found = _WITH_PASSWORD.search(url)

    def hide(self, environment: MutableMapping[str, str] = os.environ) -> list[str]:
        """Move the password from the config, which is changed, into the environment.

        Returns:
            Overrides with which every job composes its config without the password.
        """
        if self._found is None:
            return []
        environment[VARIABLE] = unquote(self._found["secret"])
        # Hydra's own picture of the config goes to jobs in other processes as well.
        if HydraConfig.initialized():
            self._strip_all(HydraConfig.instance().cfg)
        return [
            f"{key}='{text}'"
            for key, text in self._strip_all(self._config)
            if not key.startswith(OF_HYDRA)
        ]

    def _strip_all(self, config: Any) -> list[tuple[str, str]]:
        """Take the password out of a config; return the keys and values that held it."""
        changed = []
        for node, name, text in list(_texts(config)):
            if self._found is None or self._found[0] not in text:
                continue
            # Hydra's own node is closed to changes by mistake, which this is not.
            with read_write(node), open_dict(node):
                node[name] = self.strip(text)
            changed.append((node._get_full_key(name), self.strip(text)))
        return changed

    def strip(self, text: str) -> str:
        """Return `text` without the password."""
        return text.replace(self._found[0], f"{self._found['user']}@") if self._found else text


def _texts(node: DictConfig | ListConfig) -> Iterator[tuple[Any, Any, str]]:
    """Yield node, name and text of every value that is written down, not interpolated."""
    if node._is_none() or node._is_missing() or node._is_interpolation():
        return
    names: Any = range(len(node)) if isinstance(node, ListConfig) else list(node.keys())
    for name in names:
        child: Any = node._get_node(name)
        if isinstance(child, (DictConfig, ListConfig)):
            yield from _texts(child)
        elif isinstance(child._value(), str):
            yield node, name, child._value()
