"""Job configs without composing each anew: what a job only sets is set in a copy.

Hydra reads and merges every YAML file of the config for each job, which takes longer than all
else around a short one. Jobs of a sweep mostly differ in values, so the config is composed once
for each choice of files, and Hydra's own function sets the values in a copy of it.
"""

import pickle
from collections.abc import Mapping, Sequence
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

Templates = Mapping[tuple[str, ...], bytes]


class JobComposer:
    """Composes the configs of a sweep's jobs.

    Args:
        loader: Hydra's, of the sweep.
        master: the sweep's own config.
        templates: of another composer of the same sweep.

    Attributes:
        templates: what chooses files or sets Hydra's own keys -> the config of that, pickled;
            replaced whole, as another thread may be reading.
    """

    def __init__(
        self, loader: ConfigLoader, master: DictConfig, templates: Templates | None = None
    ) -> None:
        self._loader = loader
        self._master = master
        self._groups: dict[str, bool] = {}
        self.templates: Templates = templates or {}
        # A search path of the config's own may bring groups that the loader has not looked up.
        self._copies = isinstance(loader, ConfigLoaderImpl) and not master.hydra.searchpath

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """Return what `ConfigLoader.load_sweep_config` returns for a job.

        Raises:
            hydra.errors.HydraException: as that does.
        """
        words = list(overrides)
        try:
            config = self._by_copy(words)
        except HydraException:
            # Its own words name the place in all that was given.
            config = None
        if config is None:
            return self._loader.load_sweep_config(self._master, words)
        return config

    def _by_copy(self, words: list[str]) -> DictConfig | None:
        parsed = OverridesParser.create().parse_overrides(words) if self._copies else []
        if not parsed or not all(map(self._is_plain, parsed)):
            return None
        values = [each for each in parsed if not self._chooses(each)]
        chosen = tuple(str(each.input_line) for each in parsed if self._chooses(each))
        config = self._copy_with(chosen)
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
        # In the order in which they were given.
        task = [each.input_line for each in parsed if not each.is_hydra_override()]
        config.hydra.overrides.task = task
        OmegaConf.copy_cache(from_config=self._master, to_config=config)
        return config

    def _copy_with(self, words: tuple[str, ...]) -> DictConfig:
        if words not in self.templates:
            template = self._loader.load_sweep_config(self._master, list(words))
            self.templates = {**self.templates, words: pickle.dumps(template)}
        copy: DictConfig = pickle.loads(self.templates[words])
        return copy

    def _is_plain(self, override: Override) -> bool:
        """Tell whether an override does the same in whatever order Hydra meets it with others."""
        if override.is_delete() or override.is_value_path or override.is_sweep_override():
            return False
        return not (self._is_group(override) and isinstance(override.value(), dict))

    def _chooses(self, override: Override) -> bool:
        """Tell whether an override chooses a file, or sets a key of Hydra's own."""
        return override.is_hydra_override() or self._is_group(override)

    def _is_group(self, override: Override) -> bool:
        key = override.key_or_group
        if key not in self._groups:
            loader: Any = self._loader
            self._groups[key] = loader.repository.group_exists(key)
        return self._groups[key]
