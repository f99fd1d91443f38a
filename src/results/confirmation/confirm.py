"""The confirmation of a study from start to end."""

import csv
import json
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from doctune.files import replacing, write_text
from doctune.words import counted
from src.before.checks import check_one_card, check_run
from src.results.confirmation.judge import Confirmation, compare
from src.results.confirmation.plan import make_plan
from src.results.confirmation.runs import Runs
from src.results.confirmation.table import print_confirmation
from src.results.stored_study import StoredStudy
from src.results.write import write_results


def confirm(stored: StoredStudy, cfg: DictConfig, console: Console) -> Confirmation:
    """Run what is missing, write `confirm.json` and `confirm.csv`, and say what came out.

    Raises:
        UserError: the study has nothing to compare, or the machine lacks what it needs.
    """
    plan = make_plan(stored, cfg)
    for config in plan.configs.values():
        check_one_card(config, "a confirmation gives every run")
        check_run(config)
    runs = Runs(stored.folder)
    folds = list(plan.fold_runs())
    console.print(
        f"{counted(len(plan.contenders), 'configuration')} and the defaults, "
        f"{counted(plan.repeats, 'fresh seed')}, {counted(plan.folds, 'fold')} of "
        f"{counted(plan.epochs, 'epoch')}: {counted(len(folds), 'run')}",
        highlight=False,
    )
    configs = dict(plan.configs)
    runs.make(folds, configs, "fresh seeds and folds", console)
    scores = {
        number: [runs.score(run) for run in folds if run.trial == number] for number in configs
    }
    params = {number: stored.trial(number).params for number in configs}
    contenders = compare(scores, params, plan.defaults, plan.folds)
    winner = contenders[0].trial
    tests = list(plan.test_runs(winner))
    runs.make(tests, configs, "full trainings", console)
    base = scores[plan.defaults]
    found = Confirmation(
        study=stored.study.study_name,
        data=plan.data,
        other_data=plan.other_data,
        pairs=len(base),
        folds=plan.folds,
        epochs=plan.epochs,
        defaults_trial=plan.defaults,
        defaults_score=sum(base) / len(base),
        contenders=contenders,
        test_winner=[runs.score(run) for run in tests if run.trial == winner],
        test_defaults=[runs.score(run) for run in tests if run.trial == plan.defaults],
        wear=plan.wear,
    )
    written = _write(stored.folder, found, scores)
    print_confirmation(found, written, write_results(stored), console)
    return found


def _write(folder: Path, found: Confirmation, scores: dict[int, list[float]]) -> Path:
    name = f"confirm_{found.data}" if found.other_data else "confirm"
    path = folder / f"{name}.json"
    write_text(path, json.dumps(found.to_json(), indent=2) + "\n")
    with (
        replacing(folder / f"{name}.csv") as part,
        part.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file)
        table.writerow(["trial", "repeat", "fold", "macro_f1"])
        for trial, values in scores.items():
            for i, value in enumerate(values):
                repeat, fold = divmod(i, found.folds)
                table.writerow([trial, repeat + 1, fold + 1, value])
    return path
