"""Which faults are worth another try, and which trials use up `n_trials`."""

from concurrent.futures.process import BrokenProcessPool

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState, create_trial
from pebble import ProcessExpired
from sqlalchemy.exc import InterfaceError, OperationalError

from doctune.launcher.job.run import is_device_error
from doctune.launcher.slurm.scheduler import JobLostError
from doctune.launcher.slurm.submission import JobTimeError
from doctune.study.study import finished
from doctune.sweeper.failures import TrialTimeoutError, is_transient


class WorkerCrashedError(Exception):
    """As Ray calls it."""


class UncompletedJobError(Exception):
    """As submitit calls it."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ProcessExpired("killed", code=-9), True),  # type: ignore[no-untyped-call]
        (BrokenProcessPool("the worker died"), True),
        (WorkerCrashedError(), True),
        (UncompletedJobError(), True),
        (JobLostError("job 1 ended without a result: NODE_FAIL"), True),
        # The next one would have as little time.
        (JobTimeError(60), False),
        (ConnectionResetError(), True),
        (StorageInternalError(), True),
        (OperationalError("ROLLBACK", {}, OSError("cut")), True),
        (InterfaceError("ROLLBACK", {}, OSError("cut")), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), True),
        (RuntimeError("NCCL communicator was aborted"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), False),
        (RuntimeError("CUDA error: out of memory"), False),
        (RuntimeError("cuBLAS error: CUBLAS_STATUS_ALLOC_FAILED"), False),
        (OSError(28, "No space left on device"), False),
        (TrialTimeoutError(3.0), False),
        (ValueError("a mistake of the code"), False),
        (KeyError("cuda"), False),
    ],
)
def test_only_what_may_be_gone_next_time_is_tried_again(
    error: BaseException, expected: bool
) -> None:
    assert is_transient(error) is expected


def test_a_device_that_failed_is_told_from_one_that_is_full() -> None:
    assert is_device_error(RuntimeError("HIP error: device lost"))
    assert not is_device_error(RuntimeError("HIP out of memory"))
    assert not is_device_error(ValueError("no device named here"))


def test_failed_trials_count_as_configured_and_interrupted_ones_never() -> None:
    study = optuna.create_study()
    for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING):
        value = 1.0 if state is TrialState.COMPLETE else None
        study.add_trial(create_trial(state=state, value=value))
    lost = create_trial(state=TrialState.FAIL, user_attrs={"interrupted": True})
    study.add_trial(lost)
    assert finished(study) == 3
    assert finished(study, count_failed=False) == 2
