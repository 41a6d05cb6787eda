"""Files of expectations, read and refused in one sentence. No torch here."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from whence.checks.rule import A_CLASS, A_SHARE, AssertionKind, Keys, find_assertion
from whence.messages import quote, shorten_text
from whence.storage.plain_files import read_small

SUBJECTS = ("image", "test", "data")
"""Keys that say what is asked about: files, test images by index, or a labelled set."""

OF_IMAGES = "of_images"
"""The key of the share of images that must hold."""

MOST_EXPECTATIONS = 10_000


@dataclass(frozen=True, eq=False)
class Expectation:
    """One expectation.

    Attributes:
        rule: its name in ``ASSERTIONS``.
        keys: values of the rule's keys.
        where: what a message calls it.
        image: files that it is about.
        test: test images that it is about, by index.
        data: labelled set that it is about; all three empty mean images of the run.
        of_images: share of the images that must hold, in (0, 1].
        name: given by its author.
        of_run: which images of the run those are.
    """

    rule: str
    keys: Keys = field(default_factory=dict)
    where: str = "a check"
    image: tuple[str, ...] = ()
    test: tuple[int, ...] = ()
    data: str | None = None
    of_images: float = 1.0
    name: str | None = None
    of_run: str = "test images"

    @property
    def title(self) -> str:
        """Say what is expected, in a clause."""
        if self.name is not None:
            return self.name
        subject = ", ".join(self.image) or self.data or ""
        if self.test:
            subject = f"test image{'s' if len(self.test) > 1 else ''} " + ", ".join(
                map(str, self.test)
            )
        share = f", for {self.of_images:.0%} of the images" if self.of_images < 1 else ""
        said = find_assertion(self.rule).say(self.keys)
        return shorten_text(f"{subject or self.of_run}: {said}{share}")


@dataclass(frozen=True, eq=False)
class Expectations:
    """The expectations of a file.

    Attributes:
        folder: where paths of images and data begin.
        items: one for each ``[[check]]``.
    """

    folder: Path
    items: tuple[Expectation, ...] = field(default=())


def read_expectations(path: Path) -> Expectations:
    """Read a file of ``[[check]]`` tables.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not TOML, or an assertion or a key is unknown, missing or wrong.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"No file of checks {path}; make a first one with: "
            f"whence check RUN --expect {path} --write."
        )
    try:
        content = tomllib.loads(read_small(path).decode())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} must be TOML, it is damaged ({error}).") from error
    unknown = [name for name in content if name != "check"]
    tables = content.get("check", [])
    if unknown or not isinstance(tables, list):
        raise ValueError(
            f"{path} must hold [[check]] tables, got {quote((unknown or ['check'])[0])}."
        )
    if not 1 <= len(tables) <= MOST_EXPECTATIONS:
        raise ValueError(
            f"{path} must hold 1 to {MOST_EXPECTATIONS:,} [[check]] tables, got {len(tables):,}."
        )
    items = [read_expectation(one, f"{path}, check {n}") for n, one in enumerate(tables, 1)]
    return Expectations(path.parent, tuple(items))


def read_expectation(table: object, where: str, *, alone: bool = True) -> Expectation:
    """Read one table of an assertion and its keys.

    Args:
        table: with "assert", the keys of that rule, and what it is about.
        where: what messages call it.
        alone: it says what it is about; False for answers that are there already.

    Raises:
        ValueError: if something is unknown, missing or wrong.
    """
    if not isinstance(table, Mapping) or not isinstance(table.get("assert"), str):
        raise ValueError(f'{where} must name what it asserts, such as assert = "answer".')
    name = table["assert"]
    try:
        rule = find_assertion(name)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    keys = {key.removesuffix("?"): kind for key, kind in rule.takes.items()}
    others = ("name", *(SUBJECTS if alone else ()), *(() if rule.whole else (OF_IMAGES,)))
    for key in table:
        if key not in (*keys, *others, "assert"):
            listed = ", ".join((*keys, *others))
            raise ValueError(f"{where}: {name} has no key {quote(key)}. Choose from: {listed}.")
    for key in rule.takes:
        if not key.endswith("?") and key not in table:
            raise ValueError(f"{where}: {name} needs {key}.")
    refuse_two_choices(rule, table, f"{where}: {name}")
    values = {
        key: read_key(table[key], kind, f"{where}: {key}")
        for key, kind in keys.items()
        if key in table
    }
    given = [key for key in SUBJECTS if key in table]
    if len(given) > 1:
        raise ValueError(
            f"{where} must be about one of {', '.join(SUBJECTS)}, got {' and '.join(given)}."
        )
    if rule.labelled and "image" in table:
        raise ValueError(f"{where}: {name} needs labelled images; name them by data or test.")
    share = read_key(table.get(OF_IMAGES, 1.0), A_SHARE, f"{where}: {OF_IMAGES}")
    return Expectation(
        name,
        MappingProxyType(values),
        where,
        image=read_list(table.get("image", ()), str, f"{where}: image"),
        test=read_list(table.get("test", ()), int, f"{where}: test"),
        data=None if "data" not in table else read_key(table["data"], "", f"{where}: data"),
        of_images=share,
        name=None if "name" not in table else read_key(table["name"], "", f"{where}: name"),
    )


def refuse_two_choices(rule: AssertionKind, table: Mapping[str, Any], where: str) -> None:
    """Refuse a rule about stored images that names none, or in two ways."""
    if "stored?" in rule.takes and ("stored" in table) == ("group" in table):
        raise ValueError(f'{where} needs stored (a class, file or pattern such as "a/*") or group.')


def read_key(value: Any, kind: str, where: str) -> Any:
    """Check the value of a key: a share in [0, 1], or text.

    Raises:
        ValueError: with what came.
    """
    if kind == A_SHARE:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ValueError(f"{where} must be a number in 0 to 1, got {quote(value)}.")
        return float(value)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{where} must be text, got {quote(value)}.")
    return value


def read_list(value: Any, kind: type, where: str) -> tuple[Any, ...]:
    """Check one value, or a list of them: texts, or whole numbers from 0 on.

    Raises:
        ValueError: with what came.
    """
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not values and value != ():
        raise ValueError(f"{where} must name at least one, got none.")
    for one in values:
        fine = isinstance(one, str) and one if kind is str else is_index(one)
        if not fine:
            what = "text" if kind is str else "whole numbers from 0 on"
            raise ValueError(f"{where} must be {what}, got {quote(one)}.")
    return values


def is_index(value: object) -> bool:
    """Say whether a value read from TOML is a whole number of at least 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def refuse_unknown_classes(items: Sequence[Expectation], class_names: Sequence[str]) -> None:
    """Refuse a class that a model does not have.

    Raises:
        ValueError: with those that there are.
    """
    for one in items:
        for key, kind in find_assertion(one.rule).takes.items():
            name = one.keys.get(key)
            if kind == A_CLASS and name not in class_names:
                listed = shorten_text(", ".join(class_names))
                raise ValueError(
                    f"{one.where}: unknown class {quote(name)}. Choose from: {listed}."
                )
