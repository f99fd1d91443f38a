"""Mistakes in a YAML file of one's own: which file, which line, and what is wrong there."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import yaml
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

from doctune.hydra_messages import TYPES
from doctune.words import counted, did_you_mean, dotted_keys, other_name
from src.before.places import all_choices, config_file

# Of a file whose keys are to be those of the whole config.
GLOBAL = "# @package _global_"
IN_FILE = re.compile(r"In '([^']+)': (\w+) raised while composing config:\n(.*)", re.DOTALL)


def unreadable_yaml(error: yaml.YAMLError) -> str | None:
    """Return what a YAML parser has stumbled over; None where it does not say in which file."""
    mark = getattr(error, "problem_mark", None)
    if mark is None or not os.path.exists(mark.name):
        return None
    lines = Path(mark.name).read_text(encoding="utf-8", errors="replace").splitlines()
    place, reason = _reason(error, lines, mark.line)
    return f"{shown(Path(mark.name))}, line {place + 1}: {reason}"


def _reason(error: yaml.YAMLError, lines: Sequence[str], place: int) -> tuple[int, str]:
    """Return the line, counted from 0, and what is wrong with it."""
    problem = str(getattr(error, "problem", "") or "cannot be read")
    line = lines[place] if place < len(lines) else ""
    if "duplicate key" in problem:
        key = line.partition(":")[0].strip()
        return place, f"{key} is there twice"
    tabbed = next((n for n in (place, place - 1) if 0 <= n < len(lines) and _has_tab(lines[n])), -1)
    if tabbed >= 0:
        return tabbed, "a tab; indent with spaces"
    before = next((n for n in range(place - 1, -1, -1) if _content(lines[n])), None)
    if "mapping values are not allowed" in problem:
        nested = before is not None and _depth(line) > _depth(lines[before])
        if before is not None and nested and line.count(": ") < 2:
            return place, f"indented more than line {before + 1}, which has a value already"
        return place, "a second ': ' in the line; put quotes around the value"
    if "expected <block end>" in problem and before is not None:
        return place, f"indent as line {before + 1} ({counted(_depth(lines[before]), 'space')})"
    if "did not find expected key" in problem and before is not None:
        return place, f"indented unlike line {before + 1}; keys of one section stand in a column"
    if "could not find expected ':'" in problem:
        above = range(min(place, len(lines) - 1), -1, -1)
        wrong = next((n for n in above if _content(lines[n]) and ":" not in lines[n]), place)
        return wrong, f"'{lines[wrong].strip()}' is no 'key: value'"
    if "unexpected end of stream" in problem or "expected ',' or" in problem:
        start = getattr(error, "context_mark", None)
        line_of = place if start is None else start.line
        return line_of, "a quote or bracket is opened here and not closed"
    return place, problem


def wrong_content(error: ConfigCompositionException) -> str | None:
    """Return what of a file does not fit the config, with its line; None: it is about none."""
    found = IN_FILE.match(str(error))
    if found is None:
        return None
    name, text = found[1], found[3]
    path = config_file(name)
    if path is None:
        return None
    reason = text.splitlines()[0]
    full_key = next(iter(re.findall(r"full_key: (\S+)", text)), "")
    content = path.read_text(encoding="utf-8")
    group, _, choice = name.rpartition("/")
    told = shown(path)
    unknown = re.match(r"Key '([^']+)' (?:is )?not in '", reason)
    if unknown and unknown[1] == group.split("/")[0] and GLOBAL not in content:
        return f"{told} ({group}={choice}): its first line must be '{GLOBAL}'"
    value = re.match(r"Merge error: str is not a subclass of \w+\. value: (.+)", reason)
    line = _line_of(content, value[1] if value else full_key)
    where = told if line is None else f"{told}, line {line}"
    if value:
        key, _, rest = value[1].partition(":")
        spaced = f"; write '{key}: {rest.strip()}' with a space"
        hint = spaced if rest and " " not in value[1] else ""
        named = content.splitlines()[line - 1].partition(":")[0].strip() if line else ""
        if value[1] in all_choices().get(named, []):
            hint = f"; write 'override /{named}: {value[1]}' under defaults"
        return f"{where}: '{value[1]}' is no section{hint}"
    if unknown:
        return f"{where}: there is no key {full_key or unknown[1]}{_nearest(full_key)}"
    wrong = re.match(r"Value '(.*)' of type '.*' could not be converted to (\w+)", reason)
    if wrong:
        return f"{where}: {full_key}: '{wrong[1]}' is not {TYPES.get(wrong[2], wrong[2])}"
    return f"{where}: {full_key}: {reason}" if full_key else f"{where}: {reason}"


def shown(path: Path) -> str:
    """Return a path as it is read best: from here, where it is below."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _nearest(full_key: str) -> str:
    """Return the key that may have been meant, of those that the whole experiment has."""
    from src.before.config import ExperimentConfig

    known = dotted_keys(OmegaConf.structured(ExperimentConfig))
    other = other_name(full_key, known)
    hint = f"; did you mean {other}?" if other else did_you_mean(full_key, known)
    return hint


def _line_of(content: str, wanted: str) -> int | None:
    """Return the line, from 1, of a dotted key or of a text."""
    try:
        root = yaml.compose(content, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None
    node, line = root, None
    for part in wanted.split("."):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        found = next(((key, value) for key, value in pairs if key.value == part), None)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    else:
        return line
    for number, text in enumerate(content.splitlines(), 1):
        if wanted in text or text.strip().startswith(f"{wanted.rpartition('.')[2]}:"):
            return number
    return line


def _content(line: str) -> bool:
    return bool(line.strip()) and not line.strip().startswith("#")


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _has_tab(line: str) -> bool:
    return "\t" in line[: len(line) - len(line.lstrip())]
