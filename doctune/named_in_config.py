"""What a config names for execution: made or called only if the app allows it.

A config may come from somebody else, so nothing is called by name except what Hydra's execution
whitelist holds: the app's own, from `hydra.main`, or a narrower one of ours.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from doctune.errors import UserError
from doctune.hydra_messages import without_key


@contextlib.contextmanager
def told_by_key(key: str) -> Iterator[None]:
    """Tell in one line what Hydra refuses or cannot make.

    Args:
        key: of the config, that names it.

    Raises:
        UserError: in place of Hydra's own error.
    """
    try:
        yield
    except InstantiationException as error:
        raise UserError(f"{key}: {without_key(error)}") from error


def call(key: str, name: str, *arguments: Any) -> Any:
    """Call the function that a config names.

    Raises:
        UserError: there is none, or it is not allowed.
    """
    with told_by_key(key):
        function = instantiate({"_target_": name, "_partial_": True})
    return function(*arguments)
