"""The search space: typed entries and Hydra's own sweep grammar, brought together as a tree.

Four sources, the later ones stronger: what an earlier study leads to (`doctune/space/focus.py`),
typed entries (`search_space`), `hydra.sweeper.params`, the command line. A plain value on the
command line takes its key out of the search, a sweep
(`optimizer.lr=tag(log, interval(1e-5, 1e-3))`) puts it in. Parameters are named after the config
key that they set, in all of them, so that a study can be compared with any other.

A searched config group (`model=choice(convnext_tiny, swin_base)`) and a searched key that an
entry's `when` names are roots: they are drawn first, and the job's config under their values
says which other parameters there are, and in which ranges (`low: ${model.lr_low}`). A root that
changes a range has parameters of its own under each value, `optimizer.lr[swin_base]` for
instance, so that a sampler never mixes what it learns about one model into another
(`tests/benchmarks/families.py` compares that with a search for each model).
"""

import functools
import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from omegaconf import DictConfig
from optuna.distributions import BaseDistribution, CategoricalDistribution

from doctune.commands import override
from doctune.errors import UserError
from doctune.shown_keys import shown
from doctune.space.entries import choices, conditions_of, typed_distributions
from doctune.space.grammar import Words
from doctune.space.parameters import NO_PARAMETER, describe, examples, own_value
from doctune.study.study import AS_IN_CONFIG
from doctune.study.warm_start import Defaults
from doctune.words import key_of, settings_of

# Each combination of root values composes a config, which takes a tenth of a second.
MOST_BRANCHES = 256

Distributions = dict[str, BaseDistribution]
# Composes a job's config from its overrides.
Compose = Callable[[list[str]], DictConfig]


@dataclass(frozen=True)
class Branch:
    """What is searched under certain values of the roots."""

    # Parameter name -> range.
    distributions: Distributions
    # A job's config under these values; None in a space without roots.
    config: DictConfig | None = None


@dataclass
class SearchSpace:
    """What is sampled, and what every job is given as it is."""

    # Drawn first, as they decide about all else.
    roots: dict[str, CategoricalDistribution] = field(default_factory=dict)
    # Values of the roots, in their order -> the rest.
    branches: dict[tuple[Any, ...], Branch] = field(default_factory=lambda: {(): Branch({})})
    # Config key -> value as typed, for the record in the study.
    fixed: dict[str, Any] = field(default_factory=dict)
    # Deletions (`~key`), which are passed on untouched.
    passed_on: list[str] = field(default_factory=list)
    # Keys whose choices are written in Hydra's grammar already, as lists and mappings are.
    as_typed: frozenset[str] = frozenset()

    @property
    def distributions(self) -> Distributions:
        """Return every parameter of every branch by its name, the roots first."""
        found: Distributions = dict(self.roots)
        for branch in self.branches.values():
            found.update(branch.distributions)
        return found

    def under(self, decided: Mapping[str, Any]) -> Distributions:
        """Return config key -> range under values of the roots, which may be texts as typed.

        Raises:
            UserError: a root has no such value, or none.
        """
        by_text = {_as_text(values): branch for values, branch in self.branches.items()}
        wanted = [decided.get(key, dist.choices[0]) for key, dist in self.roots.items()]
        branch = by_text.get(_as_text(wanted))
        if branch is None:
            told = ", ".join(
                f"{key}={value}" for key, value in zip(self.roots, wanted, strict=True)
            )
            there = "; ".join(f"{key} in {describe(dist)}" for key, dist in self.roots.items())
            raise UserError(f"{told}: nothing is known about that; there is {there}")
        return {key_of(name): dist for name, dist in branch.distributions.items()}

    def suggest(self, trial: optuna.Trial) -> None:
        """Let the study's sampler draw a trial's parameters: those that apply, and no others."""
        values = tuple(trial._suggest(key, dist) for key, dist in self.roots.items())
        as_in_config = trial.user_attrs.get(AS_IN_CONFIG, ())
        with warnings.catch_warnings():
            # As the config's own value may be.
            warnings.filterwarnings("ignore", "Fixed parameter .* is out of range")
            for name, distribution in self.branches[values].distributions.items():
                if name not in as_in_config:
                    trial._suggest(name, distribution)

    def job_overrides(self, params: Mapping[str, Any]) -> list[str]:
        """Return the overrides of a job with the sampled `params`."""
        sampled = [
            f"{key}={value}"
            if key in self.as_typed and isinstance(value, str)
            else override(key, value)
            for key, value in settings_of(params).items()
        ]
        fixed = [f"{key}={value}" for key, value in self.fixed.items()]
        return [*sampled, *fixed, *self.passed_on]

    def examples(self) -> list[dict[str, Any]]:
        """Return parameter sets that hold every choice and both ends of every range."""
        return [
            {**dict(zip(self.roots, values, strict=True)), **params}
            for values, branch in self.branches.items()
            for params in examples(branch.distributions)
        ]

    def defaults(self, config: DictConfig) -> Defaults:
        """Return the parameters of the config as it is."""
        params: dict[str, Any] = {}
        missing, as_in_config = [], []
        for key, distribution in self.roots.items():
            own = own_value(config, key, distribution, key in self.as_typed)
            if own is NO_PARAMETER:
                missing.append(key)
                own = distribution.choices[0]
            params[key] = own
        branch = self.branches[tuple(params.values())]
        for name, dist in branch.distributions.items():
            key = key_of(name)
            own = own_value(branch.config or config, key, dist, key in self.as_typed)
            if own is NO_PARAMETER:
                as_in_config.append(name)
            else:
                params[name] = own
        return Defaults(params, as_in_config, missing)

    def check_study(self, study: optuna.Study) -> None:
        """Refuse a study whose trials had other choices, which Optuna cannot take together.

        Raises:
            UserError: names the parameter, both sets of choices and the two ways out.
        """
        now = self.distributions
        for trial in study.get_trials(deepcopy=False):
            for name, before in trial.distributions.items():
                try:
                    optuna.distributions.check_distribution_compatibility(
                        before, now.get(name, before)
                    )
                except ValueError:
                    raise UserError(
                        f"study '{study.study_name}' cannot go on: {name} was searched in "
                        f"{describe(before)}, now in {describe(now[name])}.\nGo back to those "
                        f"choices, or start another study with {shown('study_name')}=NAME"
                    ) from None


def build_search_space(
    typed: DictConfig | None,
    params: Sequence[str],
    arguments: Sequence[str],
    config: DictConfig | None = None,
    compose: Compose | None = None,
    base: SearchSpace | None = None,
    *,
    at_once: bool = False,
) -> SearchSpace:
    """Merge the sources.

    Args:
        typed: entries as in `conf/search_space/`.
        params: `hydra.sweeper.params` as overrides.
        arguments: the overrides of the command line.
        config: the config of the search; None: nothing is conditional.
        compose: composes the config of a job.
        base: what is searched where no other source says something.
        at_once: leave out of typed entries what may take its time, as `typed_distributions` does.

    Raises:
        UserError: an entry is wrong; the message names it.
    """
    words = Words([*params, *arguments])
    swept, fixed = words.swept, words.fixed
    base = base or SearchSpace()
    read = functools.partial(typed_distributions, at_once=at_once)
    found = read(typed, config)
    roots = {**base.roots, **found, **swept}
    roots = {key: dist for key, dist in roots.items() if key not in fixed}
    as_typed = frozenset(words.as_typed) | (base.as_typed - fixed.keys() - swept.keys())
    space = SearchSpace({}, {}, fixed, words.passed_on, as_typed)
    if config is not None and compose is not None:
        space.roots = _find_roots(roots, typed, config, base)
    if space.roots and compose is not None:
        space.branches = _name(_grow(space, swept, compose, base, read), list(space.roots))
        return space
    flat = {**base.under(fixed), **found, **swept}
    space.branches = {(): Branch({key: d for key, d in flat.items() if key not in fixed})}
    return space


def _find_roots(
    flat: Distributions, typed: DictConfig | None, config: DictConfig, base: SearchSpace
) -> dict[str, CategoricalDistribution]:
    named = {key: where for where, when in conditions_of(typed).items() for key in when}
    roots = {}
    for key, distribution in flat.items():
        if key not in named and key not in choices(config) and key not in base.roots:
            continue
        if not isinstance(distribution, CategoricalDistribution):
            where = f"{named[key]}.when" if key in named else key
            raise UserError(f"{where}: '{key}' is searched as a range; it must be choices there")
        roots[key] = distribution
    return roots


def _grow(
    space: SearchSpace,
    swept: Distributions,
    compose: Compose,
    base: SearchSpace,
    read: Callable[[DictConfig, DictConfig], Distributions],
) -> dict[tuple[Any, ...], Branch]:
    """Read the entries again under each combination of the roots' values."""
    combinations = list(itertools.product(*(dist.choices for dist in space.roots.values())))
    if len(combinations) > MOST_BRANCHES:
        raise UserError(
            f"{' x '.join(space.roots)}: {len(combinations)} combinations decide about other "
            f"parameters; at most {MOST_BRANCHES} are possible, so search fewer together"
        )
    branches = {}
    for values in combinations:
        decided = dict(zip(space.roots, values, strict=True))
        config = compose(space.job_overrides(decided))
        found = {
            **base.under({**space.fixed, **decided}),
            **read(config.hydra.sweeper.search_space, config),
            **swept,
        }
        rest = {
            key: dist
            for key, dist in found.items()
            if key not in space.fixed and key not in space.roots
        }
        branches[values] = Branch(rest, config)
    return branches


def _name(
    branches: dict[tuple[Any, ...], Branch], roots: Sequence[str]
) -> dict[tuple[Any, ...], Branch]:
    """Add the values of the roots that change a range to the names of all parameters."""
    keys = dict.fromkeys(key for branch in branches.values() for key in branch.distributions)
    telling = [
        place for place in range(len(roots)) if any(_changes(place, key, branches) for key in keys)
    ]
    named = {}
    for values, branch in branches.items():
        label = ",".join(str(values[place]) for place in telling)
        distributions = {
            f"{key}[{label}]" if label else key: distribution
            for key, distribution in branch.distributions.items()
        }
        named[values] = Branch(distributions, branch.config)
    return named


def _changes(place: int, key: str, branches: dict[tuple[Any, ...], Branch]) -> bool:
    """Tell whether a key's range changes with the root at `place`, the others being equal."""
    by_others: dict[tuple[Any, ...], BaseDistribution] = {}
    return any(
        by_others.setdefault((*values[:place], *values[place + 1 :]), branch.distributions[key])
        != branch.distributions[key]
        for values, branch in branches.items()
        if key in branch.distributions
    )


def _as_text(values: Sequence[Any]) -> tuple[str, ...]:
    return tuple(override("", value).strip("='\"") for value in values)
