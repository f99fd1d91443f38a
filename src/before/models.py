"""What is asked and checked of models before a search, where torch is.

The process of a search does without it: all this is called in a copy of the process that its
workers are copies of, which imports torch, timm and Lightning anyway
(`doctune.launcher.workers.beside`).
"""

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf


def check_models(cfg: DictConfig, jobs: Sequence[DictConfig]) -> list[str]:
    """Check models, optimizers and the Trainer's arguments; return what a user should know.

    Nothing is fetched: that is for `fetch_weights`.

    Args:
        cfg: the config of the search.
        jobs: configs of jobs that between them hold every choice and both ends of every range.

    Raises:
        UserError: names the key, the value and what to do.
    """
    from src.training.weights import check_file

    jobs = jobs or [cfg]
    for file in dict.fromkeys(job.model.checkpoint_path for job in jobs):
        if file is not None:
            check_file(file)
    from src.training.backbone import check_backbone
    from src.training.model_notes import check_acting
    from src.training.optimizer import check_optimizer

    for job in jobs:
        check_optimizer(job.optimizer, job.trainer.precision)
    # Most jobs differ in what does not concern the model's shape.
    shapes = {f"{job.data.img_size} {job.model}": job for job in jobs}
    for job in shapes.values():
        check_backbone(job.model, job.data.img_size)
        check_acting(job.model, job.data.img_size)
    from src.training.trainer_arguments import check_trainer_arguments

    for job in jobs:
        check_trainer_arguments(job, in_search=True)
    return list(dict.fromkeys(note for job in jobs for note in notes_on_model(job)))


def notes_on_model(job: DictConfig) -> list[str]:
    """Return what is different in a job's model from what its keys and the search space say."""
    from src.training.model_notes import notes_on

    entries: Any = OmegaConf.to_container(job.search_space, resolve=False)
    searched = [entry["key"] for entry in entries.values() if entry]
    return notes_on(job.model, job.data.img_size, searched)


def fetch_weights(jobs: Sequence[DictConfig]) -> None:
    """Refuse first weights that jobs would not get, and fetch those that are not here yet.

    Raises:
        UserError: they cannot be fetched, or the file is missing or of another model.
    """
    from src.training.backbone import check_weights

    sources = ("name", "pretrained", "checkpoint_path")
    models = {str([job.model[key] for key in sources]): job for job in jobs}
    for job in models.values():
        check_weights(job.model, job.data.img_size)
