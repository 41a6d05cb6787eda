"""Read-only tables of a family of functions, imported only when one of them is used."""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

from whence.messages import quote


class Table(Mapping[str, Callable[..., Any]]):
    """Map public names to functions given as ``"module:function"``.

    Listing the names imports nothing, so that the command line can show its choices without
    loading torch; looking a name up imports its module.

    >>> shapes = Table("shape tool", {"check": "whence.shapes:check_shape"})
    >>> list(shapes)
    ['check']
    >>> shapes.find("chek")
    Traceback (most recent call last):
    ValueError: Unknown shape tool 'chek'. Choose from: check.
    """

    def __init__(self, family: str, entries: dict[str, str]) -> None:
        self.family = family
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> Callable[..., Any]:
        module, function = self._entries[name].split(":")
        found: Callable[..., Any] = getattr(import_module(module), function)
        return found

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, name: str) -> Callable[..., Any]:
        """Look a name up, for people: an unknown one is answered with the choices.

        Raises:
            ValueError: if the table has no such name.
        """
        self.check(name)
        return self[name]

    def check(self, name: str) -> None:
        """Refuse a name that is not there; nothing is imported.

        Raises:
            ValueError: with the choices.
        """
        if name not in self:
            raise ValueError(
                f"Unknown {self.family} {quote(name)}. Choose from: {', '.join(self)}."
            )
