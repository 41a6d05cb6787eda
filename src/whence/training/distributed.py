"""One training over several processes: who they are, and what they tell each other."""

from __future__ import annotations  # some builds of torch have no process groups

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn, TypeVar, cast

import torch
from torch import distributed

from whence.messages import quote

T = TypeVar("T")

PATIENCE = timedelta(minutes=30)
"""A step that another process does not join for so long fails."""

LONG_PATIENCE = timedelta(days=30)
"""The same for what one process does while the others wait, such as the evaluation."""

LEAST_ROWS = 2
"""Images of the batch, and of the memory, that a process needs: BatchNorm needs more than one."""

LOST = ("closed by peer", "reset by peer", "Broken pipe", "Timed out", "remote process exited")
"""What torch says, in errors of no class of their own, when another process is gone."""


@dataclass(frozen=True)
class Team:
    """The processes of one training; the default is a process alone.

    Attributes:
        rank: of this process; 0 leads, it alone writes and speaks.
        size: number of processes.
        device: where this process computes.
        control: the group of processes that exchange plain objects, None for a process alone.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"
    control: distributed.ProcessGroup | None = None

    @property
    def leads(self) -> bool:
        """Say whether this process is the one that writes."""
        return self.rank == 0

    def share(self, value: T) -> T:
        """Return what the leader gave, in every process; what the others give is not looked at."""
        if self.control is None:
            return value
        box = [value if self.leads else None]
        distributed.broadcast_object_list(box, src=0, group=self.control)
        # torch has filled the box with the leader's object
        return box[0]  # type: ignore[return-value]

    def lead(self, work: Callable[[], T]) -> T:
        """Do what the leader alone does, and return its result in every process.

        If it fails, the others notice that the leader is gone.
        """
        return self.share(work() if self.leads else cast("T", None))

    def in_lead(
        self, context: AbstractContextManager[T], elsewhere: T
    ) -> AbstractContextManager[T]:
        """Enter a context in the leader alone; the others get ``elsewhere`` in its place."""
        return context if self.leads else nullcontext(elsewhere)

    @contextmanager
    def leader_says(self, error: type[Exception]) -> Iterator[None]:
        """Leave an error that every process meets to the leader, so that it is said once.

        Raises:
            SystemExit: in the other processes, once the leader is gone.
        """
        try:
            yield
        except error:
            if self.leads:
                raise
            self.wait_for_the_end()

    def agree(self, work: Callable[[], T]) -> T:
        """Do the same work in every process; if one fails all stop, and one says why.

        Raises:
            SystemExit: in the processes that leave the error to another one.
        """
        if self.control is None:
            return work()
        problem: Exception | None = None
        try:
            result = work()
        except Exception as error:  # raised again below, once the others know
            problem = error
        failed = self.collect(problem is not None)
        if problem is not None and failed.index(True) == self.rank:
            raise problem
        if True in failed:
            self.wait_for_the_end()
        return result

    def check_same(self, what: dict[str, object]) -> None:
        """Refuse processes that would not train the same.

        Raises:
            ValueError: in the first process that differs from the leader, naming what differs.
        """
        wanted = self.share(what)

        def compare() -> None:
            for name, value in what.items():
                if value != wanted[name]:
                    raise ValueError(
                        f"Every process must train the same, but process {self.rank} has another "
                        f"{name.replace('_', ' ')} than process 0; "
                        "give all machines the same images, settings and versions."
                    )

        self.agree(compare)

    def collect(self, value: T) -> list[T]:
        """Return the values of all processes, by rank."""
        if self.control is None:
            return [value]
        values: list[T] = [value] * self.size
        distributed.all_gather_object(values, value, group=self.control)
        return values

    def wait_for_the_end(self) -> NoReturn:
        """Leave quietly when the process that failed is gone: it says why."""
        try:
            self.collect(None)
        except RuntimeError as error:
            if not is_lost(error):
                raise
        raise SystemExit(2)


def rows_of(total: int, team: Team) -> slice:
    """Divide ``total`` rows among the processes, as evenly as can be.

    >>> [rows_of(7, Team(rank, 3)) for rank in range(3)]
    [slice(0, 2, None), slice(2, 4, None), slice(4, 7, None)]
    """
    return slice(team.rank * total // team.size, (team.rank + 1) * total // team.size)


def check_shares(batch_size: int, memory_size: int | None, team: Team) -> None:
    """Refuse a batch or a memory that is too small to be divided.

    Args:
        batch_size: B.
        memory_size: M, None for a standard model.
        team: the processes.

    Raises:
        ValueError: with what came and what it must be.
    """
    least = LEAST_ROWS * team.size
    for name, total in (("batch_size", batch_size), ("memory_size", memory_size)):
        if team.size > 1 and total is not None and total < least:
            raise ValueError(
                f"{name} must be at least {least}, {LEAST_ROWS} images for each of {team.size} "
                f"processes, got {total}; start fewer processes."
            )


@contextmanager
def join(device: str) -> Iterator[Team]:
    """Join the other processes that ``torchrun`` started; without it, a process is alone.

    Only the leader hears Ctrl-C. When a process stops, for whatever reason, the others notice that
    its connection is closed, and stop too.

    Args:
        device: "cpu", or "cuda": then each process takes the GPU of its local rank.

    Raises:
        ValueError: if there is no GPU for this process.
        ConnectionError: in the leader, when another process stopped.
        SystemExit: in the other processes, which leave it to the leader, or to the one that
            failed, to say why.
    """
    if not launched():
        yield Team(device=device)
        return
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    place = choose_place(device, int(os.environ["LOCAL_RANK"]))
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if rank != 0 else None
    if place.startswith("cuda"):
        torch.cuda.set_device(place)
    try:
        distributed.init_process_group(backend_of(place), timeout=PATIENCE)
        control = distributed.new_group(backend="gloo", timeout=LONG_PATIENCE)
        yield Team(rank, size, place, control)  # type: ignore[arg-type]  # each is a member
    except RuntimeError as error:
        if not is_lost(error):
            raise
        if rank != 0:
            raise SystemExit(2) from None
        raise ConnectionError(
            "Another process of this training stopped, so all do; its own message says why. "
            "Start all again with --resume to go on from the newest checkpoint."
        ) from error
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)
    distributed.destroy_process_group()  # after a failure the end of the process does it


def launched() -> bool:
    """Say whether ``torchrun`` started this process together with others."""
    many = int(os.environ.get("WORLD_SIZE", "1")) > 1
    return distributed.is_available() and distributed.is_torchelastic_launched() and many


def choose_place(device: str, local_rank: int) -> str:
    """Choose the device of one process of several on a machine.

    Raises:
        ValueError: if the user named one GPU for all, or there are fewer GPUs than processes.
    """
    chosen = torch.device(device)
    if chosen.type != "cuda":
        return device
    if chosen.index is not None:
        raise ValueError(
            f"device must be cpu or cuda under torchrun, which gives each process a GPU of its "
            f"own, got {quote(device)}."
        )
    here = torch.cuda.device_count()
    if local_rank >= here:
        raise ValueError(
            f"Process {local_rank} needs a GPU of its own, and there are {here} here; "
            f"give --nproc-per-node {here}, or --device cpu."
        )
    return f"cuda:{local_rank}"


def backend_of(device: str) -> str:
    """Name the library that adds up gradients between devices of a kind."""
    return "nccl" if torch.device(device).type == "cuda" else "gloo"


def is_lost(error: RuntimeError) -> bool:
    """Say whether an error means that another process is gone."""
    return isinstance(error, distributed.DistNetworkError) or any(
        text in str(error) for text in LOST
    )
