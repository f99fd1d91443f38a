"""What a study begins with: the defaults, and the best of an earlier one.

Warm start: the best parameters of an earlier study, or of a file, are tried first.

What helps on one study usually helps on the next one like it, and a sampler that has seen good
points early spends its trials near them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from yaml import YAMLError  # type: ignore[import-untyped]

from doctune.errors import UserError
from doctune.shown_keys import shown
from doctune.study.study import AS_IN_CONFIG, load_study
from doctune.words import key_of, settings_of

# None is a value that a parameter may have.
ABSENT: Any = object()


@dataclass(frozen=True)
class Defaults:
    """The parameters of the config as it is."""

    # A number that is not searched is here all the same, outside of its range.
    params: dict[str, Any]
    # Parameters that have no such value: their job takes it from the config.
    as_in_config: list[str]
    # Roots whose own value is not searched. They have their first choice here, and the trial is
    # that of another config.
    missing: list[str]


@dataclass(frozen=True)
class FirstTrials:
    """The trials that come before those of the sampler."""

    # Of the config as it is; None: it is no trial of its own.
    defaults: Defaults | None
    # As `optuna.from_study`: a study or a file; and how many of a study's best.
    from_study: str | None
    n_best: int

    def queue(
        self, study: optuna.Study, distributions: Mapping[str, BaseDistribution], url: str
    ) -> list[str]:
        """Queue them, or what is missing of them, as an error may have cut it short.

        Args:
            study: new, or one in which the sampler's turn may have come already.
            distributions: the search space.
            url: of the storage.

        Returns:
            What to tell the user.

        Raises:
            UserError: what `from_study` names cannot be read or does not fit.
        """
        trials = study.get_trials(deepcopy=False)
        if any(trial.state is not TrialState.WAITING for trial in trials):
            if self.from_study is None or any("from_study" in t.user_attrs for t in trials):
                return []
            return [
                f"{shown('from_study')}={self.from_study} is left out: study {study.study_name} "
                f"has begun without it; start another with {shown('study_name')}=NAME"
            ]
        told = []
        if self.defaults is not None:
            attrs: dict[str, Any] = {"defaults": True}
            if self.defaults.missing:
                attrs = {}
                told.append(
                    "no trial stands for the config as it is: its own "
                    f"{', '.join(self.defaults.missing)} is not among the choices"
                )
            if self.defaults.as_in_config:
                attrs[AS_IN_CONFIG] = self.defaults.as_in_config
            params = dict(self.defaults.params)
            study.enqueue_trial(params, user_attrs=attrs, skip_if_exists=True)
        if self.from_study is not None:
            count = warm_start(study, distributions, self.from_study, self.n_best, url)
            told.append(f"the best {count} of {self.from_study} run first")
        return told


Params = dict[str, Any]


def warm_start(
    study: optuna.Study,
    distributions: Mapping[str, BaseDistribution],
    source: str,
    n_best: int,
    url: str,
) -> int:
    """Queue good parameters in `study`, which is new; what is queued already is not queued again.

    Args:
        study: where they are queued.
        distributions: the search space; parameters outside of it are left out, values outside of
            a range are moved to its nearest end, other choices are left to the sampler.
        source: the name of a study in the same storage, or the path of a YAML file with one set
            of parameters or a list of them.
        n_best: how many of an earlier study's complete trials.
        url: of the storage.

    Returns:
        How many were queued; equal ones count once.

    Raises:
        UserError: no such study or file, it has no complete trial, or no parameter in common.
    """
    found = _read(source, n_best, url)
    queued: list[Params] = []
    for params, origin in found:
        fitting = fit_into(distributions, params)
        if fitting and fitting not in queued:
            attrs = {"from_study": origin}
            study.enqueue_trial(fitting, user_attrs=attrs, skip_if_exists=True)
            queued.append(fitting)
    if not queued:
        raise UserError(
            f"{shown('from_study')}={source}: none of its parameters is searched here; "
            f"these are: {', '.join(distributions)}"
        )
    return len(queued)


def check_source(source: str, url: str) -> None:
    """Check that there is what `optuna.from_study` names, and that it has parameters.

    Raises:
        UserError: no such study or file, or it has no complete trial.
    """
    _read(source, 1, url)


def _read(source: str, n_best: int, url: str) -> list[tuple[Params, str]]:
    return _from_file(Path(source)) if is_file(source) else _from_study(source, n_best, url)


def best_trials(study: optuna.Study, n_best: int) -> list[FrozenTrial]:
    """Return the best complete trials, of several objectives the Pareto front first."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    sign = -1 if study.directions[0] == StudyDirection.MAXIMIZE else 1
    ranked = sorted(complete, key=lambda trial: sign * trial.values[0])
    if len(study.directions) > 1:
        front = {trial.number for trial in study.best_trials}
        ranked.sort(key=lambda trial: trial.number not in front)
    return ranked[:n_best]


def fit_into(distributions: Mapping[str, BaseDistribution], params: Mapping[str, Any]) -> Params:
    """Return the parameters that a search space has, moved into its ranges.

    A value is offered to every parameter that sets its key, `optimizer.lr` to
    `optimizer.lr[swin_base]`; the trial takes the one that applies.
    """
    fitting: Params = {}
    by_key = settings_of(params)
    for name, dist in distributions.items():
        value = params.get(name, by_key.get(key_of(name), ABSENT))
        if value is ABSENT:
            continue
        if isinstance(dist, CategoricalDistribution):
            if value in dist.choices:
                fitting[name] = value
        elif isinstance(dist, (FloatDistribution, IntDistribution)) and not isinstance(value, str):
            moved = min(max(value, dist.low), dist.high)
            fitting[name] = round(moved) if isinstance(dist, IntDistribution) else float(moved)
    return fitting


def earlier_study(name: str, url: str) -> optuna.Study:
    """Open the study that `optuna.from_study` names.

    Raises:
        UserError: there is none.
    """
    try:
        return load_study(url, name)
    except UserError as error:
        raise UserError(f"{shown('from_study')}={name}: {error}") from None


def is_file(source: str) -> bool:
    """Tell whether `optuna.from_study` names a file of parameters, not a study."""
    return source.endswith((".yaml", ".yml"))


def _from_study(name: str, n_best: int, url: str) -> list[tuple[Params, str]]:
    earlier = earlier_study(name, url)
    best = best_trials(earlier, n_best)
    if not best:
        raise UserError(f"{shown('from_study')}={name}: the study has no complete trial yet")
    return [(trial.params, f"{name}, trial {trial.number}") for trial in best]


def _from_file(path: Path) -> list[tuple[Params, str]]:
    try:
        content: Any = OmegaConf.to_container(OmegaConf.load(path))
    except FileNotFoundError:
        raise UserError(f"{shown('from_study')}={path}: no such file") from None
    except (YAMLError, OmegaConfBaseException, OSError) as error:
        raise UserError(f"{shown('from_study')}={path}: cannot be read ({error})") from error
    sets = content if isinstance(content, list) else [content]
    if not all(isinstance(params, dict) for params in sets):
        raise UserError(
            f"{shown('from_study')}={path}: write parameters as 'key: value' lines, or "
            "a list of such"
        )
    return [(params, str(path)) for params in sets]
