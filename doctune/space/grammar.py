"""Hydra's own words for a search, as on a command line, read into Optuna's distributions.

`hydra-optuna-sweeper` reads ranges and intervals; choices are read here, as it takes their text:
`'1'` in quotes is a text and no number, `null` is the value that no text stands for.
"""

from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString, Transformer
from hydra_plugins.hydra_optuna_sweeper._impl import create_params_from_overrides
from optuna.distributions import BaseDistribution, CategoricalDistribution

from doctune.errors import UserError
from doctune.space.entries import each_once


class Words:
    """What overrides sweep, fix and delete; the later ones win.

    Args:
        texts: overrides.

    Raises:
        UserError: one of them cannot be searched; the message holds it.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.swept: dict[str, BaseDistribution] = {}
        # Config key -> value as typed.
        self.fixed: dict[str, Any] = {}
        # Deletions (`~key`), which are passed on untouched.
        self.passed_on: list[str] = []
        # Keys whose choices are written in Hydra's grammar: Optuna has no lists and mappings.
        self.as_typed: set[str] = set()
        for text in texts:
            try:
                self._read(text)
            except (ValueError, AssertionError, NotImplementedError) as error:
                raise UserError(f"{text}: {error}") from error

    def _read(self, text: str) -> None:
        override = OverridesParser.create().parse_override(text)
        if _is_choice(override):
            self._sweep(override.get_key_element(), *_choices(override))
            return
        sweep, value, deletion = create_params_from_overrides([text])
        for key, distribution in sweep.items():
            self._sweep(key, distribution)
        for key in value:
            self.swept.pop(key, None)
        self.fixed.update(value)
        self.passed_on.extend(deletion)

    def _sweep(self, key: str, distribution: BaseDistribution, as_typed: bool = False) -> None:
        self.fixed.pop(key, None)
        self.swept[key] = distribution
        self.as_typed.discard(key)
        if as_typed:
            self.as_typed.add(key)


def value_as_typed(text: str) -> Any:
    """Return the value that a text of Hydra's grammar stands for."""
    return OverridesParser.create().parse_override(f"key={text}").value()


def _is_choice(override: Override) -> bool:
    return not override.is_delete() and override.is_choice_sweep()


def _choices(override: Override) -> tuple[CategoricalDistribution, bool]:
    """Return the choices, and whether they are written in Hydra's grammar."""
    values = list(override.sweep_iterator())
    as_typed = any(isinstance(value, (list, dict)) for value in values)
    found = [_typed(value) if as_typed else _plain(value) for value in values]
    return CategoricalDistribution(each_once(found)), as_typed


def _plain(value: Any) -> Any:
    return value.text if isinstance(value, QuotedString) else value


def _typed(value: Any) -> Any:
    return value if value is None else Transformer.encode(value)
