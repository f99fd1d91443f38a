"""What a study begins with: the defaults, and the best of an earlier one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState

from src.sweep.studies.warm_start import warm_start


@dataclass(frozen=True)
class FirstTrials:
    """The trials that come before those of the sampler."""

    # Parameters of the config as it is; None: it is no trial of its own.
    defaults: Mapping[str, Any] | None
    # As `optuna.from_study`: a study or a file; and how many of a study's best.
    from_study: str | None
    n_best: int

    def queue(
        self, study: optuna.Study, distributions: Mapping[str, BaseDistribution], url: str
    ) -> list[str]:
        """Queue them, or what is missing of them, as an error may have cut it short.

        Args:
            study: new, or one in which the sampler's turn may have come already.
            distributions: the search space.
            url: of the storage.

        Returns:
            What to tell the user.

        Raises:
            SweepError: what `from_study` names cannot be read or does not fit.
        """
        trials = study.get_trials(deepcopy=False)
        if any(trial.state is not TrialState.WAITING for trial in trials):
            if self.from_study is None or any("from_study" in t.user_attrs for t in trials):
                return []
            return [
                f"optuna.from_study={self.from_study} is left out: study {study.study_name} has "
                "begun without it; start another with optuna.study_name=NAME"
            ]
        if self.defaults is not None:
            study.enqueue_trial(
                dict(self.defaults), user_attrs={"defaults": True}, skip_if_exists=True
            )
        if self.from_study is None:
            return []
        count = warm_start(study, distributions, self.from_study, self.n_best, url)
        return [f"the best {count} of {self.from_study} run first"]
