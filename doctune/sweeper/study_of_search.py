"""The study of a search: found, checked, opened, and what is kept with it."""

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import optuna
from omegaconf import DictConfig, OmegaConf
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from doctune.commands import override, shell_word
from doctune.errors import UserError
from doctune.passwords import without_passwords
from doctune.shown_keys import is_named_by_time, shown
from doctune.space.entries import choices
from doctune.space.record import record_space
from doctune.space.search_space import SearchSpace
from doctune.study.location import study_location
from doctune.study.lock import creation_lock, study_lock
from doctune.study.settings import check_quick_settings
from doctune.study.storage import open_storage
from doctune.study.study import check_folder, existing_study, open_study
from doctune.study.warm_start import FirstTrials, check_source
from doctune.study.window import windowed
from doctune.sweeper.config import OptunaAsyncSweeperConf
from doctune.sweeper.records import shell_command

log = logging.getLogger(__name__)


class StudyOfSearch:
    """Where the study of a search lies, and how it is opened.

    Args:
        keys: of the sweeper.
        config: of the whole search.
    """

    def __init__(self, keys: OptunaAsyncSweeperConf, config: DictConfig) -> None:
        self._keys, self._config = keys, config
        self.url, self.name = study_location(config.hydra)

    def lock(self) -> AbstractContextManager[None]:
        """Return the study's lock, of all processes that search in it."""
        return study_lock(self.url, open_storage(self.url), self.name)

    def creation_lock(self) -> AbstractContextManager[None]:
        """Return what is to be held while a trial is created and nothing else is decided."""
        return creation_lock(self.url, open_storage(self.url), self.name)

    def check(self) -> None:
        """Tell what is wrong with the storage or the study before anything is read for it.

        Raises:
            UserError: names the key and what to do.
        """
        keys = self._keys
        study = existing_study(self.url, self.name)
        if study is None and keys.join:
            raise UserError(f"{shown('study_name')}={self.name}: there is no such study to join")
        if study is None and keys.from_study is not None and keys.focus is None:
            check_source(keys.from_study, self.url)
        if study is not None and keys.settings is not None and not keys.accept_changes:
            check_quick_settings(study, keys.settings, keys.assumed_settings or {})

    def how_it_goes_on(self) -> str:
        """Say which command goes on with this study.

        One that lies in its folder, or is named after it, is not found again by the same command
        where Hydra names the folder by the time.
        """
        hydra = self._config.hydra
        of_folder = not hydra.sweeper.storage or not hydra.sweeper.study_name
        if not of_folder or not is_named_by_time(self._config):
            return f"The same command goes on:\n  {shell_command()}"
        folder = shell_word(override("hydra.sweep.dir", hydra.sweep.dir))
        return f"The same command in this folder goes on:\n  {shell_command()} {folder}"

    def settings(self) -> dict[str, Any]:
        """Return what makes scores comparable, as it is now."""
        if self._keys.settings is None:
            return {}
        found: Any = OmegaConf.to_container(self._keys.settings, resolve=True)
        return dict(found)

    def open(
        self, folder: Path, directions: Any, sampler: BaseSampler, pruner: BasePruner
    ) -> optuna.Study:
        """Open or create the study, for a search into a folder.

        Raises:
            UserError: it belongs to another folder, or other settings.
        """
        keys = self._keys
        study = open_study(
            self.url,
            self.name,
            directions,
            sampler=windowed(sampler, keys.sampler_trials),
            pruner=pruner,
            settings=self.settings(),
            accept_changes=keys.accept_changes,
            assumed=keys.assumed_settings,
        )
        if keys.metric_names:
            study.set_metric_names(list(keys.metric_names))
        log.info("study %s, %s trials asked for", study.study_name, keys.n_trials)
        check_folder(study, folder)
        return study

    def remember(
        self, study: optuna.Study, space: SearchSpace, folder: str, arguments: Sequence[str]
    ) -> None:
        """Keep with the study what results and later searches ask it for.

        Args:
            study: of the search.
            space: that is searched.
            folder: of the results.
            arguments: as they were typed.
        """
        study.set_user_attr("command", shell_command())
        study.set_user_attr("folder", folder)
        study.set_user_attr("overrides", [without_passwords(word) for word in arguments])
        study.set_user_attr("choices", dict(choices(self._config)))
        if self._keys.places is not None:
            study.set_user_attr("places", OmegaConf.to_container(self._keys.places, resolve=True))
        record_space(study, space)

    def queue_first_trials(self, study: optuna.Study, space: SearchSpace) -> list[str]:
        """Queue the defaults and the best of an earlier study; return what to say of it."""
        first = FirstTrials(
            defaults=space.defaults(self._config) if self._keys.start_with_defaults else None,
            from_study=self._keys.from_study,
            n_best=self._keys.from_study_trials,
        )
        return list(first.queue(study, space.distributions, self.url))
