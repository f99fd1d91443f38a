"""Jobs of hydra-ray-launcher, one at a time from each of several threads, that can be ended.

The launcher itself starts Ray in whichever thread comes first, has Ray repeat a task whose process
died, without a word, and cannot break off a task. Here Ray is started once, the search decides
what is tried again, and jobs are cancelled.
"""

import logging
import os
import threading
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import CancelledError
from typing import Any

import psutil
from hydra.core.utils import JobReturn
from omegaconf import OmegaConf

from doctune.launcher.job.family import descendants, end_all
from doctune.launcher.job.numbered import NumberedJobs
from doctune.launcher.job.run import JobContext
from doctune.passwords import VARIABLE

log = logging.getLogger(__name__)

# How often a task is looked at, in seconds.
LOOK_SECONDS = 1.0
# How long cancelled tasks may take to end, in seconds.
CLOSE_SECONDS = 3.0


class RayJobs(NumberedJobs):
    """Runs the jobs of a Ray launcher; `launch` raises a `RayError` where a process was lost.

    Args:
        launcher: of hydra-ray-launcher, set up.
    """

    def __init__(self, launcher: Any) -> None:
        super().__init__()
        self._launcher = launcher
        self._context = JobContext.capture(launcher)
        self._starting = threading.Lock()
        self._task: Any = None
        # By the numbers of the trials.
        self._tasks: dict[int, Any] = {}
        self._is_ours = False

    def cancel(self, number: int) -> None:
        """End a job, whose `launch` raises."""
        self._cancelled.add(number)
        task = self._tasks.get(number)
        if task is not None:
            self._end(task)

    def close(self) -> None:
        """End all jobs, and the Ray that was started for them."""
        with self._starting:
            self._closed.set()
            for task in list(self._tasks.values()):
                self._end(task)
            if self._is_ours:
                self._is_ours = False
                # Whoever waits for a task must not be in Ray when it ends.
                end = time.monotonic() + CLOSE_SECONDS
                while self._tasks and time.monotonic() < end:
                    time.sleep(0.05)
                _end_own_ray()

    def _run(self, overrides: list[str], number: int) -> JobReturn:
        import ray

        sign = f"doctune {uuid.uuid4().hex}"
        with self._starting:
            self._check_wanted(number)
            self._start()
            task = self._task.remote(self._context, overrides, number, sign, _secrets())
            self._tasks[number] = task
        try:
            while True:
                self._check_wanted(number)
                done, _ = ray.wait([task], timeout=LOOK_SECONDS)
                if done:
                    job: JobReturn = ray.get(task)
                    return job
                if number not in self._began and _is_signed(sign):
                    self._began[number] = time.monotonic()
        except CancelledError:
            raise
        except Exception:
            # What Ray says of a task that was cancelled, or of itself when it has ended.
            self._check_wanted(number)
            raise
        finally:
            del self._tasks[number]
            self._began.pop(number, None)
            self._cancelled.discard(number)

    def _start(self) -> None:
        """Start or join Ray, once; in one thread, as it takes no two calls."""
        if self._task is not None:
            return
        import ray

        wanted: Any = OmegaConf.to_container(self._launcher.ray_cfg.init, resolve=True) or {}
        if not wanted.get("address") and "RAY_ADDRESS" not in os.environ:
            # A dozen processes more for one search, which has pages of its own.
            wanted = {"include_dashboard": False, **wanted}
        if not ray.is_initialized():
            ray.init(**wanted)
            self._is_ours = True
        options: Any = OmegaConf.to_container(self._launcher.ray_cfg.remote, resolve=True)
        # The search tries a lost trial again, and tells so.
        self._task = ray.remote(**{"max_retries": 0, **(options or {})})(run_on_ray)

    def _end(self, task: Any) -> None:
        import ray

        try:
            ray.cancel(task, force=True)
        except Exception as error:
            log.warning("a task of Ray could not be cancelled: %s", error)


def run_on_ray(
    context: JobContext,
    overrides: list[str],
    number: int,
    sign: str,
    secrets: Mapping[str, str],
) -> JobReturn:
    """Run one job in a process of Ray.

    Args:
        context: what all jobs of the sweep have in common.
        overrides: the job's.
        number: of its trial.
        sign: left in Ray's own store when the job begins.
        secrets: environment variables that are written nowhere.
    """
    from ray.experimental.internal_kv import _internal_kv_put

    _internal_kv_put(sign.encode(), b"began")
    os.environ.update(secrets)
    return context.restore().run(overrides, number)


def _is_signed(sign: str) -> bool:
    from ray.experimental.internal_kv import _internal_kv_get

    return _internal_kv_get(sign.encode()) is not None


def _secrets() -> dict[str, str]:
    """Return the storage's password, which a process of another machine has no other way to."""
    return {VARIABLE: os.environ[VARIABLE]} if VARIABLE in os.environ else {}


def _end_own_ray() -> None:
    """End the Ray that this process has started, or leave the one that it has joined.

    Ray itself waits a second for each of its processes, one after the other.
    """
    import ray
    from ray._private import worker

    node: Any = getattr(worker, "_global_node", None)
    if node is not None and hasattr(node, "all_processes") and node.is_head():
        pids = [each.process.pid for some in node.all_processes.values() for each in some]
        family = [process for pid in pids for process in descendants(pid)]
        shutdown = node.kill_all_processes

        def end_at_once(*args: Any, **kwargs: Any) -> None:
            end_all([*family, *(psutil.Process(pid) for pid in pids if psutil.pid_exists(pid))])
            shutdown(*args, **{**kwargs, "allow_graceful": False})

        node.kill_all_processes = end_at_once
    ray.shutdown()
