"""What a config names for execution: made or called only if the app allows it.

A config may come from somebody else, so nothing is called by name except what Hydra's execution
whitelist holds: the app's own, from `hydra.main`, or a narrower one of ours.
"""

import contextlib
import importlib.util
from collections.abc import Iterator
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from doctune.errors import UserError, first_line
from doctune.hydra_messages import without_key

# Optuna's samplers that import a package of their own when they draw.
PACKAGES = {"CmaEsSampler": "cmaes", "GPSampler": "torch", "QMCSampler": "scipy"}


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
    except (ValueError, TypeError) as error:
        # What is made refuses its values.
        raise UserError(f"{key}: {first_line(error)}") from error


def check_installed(sampler: Any) -> None:
    """Refuse a sampler whose package is missing, which Optuna would tell in the second trial.

    Raises:
        UserError: names the package.
    """
    package = PACKAGES.get(type(sampler).__name__)
    if package is not None and importlib.util.find_spec(package) is None:
        raise UserError(
            f"hydra/sweeper/sampler: {type(sampler).__name__} needs a package that is not "
            f"installed: pip install {package}"
        )


def call(key: str, name: str, *arguments: Any) -> Any:
    """Call the function that a config names.

    Raises:
        UserError: there is none, or it is not allowed.
    """
    with told_by_key(key):
        function = instantiate({"_target_": name, "_partial_": True})
    return function(*arguments)
