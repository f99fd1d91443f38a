"""The plan of a search: memory and time of every image size x batch size, and what follows."""

from dataclasses import dataclass

from src.planning.earlier_trials import Correction
from src.planning.trial_time import Saving
from src.planning.workload import Images, Searched


@dataclass(frozen=True)
class Cell:
    """One image size with one batch size."""

    img_size: int
    batch_size: int
    # Bytes of the card; the second with gradient checkpointing, None where it was not counted.
    needed: int
    needed_checkpointing: int | None
    fits: bool
    fits_checkpointing: bool
    # Images at a time that a trial trains with: less than the batch where that does not fit.
    micro_batch: int
    # Whether a trial trains with gradient checkpointing, as `gpu.checkpointing` says.
    checkpointing: bool
    # Of a fold: the same in all but under `quick_validation.seconds`.
    epochs: int
    # Seconds of a trial that is not pruned.
    seconds: float


@dataclass(frozen=True)
class SearchPlan:
    """What a search needs and what it would be better for."""

    cells: tuple[Cell, ...]
    # Image size -> most images that fit at a time; 0: not even one.
    largest: dict[int, int]
    largest_checkpointing: dict[int, int]
    available: float
    images: Images
    searched: Searched
    parameters: int
    # How many trials come before pruning may begin.
    unpruned: int
    # Trials that can share a card, by memory.
    trials_a_card: int
    # How much faster a search is with one trial more on each card; 1 where none fits.
    gain_of_sharing: float
    correction: Correction
    pruning: Saving
    # Share of a trial's time that goes into batch norm's statistics, `trainer.precise_bn`.
    statistics: float
    # What is different as the images are few, in words.
    few_images: tuple[str, ...]
    seconds_a_trial: float
    n_trials: int
    n_jobs: int
    timeout: float | None

    @property
    def in_time(self) -> bool:
        """Tell whether the search is expected to end before `optuna.timeout`."""
        return self.timeout is None or self.seconds <= self.timeout

    @property
    def trials_in_time(self) -> int:
        """Return how many trials are expected to finish before `optuna.timeout`."""
        limit = self.timeout
        if limit is None:
            return self.n_trials
        fitting = (n for n in range(self.n_trials, 0, -1) if self.seconds_of(n) <= limit)
        return next(fitting, 0)

    @property
    def is_pruned(self) -> bool:
        """Tell whether any trial is expected to be ended early."""
        return self.pruning.share > 0 and self.n_trials > self.unpruned

    @property
    def seconds(self) -> float:
        """Return how long the whole search is expected to take."""
        return self.seconds_of(self.n_trials)

    def seconds_in_full(self, epochs: int, share: float) -> float:
        """Return how long the best and the defaults take in full (`optuna.in_full`).

        Args:
            epochs: of each.
            share: of a trial's folds that they are trained on.
        """
        longer = epochs / max(cell.epochs for cell in self.cells)
        return 2 * share * longer * self.seconds_a_trial / min(self.n_jobs, 2)

    def seconds_of(self, n_trials: int) -> float:
        """Return how long a search of so many trials is expected to take."""
        full = min(self.unpruned, n_trials)
        work = self.seconds_a_trial * (full + (n_trials - full) * (1 - self.pruning.share))
        return work / min(self.n_jobs, n_trials)
