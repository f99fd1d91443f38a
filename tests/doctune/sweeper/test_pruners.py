"""The pruners that can be chosen by name, each made from its file and asked about bad trials."""

from pathlib import Path

import optuna
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from optuna.trial import TrialState

from doctune.study.pruners import PromotedPruner, make_pruner
from tests.conftest import CONF

NAMES = sorted(path.stem for path in Path(CONF, "hydra", "sweeper", "pruner").glob("*.yaml"))
EPOCHS = 9


def pruner(*overrides: str) -> optuna.pruners.BasePruner:
    with initialize_config_dir(CONF):
        cfg = compose(
            "train", ["hparams_search=fast", "gpu=cpu", *overrides], return_hydra_config=True
        )
    HydraConfig.instance().set_config(cfg)
    return make_pruner(cfg.hydra.sweeper.pruner)


def epochs_of_a_bad_trial(made: optuna.pruners.BasePruner) -> int:
    """Return how long a trial that gets worse lives after some that are better and grow."""
    study = optuna.create_study(study_name="s", direction="maximize", pruner=made)
    for number in range(8):
        good = study.ask()
        for epoch in range(EPOCHS):
            good.report(0.5 + 0.01 * number + 0.01 * epoch, epoch)
        study.tell(good, 0.6)
    bad = study.ask()
    for epoch in range(EPOCHS):
        bad.report(0.1 - 0.01 * epoch, epoch)
        if bad.should_prune():
            study.tell(bad, state=TrialState.PRUNED)
            return epoch + 1
    return EPOCHS


def test_the_default_gives_every_trial_its_patience() -> None:
    made = pruner("pruning.patience=4")
    assert isinstance(made, PromotedPruner)
    assert epochs_of_a_bad_trial(made) == 4


def test_the_median_gives_one_epoch_more() -> None:
    made = pruner("pruning.patience=4", "hydra/sweeper/pruner=median")
    assert isinstance(made, optuna.pruners.MedianPruner)
    assert epochs_of_a_bad_trial(made) == 4 + 1


def test_a_patient_one_waits_for_epochs_without_a_gain() -> None:
    made = pruner("pruning.patience=4", "hydra/sweeper/pruner=patient")
    # The best epoch, and five below it.
    assert epochs_of_a_bad_trial(made) == 1 + 5


def test_any_other_can_be_named() -> None:
    other = "{_target_: optuna.pruners.HyperbandPruner, min_resource: 2}"
    made = pruner("~hydra/sweeper/pruner", f"hydra.sweeper.pruner={other}")
    assert isinstance(made, optuna.pruners.HyperbandPruner)


@pytest.mark.parametrize("name", NAMES)
def test_each_prunes_a_bad_trial_and_grants_it_some_epochs(name: str) -> None:
    epochs = epochs_of_a_bad_trial(pruner(f"hydra/sweeper/pruner={name}"))
    assert 3 <= epochs < EPOCHS
