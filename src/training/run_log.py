"""One run in a logger, from its first curve to how it ended.

The folds of a trial are parts of its one run, `fold_1/val/f1` and so on, so that trials stand
next to each other in TensorBoard, MLflow or W&B with their parameters and their score.
"""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from pytorch_lightning.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

# What says which trial a run is.
IDENTITY = ("study", "trial")
# How a run may end, and what MLflow calls that; W&B gets it as a tag, TensorBoard as a column.
COMPLETE, PRUNED, FAILED, KILLED = "complete", "pruned", "failed", "killed"
IN_MLFLOW = {COMPLETE: "FINISHED", PRUNED: "KILLED", FAILED: "FAILED", KILLED: "KILLED"}
# What a pruned trial had come to, under another name than the score of those that ran to the end.
WHEN_PRUNED = "score_when_pruned"


class RunLog:
    """One run of a logger, open until the `with` block ends; without a logger it does nothing.

    Args:
        logger: Lightning's logger, or None.
        parameters: by dotted key; written at once, but by TensorBoard at the end.
        searched: the keys of them that differ from trial to trial.
        scores: names of what `add_scores` will write.
        epochs: whether curves go over epochs instead of steps.
    """

    def __init__(
        self,
        logger: Logger | None,
        parameters: Mapping[str, Any],
        searched: Sequence[str] = (),
        scores: Sequence[str] = (),
        epochs: bool = False,
    ) -> None:
        self._logger = logger
        self._parameters = dict(parameters)
        self._searched = searched
        self._scores = scores
        self._epochs = epochs
        self._state = COMPLETE
        if logger is not None and not isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(self._parameters)

    def part(self, prefix: str = "") -> Logger | None:
        """Return what Lightning's Trainer logs to; its metrics get `prefix`."""
        if self._logger is None:
            return None
        return (_PartOverEpochs if self._epochs else _Part)(self._logger, prefix)

    def add_scores(self, scores: Mapping[str, float]) -> None:
        """Write the results of the whole run."""
        if self._logger is not None:
            self._logger.log_metrics(dict(scores))

    def add_pruned(self, estimate: float) -> None:
        """Write how far a trial came that was ended early; it gets no score to be sorted by."""
        self._state = PRUNED
        self.add_scores({WHEN_PRUNED: estimate})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """End the run in the logger's own way: complete, pruned, failed or killed."""
        if self._logger is None:
            return
        state = self._state
        if kind is not None:
            state = FAILED if issubclass(kind, Exception) else KILLED
        if isinstance(self._logger, MLFlowLogger):
            self._logger.experiment.set_tag(self._logger.run_id, "state", state)
            self._logger.finalize(IN_MLFLOW[state])
            return
        if isinstance(self._logger, TensorBoardLogger):
            self._write_row(self._logger, state)
        self._logger.finalize("success" if kind is None else "failed")
        if isinstance(self._logger, WandbLogger):
            run = self._logger.experiment
            run.summary["state"] = state
            run.tags = (*(run.tags or ()), state)
            # Left open, it would swallow the next trial of this worker.
            run.finish(exit_code=0 if kind is None else 1)

    def _write_row(self, logger: TensorBoardLogger, state: str) -> None:
        """Write the run's row of TensorBoard's HPARAMS, which cannot be changed any more.

        As Lightning writes it, TensorBoard sorts all parameters by name; those that are said to
        differ come first.
        """
        from tensorboard.plugins.hparams.api_pb2 import Status
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
        from torch.utils.tensorboard.summary import hparams

        # A group that is searched, such as model, differs in its name.
        differ = {*IDENTITY, "state", *self._searched, *(f"{key}.name" for key in self._searched)}
        make: Any = hparams
        for part in make({"state": state, **self._parameters}, dict.fromkeys(self._scores, 0)):
            plugin = part.value[0].metadata.plugin_data
            content = HParamsPluginData.FromString(plugin.content)
            for info in content.experiment.hparam_infos:
                info.differs = info.name in differ
            if content.HasField("session_end_info") and state in (FAILED, KILLED):
                content.session_end_info.status = Status.Value("STATUS_FAILURE")
            plugin.content = content.SerializeToString()
            logger.experiment._get_file_writer().add_summary(part)


class _Part(Logger):
    """A stretch of a run that Lightning's Trainer may end without ending the run."""

    def __init__(self, run: Logger, prefix: str) -> None:
        super().__init__()
        self._run = run
        self._prefix = prefix

    @property
    def name(self) -> str | None:
        return self._run.name

    @property
    def version(self) -> int | str | None:
        return self._run.version

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:  # type: ignore[override]
        self._run.log_metrics({f"{self._prefix}{k}": v for k, v in metrics.items()}, step)

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Write nothing: the run has them already."""

    def save(self) -> None:
        self._run.save()


class _PartOverEpochs(_Part):
    """The same with a point an epoch, so that the curves of all batch sizes line up."""

    def __init__(self, run: Logger, prefix: str) -> None:
        super().__init__(run, prefix)
        self._latest: dict[str, float] = {}

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:  # type: ignore[override]
        self._latest.update(metrics)
        if "val/loss" not in metrics:
            return
        # The loss of one batch says less than the epoch's mean, which is there as well.
        self._latest.pop("train/loss", None)
        super().log_metrics(self._latest, int(metrics["epoch"]) + 1)
        self._latest = {}
