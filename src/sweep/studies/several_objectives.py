"""Pruning in a study with several objectives, by the first of them.

Optuna refuses that: `Trial.report` and `Trial.should_prune` raise, and so does what reads
`study.direction`, as pruners do, and TPE once a trial is pruned. What a job reports is the
first objective, so its direction is the one that they ask for.
"""

import optuna
from optuna.study import StudyDirection


class StudyLedByFirst(optuna.Study):
    """A study whose `direction` is the first objective's; `directions` keeps them all."""

    @property
    def direction(self) -> StudyDirection:
        """Return the direction of what is reported."""
        return self.directions[0]


def prunable(study: optuna.Study) -> optuna.Study:
    """Return the study as pruners and samplers can take it, whatever its objectives."""
    if len(study.directions) == 1:
        return study
    return StudyLedByFirst(study.study_name, study._storage, study.sampler, study.pruner)
