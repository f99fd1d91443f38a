"""A study may come from somebody else: whatever it holds, the report shows it as text."""

from pathlib import Path

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from src.results.stored_study import StoredStudy
from src.results.write import write_results

ATTACK = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


def hostile_study() -> optuna.Study:
    """Return a study that has the attack wherever a string can be."""
    study = optuna.create_study(study_name=f"name {ATTACK}", direction="maximize")
    study.set_metric_names([f"metric {ATTACK}"])
    study.set_user_attr("command", f"command {ATTACK}")
    study.set_user_attr("settings", {f"setting {ATTACK}": f"value {ATTACK}"})
    kind, size = f"kind {ATTACK}", f"size {ATTACK}"
    choices = (f"a {ATTACK}", f"b {ATTACK}")
    for number in range(6):
        study.add_trial(
            create_trial(
                state=TrialState.FAIL if number == 5 else TrialState.COMPLETE,
                value=None if number == 5 else number / 10,
                params={kind: choices[number % 2], size: number / 10},
                distributions={
                    kind: CategoricalDistribution(choices),
                    size: FloatDistribution(0, 1),
                },
                user_attrs={
                    "worker": f"worker {ATTACK}",
                    "error": f"error {ATTACK}",
                    "progress": f"progress {ATTACK}",
                    "environment": {f"package {ATTACK}": f"version {ATTACK}"},
                    "notes": [f"note {ATTACK}"],
                },
                intermediate_values={0: 0.1, 1: number / 10},
            )
        )
    return study


def test_nothing_in_a_study_becomes_part_of_the_page(tmp_path: Path) -> None:
    page = write_results(StoredStudy(hostile_study(), tmp_path)).report.read_text()
    for part in ("name", "error", "package", "version", "kind", "a"):
        # It is shown.
        assert f"{part} &lt;/script&gt;" in page or rf"{part} \u003c/script\u003e" in page, part
    assert "<script>alert" not in page
    assert "<img src=x" not in page
