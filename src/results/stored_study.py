"""A study by its name, with its folder and the config of each of its trials."""

import functools
import json
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from doctune.errors import UserError, first_line
from doctune.study.location import as_typed, counted_from, parse_url
from doctune.study.storage import existing_storage
from doctune.words import nearest
from src.before.config import ExperimentConfig

# Imported for the resolvers of the configs, ${machine:...} and its like.
from src.hardware import profile as profile
from src.results.config import ReportConfig, StudyDoorConfig

# Hydra's record of a job, in the job's folder.
CONFIG, HYDRA = ".hydra/config.yaml", ".hydra/hydra.yaml"


@dataclass(frozen=True)
class StoredStudy:
    """A study and `multirun/<study>/`, where the jobs of its trials ran."""

    study: optuna.Study
    folder: Path

    def complete(self) -> list[FrozenTrial]:
        """Return the complete trials, in order."""
        return self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))

    def trial(self, number: int) -> FrozenTrial:
        """Return a trial by its number."""
        return self.study.get_trials(deepcopy=False)[number]

    def trial_folder(self, number: int) -> Path:
        """Return where a trial ran; for one that was not trained again, where its like did.

        Raises:
            UserError: it left no config there.
        """
        trials = self.study.get_trials(deepcopy=False)
        if not 0 <= number < len(trials):
            raise UserError(f"study '{self.study.study_name}' has no trial {number}")
        for trial in (number, *self._alike.get(parameters_of(trials[number]), ())):
            if (self.folder / str(trial) / CONFIG).exists():
                return self.folder / str(trial)
        raise UserError(
            f"{self.folder / str(number)}: trial {number} has no {CONFIG} there; run this where "
            "the search ran, or give paths.multirun_dir"
        )

    @functools.cached_property
    def _alike(self) -> dict[str, list[int]]:
        """Return the complete trials, when first asked, by their parameters.

        Of thousands, each would look through all the others.
        """
        found: dict[str, list[int]] = {}
        for trial in self.complete():
            found.setdefault(parameters_of(trial), []).append(trial.number)
        return found

    def trial_config(self, number: int) -> DictConfig:
        """Return the config that a trial ran with, typed, and fit for training in full.

        All keys are there; values that depend on the machine stay interpolations. The search is
        off: `optuna.enabled` is false, `search_space` is empty, and no storage is named, as its
        address may hold a password. `quick_validation` is as the trial had it.

        Raises:
            UserError: no such trial, it left no config, or the config has keys that this
                version does not know.
        """
        path = self.trial_folder(number) / CONFIG
        places = self.study.user_attrs.get("places", {})
        key = json.dumps([str(path), path.stat().st_mtime_ns, places])
        if key not in self._read:
            # Read and typed in a third of a second, and asked for by every part of the results.
            self._read[key] = pickle.dumps(self._typed(path, places))
        config: DictConfig = pickle.loads(self._read[key])
        return config

    @functools.cached_property
    def _read(self) -> dict[str, bytes]:
        return {}

    def _typed(self, path: Path, places: Mapping[str, Any]) -> DictConfig:
        ran_with: Any = OmegaConf.load(path)
        ran_with.optuna.enabled = False
        ran_with.optuna.study_name = self.study.study_name
        ran_with.optuna.storage = ""
        ran_with.search_space = {}
        for key, place in places.items():
            # The images may have moved since this trial.
            OmegaConf.update(ran_with, key, place)
        try:
            config = OmegaConf.merge(OmegaConf.structured(ExperimentConfig), ran_with)
        except OmegaConfBaseException as error:
            reason = first_line(error)
            raise UserError(
                f"{path}: does not fit this version of the program ({reason}); use the one that "
                "searched"
            ) from error
        assert isinstance(config, DictConfig)
        return config

    def search_space_entries(self) -> dict[str, str]:
        """Return parameter -> `search_space.<name>`, the config node that holds its range.

        Empty where no trial has left its config.
        """
        for path in sorted(self.folder.glob(f"*/{CONFIG}")):
            job: Any = OmegaConf.to_container(OmegaConf.load(path))
            space = job.get("search_space") or {}
            return {
                entry["key"]: f"search_space.{name}"
                for name, entry in space.items()
                if isinstance(entry, dict) and entry.get("key")
            }
        return {}

    def hydra_config(self, number: int) -> DictConfig:
        """Return Hydra's record of a trial's job: overrides, chosen groups, folders."""
        record: Any = OmegaConf.load(self.trial_folder(number) / HYDRA)
        return DictConfig(record.hydra)


def open_study(cfg: StudyDoorConfig | DictConfig) -> StoredStudy:
    """Open the study that a door was given.

    Raises:
        UserError: no name, an unknown name, or no storage there; names those that come near.
        UserError: the storage cannot be opened.
    """
    storage = _existing(cfg.optuna.storage)
    names = optuna.get_all_study_names(storage)
    if cfg.study is None:
        raise UserError(f"study=NAME is missing; there are: {_listed(names)}")
    if cfg.study not in names:
        raise UserError(f"study={cfg.study}: there is none of that name; {_nearest(cfg, names)}")
    study = optuna.load_study(study_name=cfg.study, storage=storage)
    folder = Path(study.user_attrs.get("folder", ""))
    if not (study.user_attrs.get("folder") and folder.is_dir()):
        folder = Path(cfg.paths.multirun_dir) / cfg.study
    return StoredStudy(study, folder)


def open_studies(cfg: ReportConfig | DictConfig) -> list[StoredStudy]:
    """Open the study that `study=NAME` names, or those of `study=[A,B]`.

    Raises:
        UserError: as `open_study`; a name is there twice.
    """
    names = cfg.study if isinstance(cfg.study, list | ListConfig) else [cfg.study]
    if len(set(names)) < len(names):
        raise UserError(f"study=[{','.join(map(str, names))}]: name each study once")
    given = {"optuna": cfg.optuna, "paths": cfg.paths}
    # Without a name the first opening tells what there is.
    return [open_study(OmegaConf.create({**given, "study": name})) for name in names or [None]]


def _existing(url: str) -> BaseStorage:
    """Open a storage; refuse a file that opening would create."""
    storage = existing_storage(counted_from(Path.cwd(), url))
    if storage is None:
        raise UserError(
            f"{as_typed(parse_url(url))}: no such file; search first, or run this where the "
            "search ran"
        )
    return storage


def _nearest(cfg: StudyDoorConfig | DictConfig, names: Sequence[str]) -> str:
    close = nearest(str(cfg.study), names, most=3, alike=0.5)
    return f"did you mean {_listed(close)}?" if close else f"there are: {_listed(names)}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(sorted(names)) or "none yet"


def parameters_of(trial: FrozenTrial) -> str:
    """Return a trial's parameters as text, the same for those that are equal, 1 and 1.0 too."""
    numbers = {
        name: float(value) if isinstance(value, int) else value
        for name, value in trial.params.items()
    }
    return json.dumps(numbers, sort_keys=True, default=str)
