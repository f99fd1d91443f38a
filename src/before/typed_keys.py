"""Keys on the command line that would do nothing, or something else than was meant."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from doctune.commands import override, shell_word
from doctune.errors import UserError
from doctune.hydra_messages import unquoted
from doctune.passwords import without_passwords
from doctune.words import counted, did_you_mean, dotted_keys, other_name
from src.before.config import ExperimentConfig

DOCUMENTS = "documents"
# Sections that take keys of one's own.
OPEN = ("hydra", "search_space", "hparams_search", "experiment")
FREE = ("model.kwargs", "optimizer.kwargs", "trainer.kwargs")
# Keys of `data` -> the sources that read them; all sources read the others.
READ_BY = {
    "n_images": (DOCUMENTS,),
    "wear_test": (DOCUMENTS,),
    "root": ("image_folder", "csv"),
    "fit": ("image_folder", "csv"),
    "on_bad_image": ("image_folder", "csv"),
    "near_duplicates": ("image_folder", "csv"),
    **dict.fromkeys(
        (
            *("csv_file", "image_dir", "id_column", "target_column", "group_column"),
            *("meta_file", "class_name_column", "encoding"),
        ),
        ("csv",),
    ),
}


def check_typed_keys(cfg: DictConfig, words: Sequence[str]) -> list[str]:
    """Refuse keys that would do nothing; return what a user should know about the others.

    Args:
        cfg: the whole config.
        words: of the command line, the flags left out.

    Raises:
        UserError: names the key, the value and what to do.
    """
    given = {key: unquoted(value) for key, _, value in (word.partition("=") for word in words)}
    _check_source(cfg, given)
    # A config of the results to train with has no study.
    if not OmegaConf.is_missing(cfg.optuna, "study_name"):
        _check_study_name(cfg)
    _check_added(words, HydraConfig.get().runtime.choices if HydraConfig.initialized() else {})
    if not OmegaConf.is_missing(cfg.optuna, "storage"):
        _check_slashes(without_passwords(cfg.optuna.storage))
    return [*_replaced_space(given), *_long_warmup(cfg, given)]


def _check_slashes(storage: str) -> None:
    if "\\" in storage:
        raise UserError(
            f"optuna.storage={storage}: a path is written with /; write "
            f"{shell_word(override('optuna.storage', storage.replace(chr(92), '/')))}"
        )


def _check_source(cfg: DictConfig, given: dict[str, str]) -> None:
    source = cfg.data.source
    if source not in {name for names in READ_BY.values() for name in names}:
        return  # told with the sources that there are
    for key, sources in READ_BY.items():
        value = given.get(f"data.{key}")
        if value is None or source in sources or value == "null":
            continue
        reads = f"data={source} reads no {'folder' if key == 'root' else key}"
        wanted = sources[0]
        if key == "root" and Path(value).expanduser().is_dir():
            tables = list(Path(value).expanduser().glob("*.csv"))
            wanted = "csv" if tables else wanted
        if key == "root":
            more = shell_word(override("data.root", value))
            raise UserError(f"data.root={value}: {reads}; write data={wanted} {more}")
        raise UserError(f"data.{key}={value}: {reads}, only data={wanted} does; leave it out")


def _check_added(words: Sequence[str], groups: Collection[str]) -> None:
    """Refuse keys that are added (`+trainer.max_steps=10`) and that nothing reads.

    Args:
        words: of the command line.
        groups: of files, one of which may be added (`+shared=theirs`).
    """
    for word in words:
        key = word.lstrip("+").partition("=")[0]
        section, dot, _ = key.partition(".")
        if not word.startswith("+") or "/" in key or section in OPEN or ".kwargs" in key:
            continue
        if key in groups:
            continue
        schema: Any = OmegaConf.structured(ExperimentConfig)
        known = dotted_keys(schema)
        if key in known or any(key.startswith(f"{name}.") and name in FREE for name in known):
            continue
        other = other_name(key, known)
        hint = f"; did you mean {other}?" if other else did_you_mean(key, known)
        if f"{section}.kwargs" in known and not other:
            rest = key.removeprefix(f"{section}.")
            hint = f"; further arguments are added as +{section}.kwargs{dot}{rest}=..."
        raise UserError(f"{word}: nothing reads this key{hint}")


def _check_study_name(cfg: DictConfig) -> None:
    name = cfg.optuna.study_name
    if not name or name in (".", "..") or "/" in name or "\\" in name or "\0" in name:
        raise UserError(
            f"optuna.study_name={name}: it is the name of one folder in {cfg.paths.multirun_dir}, "
            "so without / and not . or .. alone; paths.multirun_dir moves them all"
        )


def _replaced_space(given: dict[str, str]) -> list[str]:
    value = given.get("search_space", "[")
    if value.startswith("[") or "hparams_search" not in given:
        return []
    return [
        f"search_space={value}: is searched in place of what the preset searches; to add it, "
        f"write +search_space={value}"
    ]


def _long_warmup(cfg: DictConfig, given: dict[str, str]) -> list[str]:
    warmup = cfg.scheduler.warmup_epochs
    epochs = cfg.quick_validation.epochs if "hparams_search" in given else cfg.trainer.max_epochs
    # How many they will be is measured in each trial.
    is_timed = "hparams_search" in given and cfg.quick_validation.seconds is not None
    if is_timed or "scheduler.warmup_epochs" not in given or warmup <= epochs / 2:
        return []
    return [
        f"scheduler.warmup_epochs={warmup:g}: of {counted(epochs, 'epoch')} "
        f"at most half are warm-up, so it is cut to {epochs / 2:g}"
    ]
