"""Parts of a study that are done, kept so that one that was killed goes on where it was."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from whence.messages import quote
from whence.storage.whole_files import write_json


class KeptParts:
    """A folder of finished parts; those that were made otherwise are made again."""

    def __init__(self, out: Path | None, study: str, made_with: Mapping[str, Any]) -> None:
        """Name the folder and what parts are made with.

        Args:
            out: what the user named; None keeps nothing.
            study: its name.
            made_with: whatever a part depends on, as JSON: sizes, settings, fingerprints. "seeds"
                does not count: a part is of one seed, which its name has, and more may come.
        """
        self.folder = None if out is None else out / f"{study}-parts"
        own = {package: version(package) for package in ("whence", "torch")}
        depends = {name: value for name, value in made_with.items() if name != "seeds"}
        self.made_with = json.loads(json.dumps({**depends, "versions": own}))

    def do(self, name: str, compute: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Return what a part found, computed if it is not there yet.

        Args:
            name: of the part: letters, digits, "-", "_" and ".".
            compute: finds it; only what JSON can hold.

        Raises:
            ValueError: if the name is none of a file.
        """
        if not re.fullmatch(r"[\w-][\w.-]*", name):
            raise ValueError(f"name must be letters, digits, '-', '_' and '.', got {quote(name)}.")
        path = None if self.folder is None else self.folder / f"{name}.json"
        known = None if path is None else self.read(path)
        if known is not None:
            return known
        found = dict(json.loads(json.dumps(compute(), allow_nan=False)))
        if path is not None:
            write_json(path, {"made_with": self.made_with, "found": found})
        return found

    def do_each(
        self, parts: Mapping[str, Callable[[int], Mapping[str, Any]]], seeds: Iterable[int]
    ) -> list[dict[str, dict[str, Any]]]:
        """Do every part with every seed; by seed, what was found, by the name of the part."""
        return [
            {
                name: self.do(f"{name.replace(' ', '-')}-{seed}", partial(part, seed))
                for name, part in parts.items()
            }
            for seed in seeds
        ]

    def read(self, path: Path) -> dict[str, Any] | None:
        """Read a part; None if it is not there, damaged, or was made otherwise."""
        try:
            content = json.loads(path.read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        if not isinstance(content, dict) or content.get("made_with") != self.made_with:
            return None
        found = content.get("found")
        return found if isinstance(found, dict) else None


def list_by_part(
    found: Sequence[Mapping[str, dict[str, Any]]],
) -> dict[str, list[dict[str, Any]]]:
    """Turn what ``do_each`` found round: by the name of the part, what each seed found.

    >>> list_by_part([{"a": {"b": 1}}, {"a": {"b": 2}}])
    {'a': [{'b': 1}, {'b': 2}]}
    """
    return {name: [one[name] for one in found] for name in found[0]}
