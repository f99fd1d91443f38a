"""The resolver `${data_fingerprint:}`: what the images and splits of a config are, a short hash.

Importing this file registers it.
"""

from omegaconf import DictConfig, OmegaConf

from src.errors import UserError


def _resolve(*, _root_: DictConfig) -> str:
    # Imported here: the images are read for it, and scikit-learn comes along.
    from src.data.load import data_fingerprint

    try:
        return data_fingerprint(_root_.data)
    except UserError:
        # Told with its reason by the checks before the start.
        return "unreadable"


OmegaConf.register_resolver("data_fingerprint", _resolve, replace=True)
