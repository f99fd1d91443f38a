"""What a study has searched, as the study remembers it.

Trials alone do not tell it: they know their own parameters, and not which of these decide about
others.
"""

from typing import Any

import optuna
from optuna.distributions import (
    CategoricalDistribution,
    distribution_to_json,
    json_to_distribution,
)

from doctune.errors import UserError
from doctune.shown_keys import shown
from doctune.space.search_space import Branch, SearchSpace

SPACE = "search_space"


def record_space(study: optuna.Study, space: SearchSpace) -> None:
    """Keep the space with the study."""
    known = {name: distribution_to_json(dist) for name, dist in space.distributions.items()}
    record = {
        "roots": list(space.roots),
        "branches": [
            [list(values), list(branch.distributions)] for values, branch in space.branches.items()
        ],
        "distributions": known,
        "as_typed": sorted(space.as_typed),
    }
    if study.user_attrs.get(SPACE) != record:
        study.set_user_attr(SPACE, record)


def has_space(study: optuna.Study) -> bool:
    """Tell whether a study remembers what it has searched."""
    return SPACE in study.user_attrs


def recorded_space(study: optuna.Study) -> SearchSpace:
    """Return what a study has searched; its branches have no config.

    Raises:
        UserError: the study does not remember it.
    """
    record: Any = study.user_attrs.get(SPACE)
    if record is None:
        raise UserError(
            f"{shown('from_study')}={study.study_name}: the study does not say what it has "
            "searched; start its command once more with this version, which makes up for that"
        )
    known = {name: json_to_distribution(text) for name, text in record["distributions"].items()}
    roots: dict[str, CategoricalDistribution] = {}
    for name in record["roots"]:
        root = known[name]
        assert isinstance(root, CategoricalDistribution)
        roots[name] = root
    branches = {
        tuple(values): Branch({name: known[name] for name in names})
        for values, names in record["branches"]
    }
    return SearchSpace(roots, branches, as_typed=frozenset(record["as_typed"]))
