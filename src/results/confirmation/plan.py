"""What a confirmation runs: contenders, fresh seeds and folds, and which images."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import optuna
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from doctune.commands import task_overrides
from doctune.errors import UserError
from src.before.checks import CONTENT
from src.before.objectives import EACH_FOLD
from src.before.trial_length import NOTE
from src.data.load import data_fingerprint
from src.data.wear_presets import wear_of
from src.results.choose import chosen_by, folds_behind
from src.results.stored_study import StoredStudy
from src.results.summary import rank
from src.trial.length import LENGTH

# Keys of the data that belong to a configuration, not to the images.
OF_THE_MODEL = ("img_size", "batch_size", "sampling")
# Of a confirmation where the search had a single split (guide section 2).
USUAL_FOLDS = 3
# Seeds of repetitions lie this far apart: the search has used the first few after `seed`.
STRIDE = 1000
# Key -> smallest value that makes sense.
LEAST = {
    "top": 1,
    "repeats": 1,
    "folds": 2,
    "epochs": 1,
    "test_seeds": 0,
    "max_epochs": 1,
    "n_jobs": 1,
}


@dataclass(frozen=True)
class Run:
    """One training: a fold of a repetition, or a full one for the test split."""

    trial: int
    # folds or test
    kind: str
    repeat: int
    fold: int
    # Of the cut into folds, and of weights, batches and augmentation.
    cut_seed: int
    seed: int
    # How many folds, how many epochs, and of which images.
    folds: int
    epochs: int
    data: str

    @property
    def key(self) -> str:
        """Return a short name that no run under other conditions has."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:16]


def seeds_of(config: DictConfig, repeat: int, fold: int) -> tuple[int, int]:
    """Return the seeds of a fold, of the cut and of the training; 0 repeats what the search had."""
    shift = STRIDE * repeat
    return config.data.seed + shift, config.seed + shift + fold


@dataclass(frozen=True)
class Plan:
    """The contenders with their configs, and the conditions that they share."""

    configs: Mapping[int, DictConfig]
    defaults: int
    repeats: int
    folds: int
    epochs: int
    test_seeds: int
    test_epochs: int
    # Fingerprint of the images, with their wear, and whether they are others than the study's.
    data: str
    other_data: bool
    # What pages are worn by before they are scored; empty: by nothing.
    wear: str

    @property
    def contenders(self) -> list[int]:
        """Return the numbers of the trials that are compared with the defaults."""
        return [number for number in self.configs if number != self.defaults]

    def fold_runs(self) -> Iterator[Run]:
        """Yield the runs that are compared; the same seeds and folds for every contender."""
        for repeat in range(1, self.repeats + 1):
            for fold in range(self.folds):
                for number, config in self.configs.items():
                    seeds = seeds_of(config, repeat, fold)
                    yield Run(
                        number, "folds", repeat, fold, *seeds, self.folds, self.epochs, self.data
                    )

    def test_runs(self, winner: int) -> Iterator[Run]:
        """Yield the full trainings of the winner and of the defaults."""
        for repeat in range(1, self.test_seeds + 1):
            for number in (winner, self.defaults):
                config = self.configs[number]
                cut_seed, seed = config.data.seed, config.seed + STRIDE * repeat
                yield Run(number, "test", repeat, 0, cut_seed, seed, 0, self.test_epochs, self.data)


def make_plan(stored: StoredStudy, cfg: DictConfig) -> Plan:
    """Choose the contenders and load their configs.

    Raises:
        UserError: nothing to compare, or a number that makes no sense.
    """
    _check_numbers(cfg)
    ranked = rank(stored.study, stored.complete())
    defaults = next((t for t in ranked if t.user_attrs.get("defaults")), None)
    name = stored.study.study_name
    if defaults is None:
        raise UserError(
            f"study={name}: its trial with the defaults is not complete, so there is nothing to "
            "compare with; go on with the search"
        )
    best = _contenders(stored.study, ranked, defaults)[: cfg.top]
    if not best:
        raise UserError(f"study={name}: only the defaults are complete; go on with the search")
    changed = _changed_data(cfg)
    configs = {
        trial.number: config_of(stored, trial.number, changed, cfg.n_jobs)
        for trial in [*best, defaults]
    }
    first = configs[best[0].number]
    data, wear = data_fingerprint(first.data), wear_of(first)
    # The same images at another place are no other data.
    known = stored.study.user_attrs.get("settings", {}).get(CONTENT)
    return Plan(
        configs=configs,
        defaults=defaults.number,
        repeats=cfg.repeats,
        folds=cfg.folds or _several(first.quick_validation.folds),
        epochs=cfg.epochs or _trained(stored.study, best[0], first),
        test_seeds=cfg.test_seeds,
        test_epochs=cfg.max_epochs or first.trainer.max_epochs,
        data=data if wear is None else f"{data}-{wear.hash}",
        other_data=bool(changed) and data != known,
        wear="" if wear is None else wear.in_words,
    )


def _several(folds: int) -> int:
    """Return as many folds as in the search; a single split says nothing of how scores vary."""
    return folds if folds > 1 else USUAL_FOLDS


def _trained(study: optuna.Study, best: FrozenTrial, first: DictConfig) -> int:
    """Return the epochs that its trials have trained a fold.

    Raises:
        UserError: they differ, as all trained for the same time.
    """
    if first.quick_validation.seconds is not None:
        own = best.user_attrs[NOTE]["epochs"]
        raise UserError(
            f"study={study.study_name}: its trials trained for the same time and not for the same "
            f"epochs; give those of a fold, as in epochs={own} that trial {best.number} trained"
        )
    length = study.user_attrs.get(LENGTH)
    return int(length["epochs"] if length else first.quick_validation.epochs)


def _check_numbers(cfg: DictConfig) -> None:
    for key, least in LEAST.items():
        if cfg[key] is not None and cfg[key] < least:
            raise UserError(f"{key}={cfg[key]}: must be at least {least}")


def config_of(
    stored: StoredStudy, number: int, changed: Mapping[str, Any], n_jobs: int | None
) -> DictConfig:
    """Return the config that a trial is run again with, on the images that `changed` names."""
    config = stored.trial_config(number)
    for key, value in changed.items():
        OmegaConf.update(config, f"data.{key}", value)
    config.callbacks.progress = False
    if n_jobs is not None:
        config.optuna.n_jobs = n_jobs
    override = config.quick_validation.batch_size_override
    if override is not None:
        config.data.batch_size = override
    return config


def _contenders(
    study: optuna.Study, ranked: list[FrozenTrial], defaults: FrozenTrial
) -> list[FrozenTrial]:
    """Return the trials to compare with the defaults, those that the rule would choose first."""
    others = _different([trial for trial in ranked if trial.params != defaults.params])
    if len(study.directions) == 1 and chosen_by(study) == EACH_FOLD:
        maximize = study.direction == StudyDirection.MAXIMIZE
        others.sort(key=lambda trial: bool(folds_behind(trial, defaults, maximize)))
    return others


def _different(trials: list[Any]) -> list[Any]:
    """Drop trials whose parameters a better one has as well."""
    found: list[Any] = []
    for trial in trials:
        if all(trial.params != other.params for other in found):
            found.append(trial)
    return found


def _changed_data(cfg: DictConfig) -> dict[str, Any]:
    """Return what the command line says of the images; none: the study's own."""
    hydra = HydraConfig.get()
    typed = {word.split("=")[0].lstrip("+") for word in task_overrides(hydra)}
    values: Any = OmegaConf.to_container(cfg.data, resolve=False)
    if hydra.runtime.choices.get("data"):
        return {
            key: value
            for key, value in values.items()
            if key not in OF_THE_MODEL or f"data.{key}" in typed
        }
    return {key: value for key, value in values.items() if f"data.{key}" in typed}
