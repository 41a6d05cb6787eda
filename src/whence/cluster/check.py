"""Workers that runs can be given to, and whether they can do the work."""

import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from whence.cluster.worker import Machine, describe_machine

CONNECT_SECONDS = 10.0
"""To reach a scheduler, and then for its first worker to be there."""

START_SECONDS = 300.0
"""For local workers to be there; the imports of a new process are slow on a busy machine."""


@dataclass(frozen=True)
class Cluster:
    """Workers, and what they are told of this command.

    Attributes:
        client: Dask's, connected.
        address: of the scheduler; None for worker processes started here.
        needs: resources that a worker must have for one run.
        session: a name for this command that no other one has.
        probe: a file that holds it, to tell whether a worker sees this file system.
        home: the working folder of this command.
    """

    client: Any
    address: str | None
    needs: Mapping[str, int]
    session: str
    probe: Path
    home: Path

    def find_workers(self) -> list[str]:
        """List the addresses of the connected workers that can take a run.

        Raises:
            ConnectionError: if the scheduler is gone.
        """
        try:
            workers = self.client.scheduler_info(n_workers=-1)["workers"]
        except OSError as error:
            raise lost(self.address) from error
        return [
            address
            for address, worker in workers.items()
            if all(worker["resources"].get(name, 0) >= n for name, n in self.needs.items())
        ]


def lost(address: str | None) -> ConnectionError:
    """Word the loss of a scheduler."""
    where = "of the local workers" if address is None else f"at {address}"
    return ConnectionError(
        f"The connection to the scheduler {where} is lost; every run can go on from its newest "
        "checkpoint, the same command does that (whence train with --resume)."
    )


@contextmanager
def write_probe(out: Path) -> Iterator[tuple[Path, str]]:
    """Write a file where the runs will be, for the workers to look for.

    Yields:
        Its path and what is in it.
    """
    there = next(path for path in (out.absolute(), *out.absolute().parents) if path.is_dir())
    session = uuid.uuid4().hex
    probe = there / f".whence-{session}.{os.getpid()}.tmp"
    probe.write_text(session)
    try:
        yield probe, session
    finally:
        probe.unlink(missing_ok=True)


def wait_for_worker(cluster: Cluster) -> list[str]:
    """Wait until a worker that can take a run is connected; return the addresses of all that can.

    Raises:
        ConnectionError: if none comes in time.
    """
    limit = START_SECONDS if cluster.address is None else CONNECT_SECONDS
    end = time.monotonic() + limit
    while not (found := cluster.find_workers()):
        if time.monotonic() > end and cluster.address is None:
            raise ConnectionError(
                f"No worker process was ready within {limit:g} seconds; this machine has too much "
                "else to do, or too little memory for another process."
            )
        if time.monotonic() > end:
            wanted = " ".join(f"{name}={count}" for name, count in cluster.needs.items())
            raise ConnectionError(
                f"No worker of {cluster.address} has the resources for a run; "
                f"start one with: dask worker {cluster.address} --nthreads 1 "
                f'--resources "{wanted}"'
            )
        time.sleep(0.1)
    return found


def check_workers(cluster: Cluster, addresses: Sequence[str]) -> None:
    """Refuse workers that have another whence, or do not see our files.

    Raises:
        ValueError: naming the worker and what to do.
    """
    found = cluster.client.run(
        describe_machine, cluster.probe, cluster.home, workers=list(addresses), on_error="return"
    )
    for address, machine in found.items():
        if isinstance(machine, ModuleNotFoundError):
            raise ValueError(f"The worker {address} has no whence ({machine}); install it there.")
        if isinstance(machine, OSError):  # gone in between: its run will go to another one
            continue
        if isinstance(machine, BaseException):
            raise machine
        check_machine(machine, address, cluster)


def check_machine(machine: Machine, address: str, cluster: Cluster) -> None:
    """Refuse one worker of another version, or one that does not see our files or its device."""
    who = f"The worker {address} on {machine.name}"
    if machine.version != version("whence"):
        raise ValueError(
            f"{who} must have whence {version('whence')} like this machine, it has "
            f"{machine.version}."
        )
    if machine.token != cluster.session:
        raise ValueError(
            f"{who} does not see {cluster.probe.parent} as this machine does; "
            "put --out on a file system that all workers share."
        )
    if not machine.has_home:
        raise ValueError(
            f"{who} does not see {cluster.home}; start whence in a folder on a file system that "
            "all workers share."
        )
