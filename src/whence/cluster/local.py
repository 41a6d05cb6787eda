"""Worker processes of this machine: what each sees of it, and how they start and stop."""

import asyncio
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tornado.ioloop import PeriodicCallback

RUN, GPU = "run", "GPU"
"""Resources that a worker is started with: how many runs at once, and GPUs."""

LOOPBACK = "127.0.0.1"
STOP_SECONDS = 1.0
"""That a worker gets to stop by itself; a run can be killed at any moment."""

MEND_MILLISECONDS = 1000
"""Between two looks for workers that are gone for good."""

GONE = ("closed", "failed")
"""What Dask calls the state of a worker that it will not start again."""

FOREVER = "1000 days"
"""For Dask, how long a killed worker may take until it is there again.

By default it has 15 seconds, which the imports of a new process can exceed on a busy machine; after
them Dask would drop the worker and never start another.
"""


def share_devices(workers: int, device: str | None) -> list[dict[str, str]]:
    """Choose what each local worker sees: GPUs in turn, and its part of the cores.

    A number of threads that the user set (``OMP_NUM_THREADS``) stays.

    Args:
        workers: how many.
        device: "cpu", "cuda", "cuda:N", or None for the best there is.

    Returns:
        Environment variables for each worker.
    """
    shares: list[dict[str, str]] = [{} for _ in range(workers)]
    gpus = list_gpus(device)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    for number, share in enumerate(shares):
        share["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)] if gpus else ""
        if "OMP_NUM_THREADS" not in os.environ:
            share["OMP_NUM_THREADS"] = str(max(1, (cores or 1) // workers))
    return shares


def list_gpus(device: str | None) -> list[str]:
    """List the GPUs that local workers may use, by the names that CUDA_VISIBLE_DEVICES takes."""
    if device is not None and device.startswith("cpu"):
        return []
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(number) for number in range(torch.cuda.device_count())]
    if visible is not None and names:
        names = [name.strip() for name in visible.split(",")][: len(names)]
    _, colon, number = (device or "").partition(":")
    return [names[int(number)]] if colon else names


@contextmanager
def start_workers(dask: Any, shares: Sequence[Mapping[str, str]], scratch: Path) -> Iterator[Any]:
    """Start a scheduler in this process and a worker process for each share, on the loopback.

    Nothing listens to other machines, and there is no dashboard. A worker that dies is started
    again, however long that takes and also when it dies while it starts. Memory is not limited:
    Dask's limit would kill a worker that uses what the others left.

    Args:
        dask: the module ``distributed``.
        shares: environment variables for each worker.
        scratch: folder for what Dask writes.
    """
    import dask.config as config

    closed = {"host": LOOPBACK, "dashboard": False, "dashboard_address": f"{LOOPBACK}:0"}
    worker = {
        "nthreads": 1,
        "memory_limit": 0,
        "resources": {RUN: 1, GPU: 1},
        "preload": ["whence.cluster.worker"],
        "local_directory": str(scratch),
        "silence_logs": logging.CRITICAL + 1,  # on the terminal; worker.py says where they go
        **closed,
    }
    settings = {
        "distributed.nanny.pre-spawn-environ": {},  # it would set threads to 1
        "distributed.worker.profile.enabled": False,
        "temporary-directory": str(scratch),  # of the scheduler
        "distributed.deploy.lost-worker-timeout": FOREVER,
    }
    before = dict(os.environ)
    told = [os.environ.get("PYTHONWARNINGS"), "ignore:resource_tracker:UserWarning"]
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, told))  # said of every killed worker
    with config.set(settings):
        cluster = dask.SpecCluster(
            scheduler={"cls": dask.Scheduler, "options": closed}, silence_logs=False
        )
        cluster.worker_spec |= {
            number: {"cls": dask.Nanny, "options": {**worker, "env": dict(share)}}
            for number, share in enumerate(shares)
        }
        cluster.scale(len(shares))
        try:
            with dask.Client(cluster, set_as_default=False, name="whence") as client:
                mending = cluster.sync(start_mending, cluster)
                yield client
                cluster.loop.add_callback(mending.stop)
        finally:
            cluster.worker_spec.clear()
            cluster.sync(stop_at_once, list(cluster.workers.values()))
            cluster.close()
            os.environ.clear()  # Dask added to it
            os.environ.update(before)


async def start_mending(cluster: Any) -> "PeriodicCallback":
    """Look at the workers every second, in Dask's event loop."""
    from tornado.ioloop import PeriodicCallback  # late: it comes with Dask

    mending = PeriodicCallback(lambda: mend(cluster), MEND_MILLISECONDS)
    mending.start()
    return mending


def mend(cluster: Any) -> None:
    """Start new workers in the place of those that Dask has given up, whose start failed."""
    gone = [number for number, nanny in cluster.workers.items() if nanny.status.name in GONE]
    for number in gone:
        del cluster.workers[number]
    if gone:
        cluster.scale(len(cluster.worker_spec))


async def stop_at_once(nannies: Sequence[Any]) -> None:
    """Stop local workers without waiting for the runs in them."""
    await asyncio.gather(*(stop(nanny) for nanny in nannies))


async def stop(nanny: Any) -> None:
    """Kill a local worker; on a busy machine it may be gone only after the time that it gets."""
    with suppress(TimeoutError):
        await nanny.close(timeout=STOP_SECONDS)
