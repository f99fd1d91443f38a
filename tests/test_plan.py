"""The plan of a search, through its door."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from src import plan
from src.hardware.memory import GIB
from src.training.forecast import foresee
from tests.conftest import REPOSITORY, Compose, Run

# Sizes at which the small model fills the card that is left.
SMALL = ("hparams_search=fast", "gpu=rtx3080", "data.img_size=128")
# Of one size of batches, where it matters to nothing: each size is estimated several times.
ONE = (*SMALL, "data.batch_size=32")
# A ResNet-18 with one block where it has two.
LAYERS = "+model.kwargs={layers: [1, 1, 1, 1]}"
# A transformer of few blocks, each of which is counted.
VIT = ("gpu=rtx3080", "model.name=vit_tiny_patch16_224", "+model.kwargs={depth: 3}")
# Of which a batch of 48 fits with checkpointing only.
VIT_224 = (*VIT, "data.img_size=224", "gpu.usable_gb=1.25")


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(sys, "argv", ["plan"])
    # What is counted in this process is counted once for all tests.
    monkeypatch.setattr("src.planning.counting.cores", lambda: 1)


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    plan.main(words)
    return capsys.readouterr().out


def planned(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    return json.loads(printed(capsys, *words, "--json"))


def test_a_plan_says_what_fits_and_leaves_nothing_behind(run: Run, tmp_path: Path) -> None:
    # Of which 0.2 GB are for images that stay on the card. In a process of its own, which counts
    # in several more.
    words = (*SMALL, "gpu.usable_gb=1.13", "optuna.timeout=60")
    shown = run("src.plan", *words, cached=False).stdout
    assert re.search(r"test_resnet on rtx3080  0\.\d million parameters, 16-mixed", shown)
    assert re.search(r"px +batch 24 +batch 32 +batch 40 +batch 48 +largest", shown)
    refused = re.search(r"128 px: batch.* not fit in 0\.93 GB; (\d+) does", shown)
    assert refused
    assert int(refused[1]) < 48
    assert "trials that do not fit run with the same effective batch, in pieces" in shown
    assert "slower, and batch norm sees the pieces" in shown
    assert "no earlier trial to correct them by" in shown
    assert not list(tmp_path.iterdir())


def test_batch_norm_is_spoken_of_where_there_is_any(capsys: pytest.CaptureFixture[str]) -> None:
    shown = printed(capsys, "hparams_search=fast", *VIT_224)
    assert "in pieces that fit: nothing to do, but they are slower; gpu.checkpointing" in shown
    assert "statistics" not in shown


def test_the_plan_for_programs_agrees_with_itself(capsys: pytest.CaptureFixture[str]) -> None:
    found = planned(
        capsys,
        *("hparams_search=fast", *VIT_224),
        "data.img_size=choice(160,224)",
        "search_space.batch_size.choices=[24,48]",
        "gpu.max_batch_size=512",
    )
    assert found["available"] == pytest.approx(1.05 * GIB)
    assert [(c["img_size"], c["batch_size"]) for c in found["cells"]] == [
        (side, batch) for side in (160, 224) for batch in (24, 48)
    ]
    for cell in found["cells"]:
        largest = found["largest"][str(cell["img_size"])]
        assert cell["fits"] == (cell["needed"] <= found["available"])
        assert cell["fits"] == (cell["batch_size"] <= largest)
        assert (cell["micro_batch"] == cell["batch_size"]) == cell["fits"]
        assert 1 <= cell["micro_batch"] <= largest
        assert cell["seconds"] > 0
    assert found["largest"]["160"] > found["largest"]["224"]
    assert found["largest_checkpointing"]["224"] >= found["largest"]["224"]


# What computing twice takes and saves is planned in test_computing_twice_takes_its_time, too.
@pytest.mark.parametrize(
    "checkpointing", [pytest.param("true", marks=pytest.mark.thorough), "false"]
)
def test_trials_do_as_planned(
    capsys: pytest.CaptureFixture[str], cfg: Compose, checkpointing: str
) -> None:
    words = (*VIT_224, f"gpu.checkpointing={checkpointing}")
    found = planned(capsys, "hparams_search=fast", *words, "search_space.batch_size.choices=[8,48]")
    small, large = found["cells"]
    for cell in (small, large):
        config = cfg(*words, f"data.batch_size={cell['batch_size']}")
        trial = foresee(config, found["images"]["classes"])
        assert trial is not None
        assert trial.needed == cell["needed"]
        assert trial.available == found["available"]
        assert (trial.micro_batch or cell["batch_size"]) == cell["micro_batch"]
        assert trial.checkpointing == cell["checkpointing"]
    assert small["fits"]
    assert not large["fits"]
    assert large["checkpointing"] == (checkpointing == "true")
    told = " ".join(found["advice"])
    assert ("run with it" in told) == (checkpointing == "true")
    assert ("gpu.checkpointing=true runs those marked c" in told) == (checkpointing == "false")


# With checkpointing trials do as planned above.
@pytest.mark.parametrize(
    "checkpointing", [pytest.param("true", marks=pytest.mark.thorough), "false"]
)
def test_a_model_that_only_checkpointing_makes_fit(
    capsys: pytest.CaptureFixture[str], checkpointing: str
) -> None:
    sizes = ("data.img_size=512", "data.batch_size=1", "gpu.usable_gb=1.089")
    words = ("hparams_search=fast", *VIT, *sizes)
    found = planned(capsys, *words, f"gpu.checkpointing={checkpointing}")
    assert found["largest"]["512"] == 0 < found["largest_checkpointing"]["512"]
    told = " ".join(found["advice"])
    assert ("too large" in told) == (checkpointing == "false")
    assert ("give gpu.checkpointing=true" in told) == (checkpointing == "false")
    assert "several can" not in told


def test_computing_twice_takes_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("hparams_search=fast", *VIT_224, "data.batch_size=48", "gpu.checkpointing=true")
    whole, twice = (
        planned(capsys, *words, f"gpu.usable_gb={gb}")["cells"][0] for gb in (9.78, 1.25)
    )
    assert twice["checkpointing"]
    assert twice["seconds"] > 1.1 * whole["seconds"]


def test_a_fixed_size_leaves_one_column_and_two_trials_share_a_card(
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = planned(capsys, *SMALL, "data.batch_size=16")
    assert [cell["batch_size"] for cell in whole["cells"]] == [16]
    shared = planned(capsys, *SMALL, "data.batch_size=16", "gpu.trials_per_device=2")
    assert shared["available"] == pytest.approx((9.78 / 2 - 0.2) * GIB)
    assert shared["trials_a_card"] == whole["trials_a_card"] > 2
    assert any("gpu.trials_per_device=2" in line for line in whole["advice"])


def test_trials_that_share_a_busy_card_take_turns(capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        *("hparams_search=fast", "gpu=rtx3080", "model.name=resnet18", LAYERS),
        *("data.batch_size=24", "data.img_size=320"),
    )
    alone = planned(capsys, *words)
    assert alone["trials_a_card"] > 1
    assert alone["gain_of_sharing"] < 1.1
    assert not any("trials_per_device" in line for line in alone["advice"])
    shared = planned(capsys, *words, "gpu.trials_per_device=2", "optuna.n_jobs=2")
    assert alone["seconds"] / shared["seconds"] == pytest.approx(alone["gain_of_sharing"])


def test_auto_counts_on_as_many_trials_as_keep_a_card_busy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = ("gpu=rtx3080", "model.name=resnet18", LAYERS)
    words = ("hparams_search=fast", *model, "data.img_size=64")
    alone = planned(capsys, *words, "data.batch_size=24", "optuna.n_jobs=1")
    auto = ("gpu.trials_per_device=auto", "optuna.n_jobs=8")
    packed = planned(capsys, *words, "data.batch_size=24", *auto)
    assert 1 < packed["n_jobs"] < 8
    # Whoever waits for Python leaves the card to the others.
    assert packed["seconds"] < 0.8 * alone["seconds"]
    # A trial may still have the whole card.
    assert packed["available"] == alone["available"]
    assert not any("trials_per_device" in line for line in packed["advice"])


def test_batch_norms_statistics_take_their_share(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("hparams_search=fast", "gpu=cpu", "data.batch_size=32", "data.img_size=64")
    found = planned(capsys, *words)
    without = planned(capsys, *words, "trainer.precise_bn=0")
    share = 1 - without["seconds_a_trial"] / found["seconds_a_trial"]
    assert 0.01 < share == pytest.approx(found["statistics"])
    # 1,440 images in three folds, each trained on 960 and scored on 480: 512 more go forward alone
    # after the last of three epochs, 128 after the others.
    more = (512 + 2 * 128) / 3
    assert share < more / (960 + 480 + more)
    assert without["statistics"] == 0
    shown = printed(capsys, *words)
    assert f"{share:.0%} of it for batch norm's statistics" in shown
    assert "; 128 where no trials are compared (quick_validation.precise_bn)" in shown
    everywhere = planned(capsys, *words, "hydra/sweeper/pruner=median")
    assert everywhere["seconds_a_trial"] > found["seconds_a_trial"]


def test_a_cpu_has_no_limit(capsys: pytest.CaptureFixture[str]) -> None:
    found = planned(capsys, "-m", "hparams_search=fast", "gpu=cpu", "data.batch_size=512")
    assert found["available"] is None
    assert all(cell["fits"] for cell in found["cells"])
    shown = printed(capsys, "hparams_search=fast", "gpu=cpu")
    assert "largest" not in shown


def test_more_time_than_there_is_and_less(capsys: pytest.CaptureFixture[str]) -> None:
    late = planned(capsys, *ONE, "optuna.timeout=1", "optuna.n_trials=200")
    assert not late["in_time"]
    assert any("raise optuna.timeout=" in line for line in late["advice"])
    early = planned(capsys, *ONE, "optuna.timeout=100000")
    assert early["in_time"]
    assert any("would be used" in line for line in early["advice"])


@pytest.mark.parametrize("key", ["optuna.timeout", "optuna.n_trials"])
def test_who_follows_the_advice_is_in_time(capsys: pytest.CaptureFixture[str], key: str) -> None:
    words = (*ONE, "optuna.timeout=5", "optuna.n_trials=60")
    late = planned(capsys, *words)
    assert not late["in_time"]
    told = re.search(rf"{key}=\d+", " ".join(late["advice"]))
    assert told
    assert planned(capsys, *words, told[0])["in_time"]


@pytest.mark.parametrize(
    "words",
    [
        ("optuna.n_trials=1",),
        ("hydra/sweeper/pruner=median", "pruning.n_startup_trials=20", "optuna.n_trials=20"),
    ],
    ids=["the defaults alone", "startup trials alone"],
)
def test_a_search_too_short_to_prune_saves_nothing(
    capsys: pytest.CaptureFixture[str], words: Sequence[str]
) -> None:
    assert "pruning" not in printed(capsys, *ONE, *words)


def test_a_trial_that_takes_longer_than_it_may_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    found = planned(capsys, *ONE, "optuna.trial_timeout=0.1")
    assert any("optuna.trial_timeout" in line for line in found["advice"])
    found = planned(capsys, *ONE, "optuna.trial_timeout=1000")
    assert not any("optuna.trial_timeout" in line for line in found["advice"])


def test_what_trials_that_share_a_card_lack_is_not_blamed_on_the_model(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = planned(capsys, *SMALL, "gpu.usable_gb=1.38", "gpu.trials_per_device=2")
    assert not all(cell["fits"] for cell in found["cells"])
    told = " ".join(found["advice"])
    assert "gpu.trials_per_device=1" in told
    assert "too large" not in told
    assert "several can" not in told


def test_earlier_trials_correct_the_times(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ("hparams_search=fast", "gpu=cpu", "data.batch_size=32", "optuna.n_trials=4")
    before = planned(capsys, *words)
    assert before["correction"]["trials"] == 0
    (tmp_path / "multirun").mkdir()
    study = optuna.create_study(
        storage="sqlite:///multirun/optuna.db", study_name="earlier", direction="maximize"
    )
    load = {
        **{"model": "test_resnet", "img_size": 64, "batch_size": 32, "precision": "32-true"},
        **{"images": before["images"]["train"], "folds": 3, "precise_bn": 512},
        "precise_bn_between": 128,
    }
    for seconds, device in ((60, "a CPU, 2 cores"), (1, "NVIDIA H100, 80 GB")):
        study.add_trial(
            create_trial(
                state=TrialState.COMPLETE,
                value=0.5,
                user_attrs={
                    **{"workload": load, "train_seconds": seconds, "epochs": 9},
                    "environment": {"device": device},
                },
            )
        )
    after = planned(capsys, *words)
    assert after["correction"]["trials"] == 1
    assert after["seconds_a_trial"] == pytest.approx(60)
    assert "as 1 earlier trial of this model took" in printed(capsys, *words)


def test_earlier_trials_are_compared_as_they_trained(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ("hparams_search=fast", *VIT_224, "data.batch_size=48", "gpu.checkpointing=true")
    before = planned(capsys, *words)
    (cell,) = before["cells"]
    assert cell["checkpointing"]
    (tmp_path / "multirun").mkdir()
    study = optuna.create_study(storage="sqlite:///multirun/optuna.db", study_name="earlier")
    load = {
        **{"model": "vit_tiny_patch16_224", "img_size": 224, "batch_size": 48, "folds": 3},
        **{"precision": "16-mixed", "images": before["images"]["train"]},
    }
    noted = {
        **{"workload": load, "train_seconds": 2 * cell["seconds"], "epochs": 9},
        "foreseen": {"fits": False, "micro_batch": None, "checkpointing": True},
        "environment": {"device": "NVIDIA GeForce RTX 3080, 10 GB"},
    }
    study.add_trial(create_trial(value=0.5, user_attrs=noted))
    assert planned(capsys, *words)["correction"]["factor"] == pytest.approx(2)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["model.name=resnet51"], "resnet50"),
        (["model=choice(tiny,resnet50)"], "a plan is for one model"),
        (["data.img_size=8"], "data.img_size=8"),
        (["hparams_search=fats"], "fats"),
        (["--bogus"], "--bogus: there is no such flag"),
        (["optuna.n_jobs=0"], "optuna.n_jobs: 0 is below 1"),
        (["optuna.n_trials=0"], "optuna.n_trials: 0 is below 1"),
        (["optuna.timeout=-5"], "optuna.timeout: -5.0 is below 0"),
        (["optuna.objectives=[f2]"], "optuna.objectives: 'f2' is unknown"),
        (["gpu.trials_per_device=0"], "gpu.trials_per_device=0: must be at least 1"),
        (["gpu.trials_per_device=100"], "gpu.trials_per_device=100: leaves a trial no memory"),
        (["gpu.usable_gb=0.1"], "gpu.usable_gb=0.1: leaves a trial no memory"),
        (["gpu.bandwidth_gb=0"], "gpu.bandwidth_gb=0.0: must be more than 0"),
        (["data.batch_size=choice(8,128)"], "data.batch_size=128: gpu=rtx3080 is safe up to 64"),
        (["data.img_size=choice(8,64)"], "data.img_size=8: must be at least 16"),
        (["hparams_search=fast", "trainer.devices=2"], "trainer.devices=2: a search gives every"),
        (["model.name=inception_v3", "data.img_size=64"], "data.img_size=64: inception_v3 cannot"),
        (["model.name=lcnet_050", "model.drop_path_rate=0.1"], "lcnet_050 has no residual to drop"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        plan.main([*words, "gpu=rtx3080"])
    shown = capsys.readouterr()
    assert told in f"{ended.value} {shown.err}"
    assert "Traceback" not in shown.err


def test_the_door_opens_without_torch() -> None:
    code = "import sys, src.plan; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0
