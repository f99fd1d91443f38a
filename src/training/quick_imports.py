"""timm and Lightning without what they import for nobody here, which takes a second.

torchmetrics imports `scipy.signal` for a package of speech metrics, to give it back a function of
older SciPys; timm imports W&B, where it is installed, for a table that it can write. Who trains
imports this file before them. Both are there as usual for whoever imports them later.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def standing_in(name: str, stand_in: ModuleType | None) -> Iterator[None]:
    """Let a module that is not imported yet be another one within the block.

    Args:
        name: of the module.
        stand_in: None: as if it could not be imported.
    """
    if name in sys.modules:
        yield
        return
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    modules[name] = stand_in
    try:
        yield
    finally:
        del modules[name]


_signal = ModuleType("scipy.signal")
_signal.hamming = None  # type: ignore[attr-defined]
with standing_in("scipy.signal", _signal), standing_in("wandb", None):
    import pytorch_lightning as pytorch_lightning
    import timm as timm
