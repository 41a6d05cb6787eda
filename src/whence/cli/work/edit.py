"""What ``whence edit`` prints."""

from collections.abc import Mapping
from typing import Any

from whence.cli.plain_text import escape, print_note
from whence.cli.work.class_text import compare_accuracies
from whence.messages import count


def describe_edit(found: Mapping[str, Any], out: str) -> str:
    """Say what was corrected, and accuracy before and after."""
    lines = [
        f"{count(found['relabelled'], 'label')} corrected, "
        f"{count(found['removed'], 'image')} taken out, "
        f"{count(found['confirmed'], 'label')} confirmed."
    ]
    return "\n".join([*lines, *compare_shares(found, out)])


def describe_added(found: Mapping[str, Any], out: str) -> str:
    """Say how many images came, of what new classes, and accuracy before and after."""
    new = [escape(name) for name in found["new_classes"]]
    of_new = f", of the new classes {', '.join(new)} among others" if new else ""
    added = f"{count(found['added'], 'image')} added{of_new}."
    return "\n".join([added, *compare_shares(found, out)])


def compare_shares(found: Mapping[str, Any], out: str) -> list[str]:
    """Say accuracy before and after on the run's own test images, and where the new run is."""
    for note in found["notes"]:
        print_note(note)
    lines = compare_accuracies(found["before"], found["after"])
    lines.append(f"Written: {escape(out)}; every command takes it as a run.")
    return lines
