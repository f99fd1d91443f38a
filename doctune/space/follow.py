"""A search that follows an earlier study: its ranges come from there."""

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from rich.console import Console
from rich.table import Table
from rich.text import Text

from doctune.errors import UserError
from doctune.shown_keys import shown
from doctune.space.focus import Focus, focus_on
from doctune.space.focus_rule import FocusRule
from doctune.space.parameters import describe
from doctune.space.record import has_space, recorded_space
from doctune.space.search_space import SearchSpace
from doctune.study.storage import existing_storage
from doctune.study.warm_start import earlier_study, is_file
from doctune.words import key_of


def follow(
    source: str | None, url: str, name: str, rule: FocusRule, settings: Mapping[str, Any]
) -> Focus:
    """Return the ranges around the best of the study `source`.

    A study that has begun keeps the ranges that it began with, whatever the earlier one has found
    since.

    Args:
        source: `optuna.from_study`.
        url: of the storage, which both studies share.
        name: of the study that follows.
        rule: how ranges are narrowed.
        settings: of the study that follows.

    Raises:
        UserError: there is nothing to follow, or it was searched under other settings.
    """
    storage = existing_storage(url)
    names = [] if storage is None else optuna.get_all_study_names(storage)
    if source is None or is_file(source) or source == name:
        others = sorted(one for one in names if one != name)
        known = f"there are: {', '.join(others)}" if others else "there is none yet"
        raise UserError(
            f"{shown('from_study')}={source or 'null'}: name the study to look closer at; {known}"
        )
    earlier = earlier_study(source, url)
    _check_same(earlier, rule, settings)
    found = focus_on(earlier, rule)
    if storage is not None and name in names:
        begun = optuna.load_study(study_name=name, storage=storage)
        if has_space(begun):
            return Focus(source, found.complete, found.best, found.before, recorded_space(begun))
    return found


def show_focus(found: Focus, space: SearchSpace, console: Console) -> None:
    """Print where the earlier study has searched, and where this one does."""
    console.print(
        f"around the best {found.best} of {found.complete} complete trials of {found.earlier}:",
        highlight=False,
        soft_wrap=True,
    )
    table = Table(box=None, padding=(0, 0, 0, 2), header_style="dim")
    for column in ("parameter", "searched there", "searched now", ""):
        table.add_column(column, no_wrap=True)
    before, now = found.before.distributions, space.distributions
    # With one model left, its parameters have no model in their names any more.
    left, by_key = found.space.distributions, {key_of(name): dist for name, dist in now.items()}
    for name in left:
        old = before.get(name, left[name])
        new = now.get(name, by_key.get(key_of(name)))
        row = (name, describe(old), "not searched" if new is None else describe(new))
        table.add_row(*map(Text, row), "" if new is None else _change(old, new))
    known = {key_of(name) for name in left}
    for name, new in now.items():
        if key_of(name) not in known:
            table.add_row(Text(name), "not searched", Text(describe(new)))
    console.print(table)


def _check_same(earlier: optuna.Study, rule: FocusRule, settings: Mapping[str, Any]) -> None:
    before = earlier.user_attrs.get("settings", {})
    for key in rule.same:
        if key in before and key in settings and before[key] != settings[key]:
            raise UserError(
                f"{shown('from_study')}={earlier.study_name}: it was searched with {key} "
                f"{before[key]}, now it is {settings[key]}, for which its ranges say little; "
                "leave that as it was, or search anew with another preset"
            )


def _change(old: Any, new: Any) -> str:
    if isinstance(old, CategoricalDistribution) and isinstance(new, CategoricalDistribution):
        left, all_ = len(new.choices), len(old.choices)
        return "" if left == all_ else f"{left} of {all_}"
    if not isinstance(old, (FloatDistribution, IntDistribution)) or type(old) is not type(new):
        return ""
    if new.low < old.low:
        return "wider below"
    return "wider above" if new.high > old.high else ""
