"""What a command line says, read before Hydra does: mistakes of typing that it would tell worse.

Some of them it would not tell at all, and search or train with something else. Nothing is composed
for it, so it takes no time.
"""

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from doctune.commands import override, shell_word
from doctune.errors import UserError
from doctune.hydra_messages import unquoted
from src.before.places import all_choices

OPENING = {"(": ")", "[": "]", "{": "}"}
# What input methods, word processors and web pages put in the place of a plain character.
PLAIN = {
    **{chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys("\u2018\u2019\u201b\u2032", "'"),
    **dict.fromkeys("\u201c\u201d\u201f\u2033", '"'),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"),
    **dict.fromkeys("\u2014\u2015", "--"),
    **dict.fromkeys("\u3000\u00a0\u2002\u2003\u2009\u202f", " "),
    **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad", ""),
    **{"\u3001": ",", "\u3002": ".", "\u3010": "[", "\u3011": "]", "\u300c": "'", "\u300d": "'"},
}
FULL_WIDTH = range(0xFF01, 0xFF5F)
NAMES = {"\u3000": "full-width space", "\ufeff": "byte order mark"}
# `0,001` and `1,000`: a list of numbers to Hydra, a number to most of Europe.
DECIMAL_COMMA = re.compile(r"(-?\d+)((?:,0\d*|,\d+e-?\d+)+)", re.IGNORECASE)
# Groups of which several can be chosen together.
SEVERAL = ("search_space", "experiment")
# What Optuna, Ray, NNI and Hyperopt call a range.
RANGES = {
    **dict.fromkeys(("uniform", "suggest_float", "suggest_uniform", "quniform"), "interval({})"),
    **dict.fromkeys(("loguniform", "suggest_loguniform", "log_uniform"), "tag(log, interval({}))"),
    **dict.fromkeys(("randint", "suggest_int"), "int(interval({}))"),
    "suggest_categorical": "choice({})",
}
# range(start, stop); a third number is the step.
RANGE_WITHOUT_STEP = 2
# Flags of the shell's kind that take the next word along.
TAKES_A_WORD = (
    *("--config-name", "-cn", "--config-path", "-cp", "--config-dir", "-cd", "--cfg", "-c"),
    *("--package", "-p", "--info", "-i", "--experimental-rerun"),
)


def from_home(word: str) -> str:
    """Write out `key=~/PATH`, as a shell does with a word that is a path alone.

    Hydra cannot read it without quotes, and with them it would be a folder called `~`.
    """
    key, _, value = word.partition("=")
    bare = unquoted(value)
    is_several = "," in value and bare == value
    if not bare.startswith("~/") or is_several:
        return word
    return override(key, os.path.expanduser(bare))


def check_words(words: Sequence[str], subject: str | None = None) -> list[str]:
    """Refuse what was surely meant otherwise; return what a user should know of the rest.

    Args:
        words: of the command line, without the program.
        subject: the key that a word alone stands for, as `study` in `python -m src.report NAME`.

    Raises:
        UserError: names the word and what to write.
    """
    overrides = overrides_of(words)
    for word in words:
        _check_characters(word)
    _check_spaces(words, overrides)
    for word in overrides:
        key, equals, value = word.partition("=")
        if equals:
            _check_value(word, key, value)
        else:
            _check_bare(word, subject)
    return _given_twice(overrides)


def overrides_of(words: Iterable[str]) -> list[str]:
    """Return the words that are no flag, and no flag's."""
    found: list[str] = []
    before = ""
    for word in words:
        if not word.startswith("-") and before not in TAKES_A_WORD:
            found.append(word)
        before = word
    return found


def _check_characters(word: str) -> None:
    """Refuse characters that only look like those of the grammar."""
    plain = "".join(PLAIN.get(character, character) for character in word)
    if plain == word:
        return
    key, _, value = plain.partition("=")
    typed = word.partition("=")[2]
    # A name of a file or class may well hold them.
    if word.startswith(f"{key}=") and (not value.isascii() or Path(typed).exists()):
        return
    odd = next(character for character in word if character in PLAIN)
    code = f"U+{ord(odd):04X}"
    name = NAMES.get(odd) or unicodedata.name(odd).lower()
    told = f"holds {'an' if name[0] in 'aei' else 'a'} {name} ({code})"
    if ord(odd) in FULL_WIDTH:
        told = f"{odd} is full-width ({code})"
    if odd in "\u2014\u2015" and len(plain) == 3:  # -m, as a word processor has it
        plain = plain[1:]
    raise UserError(f"{word}: {told}; write {' '.join(plain.split())}")


def _check_spaces(words: Sequence[str], overrides: Sequence[str]) -> None:
    """Refuse `key = value`, which a shell hands on as three words."""
    for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
        given = after if after in overrides and "=" not in after else ""
        if word == "=" or (word.startswith("=") and before in overrides and "=" not in before):
            value = word.lstrip("=") or given
            raise UserError(
                f"{before} {word} {given if word == '=' else ''}".rstrip()
                + f": no spaces around =; write {before}={value}"
            )
        if word.endswith("=") and word in overrides and given:
            raise UserError(f"{word} {given}: no space behind =; write {word}{given}")


def _check_value(word: str, key: str, value: str) -> None:
    if key.endswith(":"):
        raise UserError(f"{word}: a : too many; write {key.rstrip(':')}={value}")
    together = re.search(r"[,;]\s*(?=[A-Za-z_][\w./]*=)", value)
    if together is not None and value[:1] not in "'\"[{":
        apart = f"{key}={value[: together.start()]} {value[together.end() :]}"
        raise UserError(f"{word}: two overrides in one word; write {apart}")
    if re.search(r"\\\w", value) and value[:1] not in "'\"" and not Path(value).exists():
        plain = value.replace("\\", "/")
        raise UserError(f"{word}: Hydra takes \\ away; write {key}={plain}")
    if value.startswith("[") and key in all_choices() and key not in SEVERAL:
        raise UserError(f"{word}: takes one choice, without brackets")
    _check_function(word, key, value)
    if value.startswith("="):
        raise UserError(f"{word}: one = too many; write {key}={value.lstrip('=')}")
    if value.endswith(",") and value.count(",") == 1:
        raise UserError(f"{word}: a comma too many at the end; write {key}={value.rstrip(',')}")
    if not Path(value).exists():  # a folder may be called so
        _check_brackets(word, value)
    number = DECIMAL_COMMA.fullmatch(value)
    if number is None:
        return
    parts = value.split(",")
    if len(parts) > 1 and parts[0].lstrip("-") != "0" and all(len(p) == 3 for p in parts[1:]):
        hint = f"a number is written without commas, {''.join(parts)}"
    elif len(parts) == 2:
        hint = f"a decimal has a point, {'.'.join(parts)}"
    else:
        return
    values = f"{len(parts)} values, {', '.join(parts)}"
    raise UserError(f"{word}: with a comma these are {values}; {hint}")


def _check_function(word: str, key: str, value: str) -> None:
    """Refuse ranges as other programs write them."""
    found = re.fullmatch(r"(?:\w+\.)*(\w+)\((.*)\)", value)
    if found is None:
        return
    name, inside = found[1], found[2]
    numbers = [part.strip() for part in inside.split(",")]
    if name == "range" and len(numbers) <= RANGE_WITHOUT_STEP and "." in value.replace("e-", "."):
        raise UserError(
            f"{word}: range counts in steps of 1; to search between them write "
            f"{shell_word(f'{key}=interval({inside})')}"
        )
    if name in RANGES:
        here = RANGES[name].format(inside)
        raise UserError(f"{word}: there is no {name} here; write {shell_word(f'{key}={here}')}")


def _check_brackets(word: str, value: str) -> None:
    """Refuse brackets that do not close; those within quotes are a text's own."""
    open_ones: list[str] = []
    quote = ""
    for place, character in enumerate(value):
        if character in "'\"" and value[place - 1 : place] != "\\":
            quote = "" if quote == character else quote or character
        elif quote or value[place - 1 : place] == "\\":
            continue
        elif character in OPENING:
            open_ones.append(OPENING[character])
        elif character in OPENING.values() and (not open_ones or open_ones.pop() != character):
            raise UserError(f"{word}: a {character} too many, or of the wrong kind")
    # A quote within a word, as in o'clock, is told by Hydra.
    if quote and value.startswith(quote):
        raise UserError(f"{word}: a closing {quote} is missing")
    if open_ones and not quote:
        raise UserError(
            f"{word}: a closing {open_ones[-1]} is missing; where the shell has cut it off, put "
            "the whole word in quotes"
        )


def _check_bare(word: str, subject: str | None) -> None:
    """Refuse a word that is no key=value, with what it may stand for."""
    if word.startswith("~"):
        return
    colon = re.fullmatch(r"([A-Za-z_][\w./]*):\s*(\S.*)", word)
    if colon is not None and "/" not in word:
        raise UserError(f"'{word}' is no key=value; write {colon[1]}={shell_word(colon[2])}")
    for group, options in all_choices().items():
        if word in options:
            raise UserError(
                f"'{word}' is no key=value; write {group}={word} (--help shows all keys)"
            )
    if subject is not None and word != "=":
        raise UserError(
            f"'{word}' is no key=value; write {subject}={shell_word(word)} (--help shows all keys)"
        )


def _given_twice(overrides: Sequence[str]) -> list[str]:
    """Say which of two values counts: Hydra takes the last, as scripts with "$@" rely on.

    Raises:
        UserError: of a group, such as two presets, nobody can have meant both.
    """
    groups = all_choices()
    given: dict[str, str] = {}
    notes = []
    for word in overrides:
        key, equals, value = word.lstrip("+").partition("=")
        # Two options may be added to one group.
        if not equals or word.startswith("~") or (word.startswith("+") and word[1:2] != "+"):
            continue
        before = given.get(key, value)
        given[key] = value
        if before == value:
            continue
        told = f"{key} is given twice ({before}, {value}): "
        if key in groups:
            raise UserError(f"{told}leave one out")
        notes.append(f"{told}{value} counts, the last one; leave one out")
    return notes
