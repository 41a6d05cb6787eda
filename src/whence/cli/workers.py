"""The options of commands that give many runs to worker processes."""

import os

from jsonargparse import ArgumentParser, Namespace

from whence.cli.options import check_device, choose_device


def add_workers(parser: ArgumentParser) -> None:
    """Add ``--workers`` and ``--scheduler``."""
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="run N at a time in processes of their own, which share cores and GPUs",
    )
    parser.add_argument(
        "--scheduler",
        type=str,
        metavar="ADDRESS",
        help="give the runs to the workers of a Dask scheduler, such as tcp://10.0.0.1:8786",
    )


def check_side_by_side(seeds: int, *, tuning: bool = False) -> None:
    """Refuse worker processes where one run is to be trained, without others to tune it.

    Raises:
        ValueError: if there is one seed only, or torchrun started this process.
    """
    if seeds == 1 and not tuning:
        raise ValueError("workers and scheduler are for several runs; add --seeds N.")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:  # set by torchrun
        raise ValueError(
            "workers and scheduler train many runs side by side, torchrun one run over several "
            "processes; leave one of them out."
        )


def choose_worker_device(options: Namespace) -> str | None:
    """Pick the device of local workers; those of a scheduler find theirs where they are.

    Raises:
        ValueError: if the name is unknown, or there is no such device here.
    """
    if options.scheduler is None:
        return choose_device(options.device)
    check_device(options.device)
    name: str | None = options.device
    return name


def raise_failed(failed: int, total: int, again: str) -> None:
    """End a command some of whose runs failed; each was named when it did.

    Raises:
        ValueError: if any failed.
    """
    if failed:
        raise ValueError(f"{failed} of {total} runs failed, named above; {again}.")
