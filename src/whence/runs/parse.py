"""Checking of setting values, shared by settings files and the command line."""

import argparse
import re
import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import Field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Union, cast, get_args, get_origin

from jsonargparse import ArgumentError, ArgumentParser

from whence.bounds import check_numbers
from whence.messages import quote
from whence.runs.settings import FIELDS, AnySettings

METAVARS = {int: "N", float: "X", str: "NAME"}
OWN_METAVARS = {
    "data_root": "FOLDER",
    "corrections": "FILE",
    "before": "RUN",
    "fold": "K/N",
    "weights": "FILE",
    "layers": "NAME,NAME",
    "budget": "TIME",
    "target_recall": "CLASS=SHARE",
    "cost": "CLASS=TIMES",
}
"""What stands for the value of a setting in the help, where its type does not say enough."""

VALUE_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def add_setting(add: Callable[..., object], setting: Field[Any]) -> None:
    """Add one setting as ``--its-name``; ``add`` is a parser's ``add_argument``, or a group's."""
    kind = kind_of(setting)
    default = setting.default
    text = setting.metadata["help"]
    if default is not None and not isinstance(default, bool):
        text += f" (default {default})"
    name = "--" + setting.name.replace("_", "-")
    if kind is bool:
        add(name, action=argparse.BooleanOptionalAction, default=None, help=text)
    else:
        plain = METAVARS.get(kind, "CHOICE" if get_origin(kind) is Literal else "LIST")
        metavar = OWN_METAVARS.get(setting.name, plain)
        add(name, type=kind, default=None, help=text, metavar=metavar)


def kind_of(setting: Field[Any]) -> Any:
    """Return the type of a setting's values: one of its choices, if it has a list of them."""
    choices = setting.metadata.get("choices")
    return cast("Any", Literal)[choices] if choices else without_none(setting.type)


def without_none(kind: Any) -> Any:
    """Strip ``| None`` off a type."""
    if get_origin(kind) in (Union, types.UnionType):
        rest = [part for part in get_args(kind) if part is not type(None)]
        return rest[0]
    return kind


def describe_type(kind: Any) -> str:
    """Say in words what a value of a type is."""
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(map(str, get_args(kind)))
    if get_origin(kind) is tuple:
        return f"a list, each {VALUE_WORDS[get_args(kind)[0]]}, such as [1, 2]"
    return VALUE_WORDS[kind]


def from_mapping(values: Mapping[str, Any], kind: type[AnySettings], *, where: str) -> AnySettings:
    """Build settings from the keys of a file; YAML's texts such as 1e-1 become numbers.

    Args:
        values: setting names to values.
        kind: the class of the settings.
        where: the file, quoted in messages.

    Raises:
        ValueError: naming the key that is unknown, missing or of another type, what it must be and
            what came.
    """
    known = {setting.name: setting for setting in fields(kind)}
    unknown = [name for name in values if name not in known]
    if unknown:
        raise ValueError(
            f"{where} has an unknown setting {quote(unknown[0])}. Choose from: {', '.join(known)}."
        )
    parser = ArgumentParser(exit_on_error=False)
    for name in values:
        parser.add_argument(f"--{name}", type=kind_of(known[name]), default=None)
    try:
        parsed = parser.parse_object(dict(values))
    except ArgumentError as error:
        raise ValueError(f"{where}: {one_sentence(str(error), known)}") from error
    if "data" not in values:
        raise ValueError(f"{where} must name its data, the key is missing.")
    found = {name: parsed[name] for name in values}
    try:
        check_numbers(found.items())
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    return kind(**found)


def read_block(
    path: Path, prefix: str, block: object, known: Collection[str], needed: Collection[str]
) -> dict[str, Any]:
    """Return a block of a settings file, refusing one with an unknown or a missing key.

    Args:
        path: of the file.
        prefix: of the block's keys in messages, such as "paper."; "" for the whole file.
        block: what the file holds there.
        known: the keys that there may be.
        needed: those that there must be.

    Raises:
        ValueError: naming the first that is wrong.
    """
    if not isinstance(block, dict):
        raise ValueError(f"{path} must have a block [{prefix.rstrip('.')}], got {quote(block)}.")
    unknown = [name for name in block if name not in known]
    if unknown:
        raise ValueError(
            f"{path} has an unknown setting {prefix}{unknown[0]}. Choose from: {', '.join(known)}."
        )
    missing = [name for name in needed if name not in block]
    if missing:
        raise ValueError(f"{path} must give {prefix}{missing[0]}, it is missing.")
    return block


def one_sentence(
    message: str,
    known: Mapping[str, Field[Any]] = FIELDS,
    *,
    shown: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Turn a parser's message about one setting, of those known, into one sentence.

    Args:
        message: of the parser.
        known: settings by name, which say what a value must be.
        shown: what some values are called, by name; others by their name with hyphens.
    """
    key = re.search(r'Parser key "(\w+)"', message)
    value = re.search(r"(?:Given|Got) value: (.*)", message)
    if key and value:
        name = shown.get(key[1], key[1].replace("_", "-"))
        if key[1] in known:
            wanted = describe_type(kind_of(known[key[1]]))
        else:
            kind = re.search(r"Expected a <class '(\w+)'>", message)
            words = {one.__name__: said for one, said in VALUE_WORDS.items()}
            wanted = words.get(kind[1], kind[1]) if kind else "of another type"
        return f"{name} must be {wanted}, got {quote(value[1].strip())}."
    return " ".join(message.split())
