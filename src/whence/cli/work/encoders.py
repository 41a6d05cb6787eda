"""Compare encoders and print the best first."""

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict

from jsonargparse import Namespace

from whence.cli.align import align
from whence.cli.plain_text import escape
from whence.encoders import OUTPUT
from whence.runs.column_options import UNWEIGHTED
from whence.runs.compare_encoders import FeatureQuality, compare_encoders
from whence.runs.settings import DATA_ROOT, Settings
from whence.runs.where import may_download_to


def compare_all(named: Sequence[tuple[str, str]], options: Namespace, device: str) -> None:
    """Measure encoders, or their layers, and print the best first.

    Args:
        named: encoders and weights.
        options: of the command, checked.
        device: that encodes.
    """
    settings = Settings(
        data=options.data,
        data_root=options.data_root,
        train_examples=options.train_examples,
        seed=options.seed,
        **{name: options[name] for name in UNWEIGHTED},
    )
    found = []
    measured = compare_encoders(
        settings,
        named,
        options.size or [None],
        layers=options.layers,
        where=may_download_to(options.data_root),
        device=device,
    )
    for one in measured:
        found.append(one)
        if not options.json:
            side = f"{one.size[0]} x {one.size[1]}"
            layers = f", {escape(name_layers(one))}" if options.layers else ""
            print(f"{escape(one.encoder)} at {side}{layers}: measured", file=sys.stderr)
    found.sort(key=lambda one: one.score, reverse=True)
    if options.json:
        print(json.dumps([asdict(one) for one in found], indent=1))
    else:
        print(describe_qualities(found, settings))


def describe_qualities(found: Sequence[FeatureQuality], settings: Settings) -> str:
    """Lay qualities out as a table, and say with which command the first is trained."""
    deep = found[0].left_out is not None
    head = ["encoder", "size", "features", "linear probe", "neighbours", "ms an image"]
    if deep:
        head[2:4] = ["layers", "features", "left out"]
    rows = []
    for one in found:
        measured = one.left_out if deep else one.probe
        rows.append(
            [
                escape(one.encoder),
                f"{one.size[0]} x {one.size[1]}",
                *([escape(name_layers(one))] if deep else []),
                str(one.features),
                "" if measured is None else f"{measured:.2%}",
                f"{one.neighbours:.2%}",
                f"{one.milliseconds:.1f}",
            ]
        )
    best = found[0]
    command = ["whence", "train", settings.data, "--encoder", best.encoder]
    command += ["--weights", best.weights, "--freeze-encoder", "--size", str(best.size[0])]
    if settings.data_root != DATA_ROOT:
        command += ["--data-root", settings.data_root]
    for role, name in settings.columns.items():
        command += [f"--{role}-column", name]
    if deep:
        command += ["--layers", name_layers(best)]
    lines = align([head, *rows])
    lines += ["", f"{best.images:,} images, none of the test. The best of these is trained by:"]
    return "\n".join([*lines, f"  {escape(shlex.join(command))}"])


def name_layers(one: FeatureQuality) -> str:
    """Name the layers that features come from as ``whence train --layers`` takes them."""
    return ",".join(one.layers) or OUTPUT
