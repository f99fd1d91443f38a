"""The search space: typed entries and Hydra's own sweep grammar, brought together as a tree.

Three sources, the later ones stronger: typed entries (`search_space`), `hydra.sweeper.params`,
the command line. A plain value on the command line takes its key out of the search, a sweep
(`optimizer.lr=tag(log, interval(1e-5, 1e-3))`) puts it in. Parameters are named after the
config key that they set, in all three, so that a study can be compared with any other.

A searched config group (`model=choice(convnext_tiny, swin_base)`) and a searched key that an
entry's `when` names are roots: they are drawn first, and the job's config under their values
says which other parameters there are, and in which ranges (`low: ${model.lr_low}`). A root that
changes a range has parameters of its own under each value, `optimizer.lr[swin_base]` for
instance, so that a sampler never mixes what it learns about one model into another
(`tests/benchmarks/families.py` compares that with a search for each model).
"""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from hydra.core.override_parser.types import Quote, QuotedString
from hydra_plugins.hydra_optuna_sweeper._impl import create_params_from_overrides
from omegaconf import DictConfig
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from src.sweep.conditions import choices, value_of
from src.sweep.entries import conditions_of, typed_distributions
from src.sweep.errors import SweepError

# Texts that Hydra's grammar reads as something else.
RESERVED = ("null", "true", "false", "nan", "inf")
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
    # Keys whose choices come from Hydra's grammar and are written in it already.
    as_typed: frozenset[str] = frozenset()

    @property
    def distributions(self) -> Distributions:
        """Return every parameter of every branch by its name, the roots first."""
        found: Distributions = dict(self.roots)
        for branch in self.branches.values():
            found.update(branch.distributions)
        return found

    def suggest(self, trial: optuna.Trial) -> None:
        """Let the study's sampler draw a trial's parameters: those that apply, and no others."""
        values = tuple(trial._suggest(key, dist) for key, dist in self.roots.items())
        for name, distribution in self.branches[values].distributions.items():
            trial._suggest(name, distribution)

    def job_overrides(self, params: Mapping[str, Any]) -> list[str]:
        """Return the overrides of a job with the sampled `params`."""
        sampled = [
            f"{key}={value}" if key in self.as_typed else to_override(key, value)
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

    def defaults(self, config: DictConfig) -> dict[str, Any]:
        """Return the config's own values where they are in the space, the nearest elsewhere.

        A root whose own value is no choice takes its first one.
        """
        values = []
        for key, distribution in self.roots.items():
            own = value_of(config, key)
            values.append(own if own in distribution.choices else distribution.choices[0])
        branch = self.branches[tuple(values)]
        return {
            **dict(zip(self.roots, values, strict=True)),
            **defaults_within(branch.distributions, branch.config or config),
        }

    def check_study(self, study: optuna.Study) -> None:
        """Refuse a study whose trials had other choices, which Optuna cannot take together.

        Raises:
            SweepError: names the parameter, both sets of choices and the two ways out.
        """
        now = self.distributions
        for trial in study.get_trials(deepcopy=False):
            for name, before in trial.distributions.items():
                try:
                    optuna.distributions.check_distribution_compatibility(
                        before, now.get(name, before)
                    )
                except ValueError:
                    raise SweepError(
                        f"study '{study.study_name}' cannot go on: {name} was searched in "
                        f"{describe(before)}, now in {describe(now[name])}.\nGo back to those "
                        "choices, or start another study with optuna.study_name=NAME"
                    ) from None


def build_search_space(
    typed: DictConfig | None,
    params: Sequence[str],
    arguments: Sequence[str],
    config: DictConfig | None = None,
    compose: Compose | None = None,
) -> SearchSpace:
    """Merge the three sources.

    Args:
        typed: entries as in `conf/search_space/`.
        params: `hydra.sweeper.params` as overrides.
        arguments: the overrides of the command line.
        config: the config of the search; None: nothing is conditional.
        compose: composes the config of a job.

    Raises:
        SweepError: an entry is wrong; the message names it.
    """
    swept, fixed, passed_on = _read_grammar([*params, *arguments])
    flat = {**typed_distributions(typed, config), **swept}
    flat = {key: dist for key, dist in flat.items() if key not in fixed}
    space = SearchSpace({}, {(): Branch(flat)}, fixed, passed_on, frozenset(swept))
    if config is None or compose is None:
        return space
    space.roots = _find_roots(flat, typed, config)
    if space.roots:
        space.branches = _name(_grow(space, swept, compose), list(space.roots))
    return space


def _read_grammar(texts: Sequence[str]) -> tuple[Distributions, dict[str, Any], list[str]]:
    """Return what overrides sweep, fix and delete; the later ones win."""
    swept: Distributions = {}
    fixed: dict[str, Any] = {}
    passed_on: list[str] = []
    for text in texts:
        try:
            sweep, value, deletion = create_params_from_overrides([text])
        except (ValueError, AssertionError, NotImplementedError) as error:
            raise SweepError(f"{text}: {error}") from error
        for key in sweep:
            fixed.pop(key, None)
        for key in value:
            swept.pop(key, None)
        swept.update(sweep)
        fixed.update(value)
        passed_on.extend(deletion)
    return swept, fixed, passed_on


def _find_roots(
    flat: Distributions, typed: DictConfig | None, config: DictConfig
) -> dict[str, CategoricalDistribution]:
    named = {key: where for where, when in conditions_of(typed).items() for key in when}
    roots = {}
    for key, distribution in flat.items():
        if key not in named and key not in choices(config):
            continue
        if not isinstance(distribution, CategoricalDistribution):
            where = f"{named[key]}.when" if key in named else key
            raise SweepError(f"{where}: '{key}' is searched as a range; it must be choices there")
        roots[key] = distribution
    return roots


def _grow(
    space: SearchSpace, swept: Distributions, compose: Compose
) -> dict[tuple[Any, ...], Branch]:
    """Read the entries again under each combination of the roots' values."""
    combinations = list(itertools.product(*(dist.choices for dist in space.roots.values())))
    if len(combinations) > MOST_BRANCHES:
        raise SweepError(
            f"{' x '.join(space.roots)}: {len(combinations)} combinations decide about other "
            f"parameters; at most {MOST_BRANCHES} are possible, so search fewer together"
        )
    branches = {}
    for values in combinations:
        config = compose(space.job_overrides(dict(zip(space.roots, values, strict=True))))
        found = {**typed_distributions(config.hydra.sweeper.search_space, config), **swept}
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


def settings_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a trial's parameters set: config key -> value."""
    return {key_of(name): value for name, value in params.items()}


def key_of(name: str) -> str:
    """Return the config key that a parameter sets: `optimizer.lr` for `optimizer.lr[swin_base]`."""
    return name.partition("[")[0]


def describe(distribution: BaseDistribution) -> str:
    """Write a range for the user."""
    if isinstance(distribution, CategoricalDistribution):
        return "{" + ", ".join(str(choice) for choice in distribution.choices) + "}"
    if isinstance(distribution, (FloatDistribution, IntDistribution)):
        scale = " (log)" if distribution.log else ""
        return f"{distribution.low:g}..{distribution.high:g}{scale}"
    return str(distribution)


def to_override(key: str, value: Any) -> str:
    """Write a sampled value the way Hydra reads it back."""
    if value is None:
        return f"{key}=null"
    if isinstance(value, bool):
        return f"{key}={str(value).lower()}"
    if isinstance(value, str) and (
        not re.fullmatch(r"[A-Za-z_][\w.-]*", value) or value.lower() in RESERVED
    ):
        return f"{key}={QuotedString(value, Quote.single).with_quotes()}"
    return f"{key}={value}"


def examples(distributions: Mapping[str, BaseDistribution]) -> list[dict[str, Any]]:
    """Return parameter sets that together name every choice and both ends of every range."""
    ends: dict[str, list[Any]] = {}
    for name, dist in distributions.items():
        if isinstance(dist, CategoricalDistribution):
            ends[name] = list(dist.choices)
        elif isinstance(dist, (FloatDistribution, IntDistribution)):
            ends[name] = [dist.low, dist.high]
    longest = max((len(values) for values in ends.values()), default=1)
    return [
        {name: values[min(i, len(values) - 1)] for name, values in ends.items()}
        for i in range(longest)
    ]


def defaults_within(
    distributions: Mapping[str, BaseDistribution], config: DictConfig
) -> dict[str, Any]:
    """Return the config's own values of the searched keys, moved to the nearest end of a range.

    Keys whose value is not among the choices are left to the sampler.
    """
    found: dict[str, Any] = {}
    for name, dist in distributions.items():
        value = value_of(config, key_of(name))
        if isinstance(dist, CategoricalDistribution):
            if value in dist.choices:
                found[name] = value
        elif isinstance(dist, (FloatDistribution, IntDistribution)) and value is not None:
            found[name] = min(max(value, dist.low), dist.high)
    return found
