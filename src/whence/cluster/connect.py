"""Workers to give runs to: processes started here, or those of a Dask scheduler elsewhere."""

import asyncio
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from whence.cluster import check as cluster_check
from whence.cluster.check import (
    Cluster,
    check_workers,
    wait_for_worker,
    write_probe,
)
from whence.cluster.local import GPU, RUN, share_devices, start_workers
from whence.cluster.worker import LOG_VARIABLE, FileLog
from whence.messages import quote

ADDRESS = re.compile(r"(?:(tcp|tls)://)?(\[[0-9A-Fa-f:.]+\]|[\w.-]+):(\d{1,5})")
MOST_PORTS = 65535
LOG = "cluster.log"
LOGGERS = ("distributed", "tornado", "asyncio")
"""What Dask says comes through these loggers, and those below them."""


def import_dask() -> Any:
    """Import the optional package distributed, or say how to get it."""
    try:
        return import_module("distributed")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Runs in worker processes need Dask's distributed; install it with: "
            "python -m pip install distributed"
        ) from error


@contextmanager
def open_cluster(
    out: Path, *, scheduler: str | None, workers: int | None, device: str | None
) -> Iterator[Cluster]:
    """Connect to a scheduler, or start workers here, and check that they can do the work.

    Args:
        out: the folder that holds all runs.
        scheduler: address such as ``tcp://10.0.0.1:8786``.
        workers: number of processes to start here; exactly one of the two is given.
        device: "cpu", "cuda" (with a scheduler: only workers with the resource GPU), "cuda:N"
            (here only), or None for the best that each worker has.

    Raises:
        ModuleNotFoundError: if Dask's distributed is not installed.
        ValueError: if an argument does not fit, or a worker does not see ``out``.
        ConnectionError: if no scheduler answers, or no worker that can take a run.
    """
    check_choice(scheduler, workers, device)
    dask = import_dask()
    needs = {RUN: 1, GPU: 1} if device is not None and device.startswith("cuda") else {RUN: 1}
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="whence-dask-")))
        stack.enter_context(divert_log(scratch / LOG, out))
        if scheduler is not None:
            client = stack.enter_context(connect(dask, scheduler))
        else:
            shares = share_devices(workers or 1, device)
            told = [{**share, LOG_VARIABLE: str(scratch / LOG)} for share in shares]
            client = stack.enter_context(start_workers(dask, told, scratch))
        probe, session = stack.enter_context(write_probe(out))
        cluster = Cluster(client, scheduler, needs, session, probe, Path.cwd())
        check_workers(cluster, wait_for_worker(cluster))
        yield cluster


def check_choice(scheduler: str | None, workers: int | None, device: str | None) -> None:
    """Refuse arguments of ``open_cluster`` that do not fit.

    Raises:
        ValueError: naming the argument.
    """
    if scheduler is not None and workers is not None:
        raise ValueError(
            "workers are started here, and scheduler has workers of its own; give one of the two."
        )
    if scheduler is None:
        if workers is None or workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}.")
        return
    found = ADDRESS.fullmatch(scheduler)
    if found is None or int(found[3]) > MOST_PORTS:
        raise ValueError(
            f"scheduler must be an address such as tcp://10.0.0.1:8786, got {quote(scheduler)}."
        )
    if device is not None and ":" in device:
        raise ValueError(
            f"device must be cpu or cuda with a scheduler, got {quote(device)}; "
            "which GPU a worker uses is chosen where it is started."
        )


@contextmanager
def divert_log(log: Path, out: Path) -> Iterator[None]:
    """Keep the warnings of Dask off the terminal; what matters in them becomes sentences of ours.

    Args:
        log: where they are written; a worker that is started here writes there as well.
        out: the folder that holds all runs; if it is there at the end, it gets the log.
    """
    handler = FileLog(log)
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in LOGGERS]
    loggers = [logging.getLogger(name) for name in {*names, *LOGGERS}]
    before = [(logger.handlers, logger.propagate, logger.level) for logger in loggers]
    try:
        for logger in loggers:
            logger.handlers, logger.propagate = [], True
            logger.setLevel(logging.NOTSET)
        for name in LOGGERS:
            logger = logging.getLogger(name)
            logger.handlers, logger.propagate = [handler], False
            logger.setLevel(logging.WARNING)
        yield
    finally:
        for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
        if log.exists() and out.is_dir():
            with (out / LOG).open("ab") as file:
                file.write(log.read_bytes())


@contextmanager
def connect(dask: Any, address: str) -> Iterator[Any]:
    """Connect to a scheduler.

    Raises:
        ConnectionError: if none answers.
    """
    try:
        asyncio.run(knock(dask, address))
        client = dask.Client(
            address, timeout=cluster_check.CONNECT_SECONDS, set_as_default=False, name="whence"
        )
    except (OSError, TypeError) as error:  # TypeError: tls without a certificate
        why = f" ({error})" if str(error) else ""
        raise ConnectionError(
            f"No Dask scheduler answers at {address}{why}; start one with: dask scheduler"
        ) from error
    try:
        yield client
    finally:
        client.close()


async def knock(dask: Any, address: str) -> None:
    """Shake hands with a scheduler; a client would wait for ever for one that does not."""
    arguments = dask.Security().get_connection_args("client")
    comm = await asyncio.wait_for(
        dask.comm.connect(address, **arguments), cluster_check.CONNECT_SECONDS
    )
    await comm.close()


def stop_runs(cluster: Cluster, futures: Sequence[Any], say: Callable[[str], None]) -> None:
    """Stop the workers of another machine that are training our runs; Dask starts them again.

    Those started here stop when the cluster is closed.
    """
    if cluster.address is None:
        return
    keys = {future.key for future in futures}
    try:
        processing = cluster.client.processing()
        busy = [worker for worker, tasks in processing.items() if keys & set(tasks)]
        cluster.client.cancel(list(futures), force=True)
        if busy:
            cluster.client.restart_workers(busy, timeout=30, raise_for_error=False)
    except (OSError, ValueError) as error:  # the scheduler is gone, or there is no nanny
        say(f"Not every worker could be stopped ({error}); it ends after the run it is at.")
