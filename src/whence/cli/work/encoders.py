"""Compare encoders and print the best first."""

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict

from jsonargparse import Namespace

from whence.cli.align import align
from whence.cli.plain_text import escape
from whence.runs.compare_encoders import FeatureQuality, compare_encoders
from whence.runs.settings import Settings
from whence.runs.where import may_download_to


def compare_all(named: Sequence[tuple[str, str]], options: Namespace, device: str) -> None:
    """Measure encoders, and print them in the order of what their linear probes answer right.

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
    )
    found = []
    measured = compare_encoders(
        settings,
        named,
        options.size or [None],
        where=may_download_to(options.data_root),
        device=device,
    )
    for one in measured:
        found.append(one)
        if not options.json:
            side = f"{one.size[0]} x {one.size[1]}"
            print(f"{escape(one.encoder)} at {side}: measured", file=sys.stderr)
    found.sort(key=lambda one: (one.probe or 0, one.neighbours), reverse=True)
    if options.json:
        print(json.dumps([asdict(one) for one in found], indent=1))
    else:
        print(describe_qualities(found, options.data))


def describe_qualities(found: Sequence[FeatureQuality], data: str) -> str:
    """Lay qualities out as a table, and say with which command the first is trained."""
    head = ["encoder", "size", "features", "linear probe", "neighbours", "ms an image"]
    rows = [
        [
            escape(one.encoder),
            f"{one.size[0]} x {one.size[1]}",
            str(one.features),
            "" if one.probe is None else f"{one.probe:.2%}",
            f"{one.neighbours:.2%}",
            f"{one.milliseconds:.1f}",
        ]
        for one in found
    ]
    best = found[0]
    command = ["whence", "train", data, "--encoder", best.encoder, "--weights", best.weights]
    command += ["--freeze-encoder", "--size", str(best.size[0])]
    lines = align([head, *rows])
    lines += ["", f"{best.images:,} images, none of the test. The best of these is trained by:"]
    return "\n".join([*lines, f"  {escape(shlex.join(command))}"])
