"""The space of a search: built of its keys and the command line, refused where it is empty, and the
configs of its jobs."""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from doctune.errors import UserError
from doctune.hydra_messages import as_whole_numbers, in_short
from doctune.launcher.job.composing import JobComposer
from doctune.space.entries import check_condition, choices, conditions_of
from doctune.space.focus import Focus
from doctune.space.focus_rule import FocusRule
from doctune.space.follow import follow
from doctune.space.search_space import SearchSpace, build_search_space
from doctune.sweeper.config import OptunaAsyncSweeperConf
from doctune.sweeper.study_of_search import StudyOfSearch


class SpaceOfSearch:
    """What is to be searched.

    Args:
        keys: of the sweeper.
        config: of the whole search.
        loader: knows what may be chosen of a group.
        composer: of the jobs' configs.
        study: of the search, which may follow an earlier one.
        params: `hydra.sweeper.params` as overrides.
        arguments: the overrides of the command line.
        is_extended: `custom_search_space` adds parameters to each trial.
    """

    def __init__(
        self,
        keys: OptunaAsyncSweeperConf,
        config: DictConfig,
        loader: ConfigLoader,
        composer: JobComposer,
        study: StudyOfSearch,
        params: Sequence[str],
        arguments: Sequence[str],
        *,
        is_extended: bool,
    ) -> None:
        self._keys, self._config, self._study = keys, config, study
        self._loader, self._composer = loader, composer
        self._params, self._arguments, self._is_extended = params, list(arguments), is_extended
        self._composed: dict[tuple[str, ...], DictConfig] = {}

    def build(self, *, at_once: bool = False) -> SearchSpace:
        """Build the space.

        Args:
            at_once: without what may take its time to find out.

        Raises:
            UserError: names what is wrong with an entry.
        """
        for where, when in conditions_of(self._keys.search_space).items():
            check_condition(where, when, self._config, self._loader.get_group_options)
        return build_search_space(
            self._keys.search_space,
            self._params,
            self._arguments,
            self._config,
            self._compose,
            base=None if self.followed is None else self.followed.space,
            at_once=at_once,
        )

    @functools.cached_property
    def followed(self) -> Focus | None:
        """Return the ranges around the best of an earlier study, where the search follows one."""
        keys, study = self._keys, self._study
        if keys.focus is None or not keys.enabled:
            return None
        rule: Any = OmegaConf.to_container(keys.focus, resolve=True) if keys.focus else {}
        return follow(
            keys.from_study, study.url, study.name, FocusRule.read(rule), study.settings()
        )

    def is_empty(self, space: SearchSpace) -> bool:
        """Tell whether trials have no parameters."""
        return not space.distributions and not self._is_extended

    def check_not_empty(self, space: SearchSpace) -> None:
        """Refuse a search of nothing in an app that has typed entries; others run as stock does.

        Raises:
            UserError: says how a key is searched.
        """
        if not self.is_empty(space) or self._keys.search_space is None:
            return
        preset = ""
        if "hparams_search" in choices(self._config):
            preset = "choose a preset (hparams_search=fast), or "
        raise UserError(
            f"there is nothing to search: {preset}give a key a range, as in "
            "'optimizer.lr=tag(log, interval(1e-5, 1e-2))'"
        )

    def check_not_empty_at_once(self) -> None:
        """Refuse a search of nothing where that is known without a look at models or studies.

        Raises:
            UserError: says how a key is searched.
        """
        typed = self._keys.search_space
        entries: Any = OmegaConf.to_container(typed) if typed else {}
        if self._keys.focus is None and not any(entries.values()):
            self.check_not_empty(self.build())

    def jobs_at_once(self) -> Iterator[DictConfig]:
        """Compose the jobs of what is known to be searched at once, each when it is asked for."""
        space = self.build(at_once=True)
        for params in space.examples():
            yield self._compose(space.job_overrides(params))

    def examples(self, space: SearchSpace) -> list[DictConfig]:
        """Compose jobs that hold every choice and both ends of every range."""
        jobs = [self._compose(space.job_overrides(params)) for params in space.examples()]
        # They are many where there are many branches.
        self._composed.clear()
        return jobs

    def _compose(self, overrides: list[str]) -> DictConfig:
        """Compose the config of a job, once; what cannot be is the search space's mistake."""
        words = tuple(overrides)
        try:
            if words not in self._composed:
                self._composed[words] = self._composer.compose(overrides)
            return self._composed[words]
        except HydraException as error:
            told = in_short(error)
            whole = as_whole_numbers(told, self._arguments)
            raise UserError(f"search space: {told}{whole}") from error
