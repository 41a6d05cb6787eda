"""What ``whence edit`` prints."""

from collections.abc import Mapping
from typing import Any

from whence.cli.plain_text import escape


def describe_edit(found: Mapping[str, Any], out: str) -> str:
    """Say what was corrected, and accuracy before and after."""
    lines = [
        f"{found['relabelled']:,} labels corrected, {found['removed']:,} images taken out, "
        f"{found['confirmed']:,} labels confirmed."
    ]
    for name in ("accuracy", "balanced_accuracy"):
        before, after = found["before"][name], found["after"][name]
        if before is not None and after is not None:
            words = name.replace("_", " ")
            lines.append(f"  {words}: {before:.2%} before, {after:.2%} after, on the test images")
    lines.append(f"Written: {escape(out)}; every command takes it as a run.")
    return "\n".join(lines)
