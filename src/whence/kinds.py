"""What is handed to a public function is of the kind that its annotation names, or refused."""

import os
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, wraps
from inspect import signature
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from whence.bounds import is_real, is_whole
from whence.messages import quote

P = ParamSpec("P")
R = TypeVar("R")

MOST_KINDS = 3
"""Beside None. A union of more, as of all that images may be, is what a function brings to one form
and refuses in a sentence of its own."""

REPEATED = (str, bytes, int, float, complex, type(None))
"""Values that a message repeats; of others it names the type."""

KIND_WORDS: Mapping[Any, str] = types.MappingProxyType(
    {
        bool: "True or False",
        float: "a number",
        int: "a whole number",
        str: "text",
        Path: "a path",
        Callable: "a function",
        Mapping: "a mapping",
        Sequence: "a list",
        Iterable: "a list",
    }
)
WRITTEN: Mapping[str, str] = types.MappingProxyType(
    {
        "Generator": "torch.Generator",
        "Module": "nn.Module",
        "Plan": "whence.Plan",
        "Recipe": "whence.Recipe",
        "VAEPlan": "whence.VAEPlan",
    }
)
"""What users write where that says more than the name of a class."""

WAYS_OUT: Mapping[str, str] = types.MappingProxyType(
    {
        "Classifier": ", such as whence.load(RUN) returns",
        "VAE": ", such as whence.load_vae(FOLDER) returns",
        "StoredCodes": ", which whence.store_codes returns",
    }
)
"""Where values of a class come from, by its name."""


def check_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function refuse what its annotations do not allow, in one sentence.

    The annotations that are looked at are classes, abstract containers, ``Callable`` and unions of
    these; of containers the container alone. What another annotation takes the function checks
    itself, as it does shapes, bounds and names.
    """

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        kinds = read_kinds(function)
        for name, value in [*zip(kinds, args, strict=False), *kwargs.items()]:
            check_kind(name, value, kinds.get(name, ()))
        return function(*args, **kwargs)

    return checked


def check_fields(record: Any) -> None:
    """Refuse a record, a dataclass, with a value that the annotation of its field does not allow.

    Raises:
        TypeError: naming the field.
    """
    for name, hint in get_type_hints(type(record)).items():
        check_kind(name, getattr(record, name), list_kinds(hint))


@cache
def read_kinds(function: Callable[..., Any]) -> dict[str, tuple[Any, ...]]:
    """List what each argument of a function may be, in their order; () where all is allowed."""
    hints = get_type_hints(function)
    return {name: list_kinds(hints.get(name, Any)) for name in signature(function).parameters}


def list_kinds(hint: object) -> tuple[Any, ...]:
    """Take an annotation apart; () if a part of it is none that can be looked at."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        parts = [list_kinds(part) for part in get_args(hint)]
        kinds = tuple(one for part in parts for one in part)
        return kinds if all(parts) and len({*kinds} - {type(None)}) <= MOST_KINDS else ()
    kind = hint if origin is None else origin
    known = isinstance(kind, type) and kind is not Any and not getattr(kind, "_is_protocol", False)
    return (kind,) if known else ()


def check_kind(name: str, value: object, kinds: Sequence[Any]) -> None:
    """Refuse a value that is of none of some kinds.

    Args:
        name: of the argument.
        value: that was given.
        kinds: classes; none of them allows all.

    Raises:
        TypeError: naming what it must be and what came.
        ValueError: on an empty text in the place of a path, which would be the folder one is in.

    >>> check_kind("epochs", "ten", (int, type(None)))
    Traceback (most recent call last):
    TypeError: epochs must be a whole number or None, got 'ten'.
    """
    if Path in kinds and isinstance(value, str) and not value:
        raise ValueError(f"{name} must name a file or a folder, got ''.")
    if not kinds or any(is_of_kind(value, kind) for kind in kinds):
        return
    # text may be a path as well
    told = [kind for kind in kinds if kind is not str or Path not in kinds]
    wanted = " or ".join(dict.fromkeys(map(describe_kind, told)))
    came = quote(value) if isinstance(value, REPEATED) else type(value).__name__
    raise TypeError(f"{name} must be {wanted}, got {came}.")


def is_of_kind(value: object, kind: Any) -> bool:
    """Say whether a value can be used as one of a kind, also where another library made it."""
    if kind is float:
        return is_real(value)
    if kind is int or kind is bool:
        return is_whole(value)
    if kind is Path:
        return isinstance(value, os.PathLike)
    if kind is Sequence or kind is tuple:
        is_other = isinstance(value, str | bytes | Mapping | type)
        return not is_other and hasattr(value, "__len__") and hasattr(value, "__getitem__")
    if kind is Iterable:
        return isinstance(value, Iterable) and not isinstance(value, str | bytes)
    return isinstance(value, kind)


def describe_kind(kind: Any) -> str:
    """Say in words what a value of a kind is."""
    if kind is type(None):
        return "None"
    if kind in KIND_WORDS:
        return KIND_WORDS[kind]
    name = WRITTEN.get(kind.__name__, kind.__name__)
    article = "an" if name[0] in "AEIOn" else "a"
    return f"{article} {name}{WAYS_OUT.get(name, '')}"
