"""What the paper's tables of accuracies cost: runs, steps, images, operations, hours.

Claim: none beforehand; it counts. Runs, steps and images follow from the cells of the package; the
multiplications and additions of a forward pass are counted by torch on the real encoders, each as
one operation, and a training pass as three forward passes. Hours on a device follow from two
assumptions that you give: the rate that it keeps up, and the least time of a step, because small
networks leave a GPU waiting for the next command.

    python -m benchmarks.table_cost --teraflops 30 --least-step-ms 20
    python -m benchmarks.table_cost --measure cpu

With ``--measure`` a quarter of a step (32 images, 25 memories) of each encoder is run on a device,
n = 2 after one that does not count. On a CPU its processor time counts, so the result is in
core-hours; on a GPU the clock counts, for a whole step.
"""

import argparse
import time
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

import whence
from benchmarks.sides import machine, random_images
from whence.data.split import LARGE_VALIDATION
from whence.memory.heads import find_head
from whence.runs.recipe_and_plan import choose_plan, choose_recipe
from whence.runs.settings import Settings
from whence.tables.cell import ACCURACY, Cell
from whence.tables.paper_tables import MEMORY_SIZE, SIDE, TABLES, name_measure, read_cells
from whence.training.fit import fit
from whence.training.plan import Plan
from whence.training.recipes import Recipe

IMAGES = {"svhn": (73_257, 26_032), "cifar10": (50_000, 10_000), "cinic10": (90_000, 90_000)}
"""Training and test images of the paper's datasets."""

CLASSES, CHANNELS = 10, 3
BACKWARD = 3
"""Forward passes that forward and backward together cost."""

DEVICES = 8
BATCH = 128
WARM, COUNTED = 1, 2


class Work(NamedTuple):
    """What one run, or many, consist of."""

    runs: int
    steps: int
    trained: int  # images encoded with a backward pass: batches and memories
    encoded: int  # images encoded without one: the bank, validation and test images
    training: int  # operations
    evaluation: int  # operations, of the encoder alone


class Entry(NamedTuple):
    """One row of one table."""

    table: int
    encoder: str
    variant: str
    one: Work  # of one seed
    seeds: int


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teraflops", type=float, default=30.0, help="assumed, kept up on average")
    parser.add_argument("--least-step-ms", type=float, default=20.0, help="assumed")
    parser.add_argument("--measure", choices=("cpu", "cuda"))
    options = parser.parse_args()
    rate, least = options.teraflops * 1e12, options.least_step_ms / 1000
    entries = list_entries()
    print(f"assumed, not measured: {options.teraflops} TFLOP/s, {options.least_step_ms} ms a step")
    for name in ("table", "encoder", "variant"):
        print_rows(name, group(entries, name), entries, rate, least)
    print_rows("all", {"all": entries}, entries, rate, least)
    if options.measure is not None:
        print_measured(entries, options.measure)


def list_entries() -> list[Entry]:
    """Read the rows of every table that has runs of its own."""
    tables = [table for table in TABLES if name_measure(table) == ACCURACY]
    return [count_cell(table, cell) for table in tables for cell in read_cells(table)]


def count_cell(table: int, cell: Cell) -> Entry:
    """Count the work of one row."""
    settings = cell.settings
    return Entry(table, str(settings.encoder), settings.head, count_run(settings), cell.seeds)


def count_run(settings: Settings) -> Work:
    """Count the work of one run with one of the paper's datasets."""
    everything, test = IMAGES[settings.data]
    validation = settings.validation_examples or LARGE_VALIDATION
    total = settings.train_examples or everything - validation
    has_memory = find_head(settings.head).has_memory
    recipe = choose_recipe(settings)
    plan = choose_plan(settings, recipe, total, has_memory)
    batch = min(recipe.batch_size, total)
    memory = plan.memory_size if has_memory else 0
    steps = plan.epochs * (total // batch)
    encoded = validation + test + (total if has_memory else 0)
    encoder = str(settings.encoder)
    forward = (batch + memory) * count_image(encoder)
    forward += count_head(encoder, settings.head, batch, memory)
    return Work(
        1,
        steps,
        steps * (batch + memory),
        encoded,
        steps * BACKWARD * forward,
        encoded * count_image(encoder),
    )


@cache
def count_image(encoder: str) -> int:
    """Count the operations that encode one 32 x 32 colour image."""
    with torch.device("meta"):  # shapes alone, nothing is computed
        network = whence.wrap(
            encoder, CLASSES, variant="standard", image_shape=(CHANNELS, SIDE, SIDE)
        ).encoder.eval()
        images = torch.empty(1, CHANNELS, SIDE, SIDE)
        with FlopCounterMode(display=False) as counter:
            network(images)
    return counter.get_total_flops()


@cache
def count_head(encoder: str, variant: str, batch: int, memory: int) -> int:
    """Count the operations of similarities, memory vectors and the last layers for one batch."""
    with torch.device("meta"):
        model = whence.wrap(
            encoder, CLASSES, variant=variant, image_shape=(CHANNELS, SIDE, SIDE)
        ).eval()
    head = model.head.to_empty(device="cpu")  # attention does not run on shapes alone
    features = [torch.ones(rows, model.features) for rows in (batch, memory) if rows]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        head(*features)
    return counter.get_total_flops()


def add(entries: Iterable[Entry]) -> Work:
    """Sum the work of rows, all seeds."""
    columns = zip(*([n * e.seeds for n in e.one] for e in entries), strict=True)
    return Work(*map(sum, columns))


def seconds_of(work: Work, rate: float, least: float) -> float:
    """Compute the seconds of one run, or of runs whose steps are alike, one after another.

    Args:
        work: what they consist of.
        rate: operations a second.
        least: seconds that a step takes at least.
    """
    return max(work.training / rate, work.steps * least) + work.evaluation / rate


def schedule(entries: Sequence[Entry], rate: float, least: float, devices: int) -> float:
    """Bound from below the seconds of all runs on some devices: fair shares, or the longest run."""
    runs = [(seconds_of(entry.one, rate, least), entry.seeds) for entry in entries]
    whole = sum(seconds * seeds for seconds, seeds in runs)
    return max(whole / devices, *(seconds for seconds, _ in runs))


def group(entries: Iterable[Entry], name: str) -> dict[str, list[Entry]]:
    """Put rows together that have the same table, encoder or variant."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(str(getattr(entry, name)), []).append(entry)
    return found


def print_rows(
    title: str,
    groups: dict[str, list[Entry]],
    everything: Sequence[Entry],
    rate: float,
    least: float,
) -> None:
    """Print one line for each group of all rows."""
    header = [title, "runs", "million steps", "million images trained", "million images encoded"]
    header += ["PFLOP", "share", "hours on one", f"hours on {DEVICES}", "longest run, min"]
    print("\n| " + " | ".join(header) + " |\n" + "| --- " * len(header) + "|")
    total = count_operations(everything)
    for name, entries in groups.items():
        work = add(entries)
        hours = [schedule(entries, rate, least, devices) / 3600 for devices in (1, DEVICES)]
        longest = max(seconds_of(entry.one, rate, least) for entry in entries) / 60
        flop = count_operations(entries)
        cells = [name, f"{work.runs:,}", f"{work.steps / 1e6:.2f}", f"{work.trained / 1e6:,.0f}"]
        cells += [f"{work.encoded / 1e6:,.0f}", f"{flop / 1e15:,.0f}", f"{flop / total:.1%}"]
        cells += [f"{hour:,.1f}" for hour in (*hours, longest)]
        print("| " + " | ".join(cells) + " |", flush=True)


def count_operations(entries: Iterable[Entry]) -> int:
    """Count the operations of rows, all seeds."""
    return sum(e.seeds * (e.one.training + e.one.evaluation) for e in entries)


def print_measured(entries: Sequence[Entry], device: str) -> None:
    """Run steps of each encoder and print what all runs would take on this device."""
    whole = "core-hours" if device == "cpu" else "hours"
    print(f"\nmeasured, {device}, {machine()}, float32:")
    total = 0.0
    for encoder, rows in group(entries, "encoder").items():
        seconds = measure_image(encoder, device)
        work = add(rows)
        hours = seconds * (work.trained + work.encoded / BACKWARD) / 3600
        rate = BACKWARD * count_image(encoder) / seconds / 1e9
        total += hours
        print(
            f"  {encoder}: {count_image(encoder) / 1e9:.3f} GFLOP an image; "
            f"{1000 * seconds:.1f} ms an image trained, {rate:.0f} GFLOP/s; {hours:,.0f} {whole}",
            flush=True,
        )
    print(f"  all: {total:,.0f} {whole}, {total / 24:,.0f} days of one, {total / 48:,.0f} of two")


def measure_image(encoder: str, device: str) -> float:
    """Measure the seconds that a step takes for each image in it, batch and memory."""
    part = 4 if device == "cpu" else 1
    batch, memory = BATCH // part, MEMORY_SIZE // part
    model = whence.wrap(
        encoder, CLASSES, variant="memory-wrap", image_shape=(CHANNELS, SIDE, SIDE)
    ).to(device)
    marks = [read_clock(device)]
    fit(
        model,
        random_images(batch * (WARM + COUNTED), seed=0),
        recipe=Recipe(batch_size=batch),
        plan=Plan(1, memory),
        on_step=lambda _: marks.append(read_clock(device)),
    )
    times = [after - before for before, after in pairwise(marks)][WARM:]
    return sum(times) / len(times) / (batch + memory)


def read_clock(device: str) -> float:
    """Read the processor time of this process, or the clock once a GPU is done."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
