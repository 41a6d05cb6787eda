"""Measure smaller memories of a run, print them, and keep one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from whence.cli.align import align
from whence.cli.options import read_where
from whence.cli.plain_text import escape, print_note
from whence.evidence.design_memory import design_memory, encode_known
from whence.evidence.erase_groups import erase_groups
from whence.evidence.learn_again import learn_again
from whence.evidence.trace_sizes import check_memories, trace_sizes
from whence.memory.heads import find_head
from whence.messages import format_number
from whence.models.classifier import Classifier
from whence.models.load import load_to_answer
from whence.records.images import ImageSet
from whence.records.memory_sizes import MemorySize
from whence.report.memory_figure import draw_sizes
from whence.runs.finish import MEASURED_PARTS
from whence.runs.finished import read_run
from whence.runs.image_groups import read_groups
from whence.runs.load_parts import load_named_parts
from whence.runs.other_memory import check_new, say_calibration_lost, write_with_memory
from whence.storage.whole_files import write_whole
from whence.training.labelled import Labelled

ROUND = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
"""Sizes that are measured unless others are asked for."""

SIZE_COLUMNS = ("selection", "size", "accuracy", "balanced", "top agrees", "purity")


def measure_memories(options: Namespace, by: Sequence[str], out: Path | None, device: str) -> None:
    """Measure memories, print what came out, and keep one where ``out`` says.

    Args:
        options: of the command, checked.
        by: how the stored images are chosen.
        out: folder of the memory that is kept, or None.
        device: where to compute.

    Raises:
        ValueError: if the run has no memory, or the choice does not fit it.
        FileNotFoundError: if there is no finished run, or its images are not there.
        FileExistsError: if there is something at ``out``.
    """
    run = Path(options.run)
    about = read_run(run)
    if out is not None:
        check_new(out)
    if not find_head(about["variant"]).has_memory:
        raise ValueError(f"{run} is a standard model, which has no memory.")
    model = load_to_answer(run, device)
    images = load_named_parts(run, about, MEASURED_PARTS, where=read_where(options))
    if options.memory_size is None and out is not None:
        options.memory_size = len(model.fitting_bank())
    sizes = choose_memory_sizes(options.sizes, model) if out is None else [options.memory_size]
    chosen: dict[str, Any] = {"pin": options.pin, "ban": options.ban, "seed": options.seed}
    if options.groups is not None:
        named = {} if options.group_column is None else {"group": options.group_column}
        chosen["groups"] = read_groups(options.groups, model.fitting_bank().sources, named)
    drawn_by = {name: one for name, one in chosen.items() if name != "seed"}
    check_memories(model, sizes, **drawn_by, name="sizes" if out is None else "size")
    before: tuple[MemorySize, ...] = ()
    if options.erase_groups:
        encoded = encode_measured(model, images, options.batch_size)
        whole = len(model.fitting_bank())
        found = measure(model, encoded, [whole], by, chosen, batch_size=options.batch_size)[0]
        before = (replace(found, selection="not erased"),)
        known = images["validation"]
        model = erase_groups(
            model,
            chosen["groups"],
            validation=known if len(known) else None,
            seed=options.seed,
            batch_size=options.batch_size,
        )
    encoded = encode_measured(model, images, options.batch_size)
    measured = measure(model, encoded, sizes, by, chosen, batch_size=options.batch_size)
    measured = (*before, *measured)
    if out is not None:
        keep(model, run, out, images, encoded, by[0], chosen, options)
    if options.figure is not None:
        write_whole(Path(options.figure), draw_sizes(measured))
    if options.json:
        kept = None if out is None else str(out)
        print(json.dumps({"run": str(run), "kept": kept, "sizes": list(map(asdict, measured))}))
        return
    print("\n".join(align([SIZE_COLUMNS, *map(lay_out_size, measured)])))
    if out is not None:
        print(say_what_changes(measured[0], measured[-1], escape(str(out))))


def choose_memory_sizes(asked: Sequence[int] | None, model: Classifier) -> list[int]:
    """Return the sizes that are measured: those asked for, or round ones that fit the run."""
    if asked is not None:
        return list(asked)
    bank = model.fitting_bank()
    least = len(bank.labels.unique())
    return [size for size in ROUND if least <= size < len(bank)] or [least]


def encode_measured(
    model: Classifier, images: Mapping[str, ImageSet], batch_size: int
) -> dict[str, Labelled]:
    """Encode the images of each part that has some, once for all that is done with them."""
    return {
        name: encode_known(model, part, batch_size) for name, part in images.items() if len(part)
    }


def measure(
    model: Classifier,
    encoded: Mapping[str, Labelled],
    sizes: Sequence[int],
    by: Sequence[str],
    chosen: Mapping[str, Any],
    *,
    batch_size: int,
) -> tuple[MemorySize, ...]:
    """Measure on the test images, which no selection sees.

    Raises:
        ValueError: if there are none.
    """
    if "test" not in encoded:
        raise ValueError("The run has no test images to measure memories on.")
    return trace_sizes(
        model,
        encoded["test"],
        sizes,
        by=by,
        validation=encoded.get("validation"),
        batch_size=batch_size,
        **chosen,
    )


def keep(
    model: Classifier,
    run: Path,
    out: Path,
    images: Mapping[str, ImageSet],
    encoded: Mapping[str, Labelled],
    by: str,
    chosen: Mapping[str, Any],
    options: Namespace,
) -> None:
    """Write the run with the smaller memory as a run of its own."""
    known = images["validation"]
    smaller = design_memory(
        model,
        options.memory_size,
        by=by,
        validation=encoded.get("validation"),
        batch_size=options.batch_size,
        **chosen,
    )
    if options.learn_again:
        smaller = learn_again(
            smaller,
            validation=known if len(known) else None,
            seed=options.seed,
            batch_size=options.batch_size,
        )
    made = {"selection": by, "size": options.memory_size, "learned_again": options.learn_again}
    made |= {name: chosen[name] for name in ("pin", "ban", "seed")}
    made["erased_groups"] = options.erase_groups
    made["groups"] = options.groups and Path(options.groups).name
    made["before"] = len(model.fitting_bank())
    features = {name: part.features for name, part in encoded.items()}
    write_with_memory(
        smaller,
        run,
        out,
        made,
        images=images,
        encoded=None if options.learn_again else features,  # other keys compare other features
        batch_size=options.batch_size,
    )
    for note in say_calibration_lost(model, smaller):
        print_note(note)
    print_note(f"Kept in {out}; every command takes it as a run.")


def lay_out_size(one: MemorySize) -> tuple[str, ...]:
    """Lay one memory out as a row, in percent."""
    shares = (one.accuracy, one.balanced_accuracy, one.explanation_accuracy, one.purity)
    return (one.selection, f"{one.size:,}", *(f"{share:.2%}" for share in shares))


def say_what_changes(whole: MemorySize, kept: MemorySize, place: str) -> str:
    """Say how accuracies change from the whole memory to the one that is kept, in points.

    >>> all_of_it = MemorySize("all", 9, 0.9, 0.8, 1.0, 1.0)
    >>> said = say_what_changes(all_of_it, replace(all_of_it, size=4, accuracy=0.65), "runs/four")
    >>> f"accuracy changes by {format_number(-25, '+.2f')} points, balanced accuracy by +0" in said
    True
    """
    accuracy = format_number(100 * (kept.accuracy - whole.accuracy), "+.2f")
    balanced = format_number(100 * (kept.balanced_accuracy - whole.balanced_accuracy), "+.2f")
    return (
        f"{kept.size:,} of {whole.size:,} stored images stay. On the test images accuracy changes "
        f"by {accuracy} points, balanced accuracy by {balanced}.\n"
        f"Use it as a run: whence explain {place} IMAGE"
    )
