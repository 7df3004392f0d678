"""Stage cluster: workers from a batch system, for any stage's --scheduler."""

import time
from pathlib import Path
from typing import Any, Literal

from features.errors import ConfigError, counted
from features.files import write_text
from pipeline.stage import note

_POLL_S = 5.0


def make_cluster(system: str, **settings: Any) -> Any:
    """A dask-jobqueue cluster without jobs.

    Raises:
        ConfigError: dask-jobqueue is not installed.
    """
    try:
        import dask
        import dask_jobqueue
    except ImportError:
        raise ConfigError(
            "keraldi cluster needs dask-jobqueue; pip install 'keraldi[cluster]'"
        ) from None
    # The stages count deaths themselves.
    dask.config.set({"distributed.scheduler.allowed-failures": 0})
    kinds = {"slurm": dask_jobqueue.SLURMCluster, "sge": dask_jobqueue.SGECluster}
    return kinds[system](processes=1, **settings)


def cluster(
    system: Literal["slurm", "sge"],
    address: str,
    *,
    jobs: int = 4,
    cores: int = 1,
    memory: str = "4GB",
    queue: str | None = None,
    walltime: str = "24:00:00",
    show: bool = False,
) -> None:
    """Keeps jobs of a batch system as workers until it is interrupted.

    Another shell gives `--scheduler "$(cat ADDRESS)"` to extract, decode, transcribe or
    score-corpus. All machines must see the same files under the same names. A job that dies is
    replaced.

    Args:
        system: the batch system.
        address: file to write the scheduler's address to.
        jobs: how many.
        cores: of each job, which works on as many shares at once.
        memory: of each job.
        queue: partition or queue; the system's default when not given.
        walltime: of each job.
        show: print the job script and submit nothing.
    """
    if jobs < 1:
        raise ConfigError(f"--jobs: expected at least 1, got {jobs}")
    made = make_cluster(
        system, cores=cores, memory=memory, queue=queue, walltime=walltime
    )
    with made:
        if show:
            print(made.job_script())
            return
        made.adapt(minimum_jobs=jobs, maximum_jobs=jobs)
        write_text(address, f"{made.scheduler_address}\n")
        note(f"cluster: {counted(jobs, f'{system} job')} for {made.scheduler_address}")
        try:
            while True:
                time.sleep(_POLL_S)
        finally:
            Path(address).unlink(missing_ok=True)
