"""What ``whence evaluate`` prints of images without labels: answers and doubt alone."""

from collections.abc import Mapping
from typing import Any

from whence.cli.align import align
from whence.cli.plain_text import escape


def describe_unlabelled(result: Mapping[str, Any]) -> list[str]:
    """Say how images without labels were answered."""
    total = result["images"]
    rows = [["class", "answers", "share"]]
    rows += [
        [escape(name), f"{count:,}", f"{count / total:.1%}"]
        for name, count in result["answers"].items()
    ]
    lines = [f"{escape(result['run'])}: {total:,} images of {escape(result['data'])} answered", ""]
    lines += [f"  {line}" for line in align(rows)]
    lines += ["", say_quartiles("probability of the answers", result["probability"])]
    if result["error_probability"] is None:
        lines.append("  not calibrated: how many answers are wrong cannot be estimated")
    else:
        lines.append(say_quartiles("probability of an error", result["error_probability"]))
        lines.append(
            f"  about {result['expected_errors']:.0f} of {total:,} answers are expected to be "
            "wrong if these images are like the validation images"
        )
    if result["known"]:
        were = "was" if result["known"] == 1 else "were"
        lines.append(f"  {result['known']:,} of these images {were} seen in training or validation")
    lines += ["", "  most doubtful:"]
    shown = [["image", "answer", "probability", "of an error"]]
    for one in result["doubtful"]:
        error = one["error_probability"]
        texts = [f"{one['probability']:.1%}", "-" if error is None else f"{error:.1%}"]
        shown.append([escape(one["image"]), escape(one["answer"]), *texts])
    return [*lines, *(f"    {line}" for line in align(shown)), ""]


def say_quartiles(name: str, found: Mapping[str, Any]) -> str:
    """Say mean and quartiles of a share."""
    quarters = ", ".join(f"{one:.1%}" for one in found["quartiles"])
    return f"  {name}: mean {found['mean']:.1%}, quartiles {quarters}"
