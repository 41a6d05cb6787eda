"""Options of attribution methods as a command line writes them: text of the kind that is asked."""

from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from whence.attribution.method import Method
from whence.messages import quote

KIND_NAMES = {int: "a whole number", float: "a number", bool: "yes or no", NoneType: "none"}
"""What a text of each kind is called in messages."""


def read_option(method: Method, name: str, text: str) -> object:
    """Read an option's text as the kind of value that a method declares for it.

    Raises:
        ValueError: if it is of no such kind, or no text can be.
    """
    kinds = spell_out(get_type_hints(method.compute)[name])
    sayable = [kind for kind in kinds if is_sayable(kind)]
    if not sayable:
        raise ValueError(
            f"option {name} of {method.name} cannot be written as text; "
            "call whence.attribute in Python."
        )
    for kind in sayable:
        found = read_kind(text, kind)
        if found is not ...:
            return found
    wanted = " or ".join(name_kind(kind) for kind in sayable)
    raise ValueError(f"option {name} of {method.name} must be {wanted}, got {quote(text)}.")


def spell_out(hint: Any) -> list[Any]:
    """List the kinds of a union, text last, as every text is one."""
    kinds = list(get_args(hint)) if get_origin(hint) in (Union, UnionType) else [hint]
    return sorted(kinds, key=lambda kind: kind is str)


def is_sayable(kind: Any) -> bool:
    """Say whether a text can stand for a value of this kind."""
    if get_origin(kind) is tuple:
        return all(is_sayable(one) for one in get_args(kind) if one is not ...)
    return kind in (str, *KIND_NAMES) or get_origin(kind) is Literal


def read_kind(text: str, kind: Any) -> Any:
    """Read a text as one kind of value; ``...`` where it is none."""
    if kind is str:
        return text
    if kind is bool:
        return {"yes": True, "true": True, "no": False, "false": False}.get(text.lower(), ...)
    if kind is NoneType:
        return None if text.lower() == "none" else ...
    if get_origin(kind) is Literal:
        return next((one for one in get_args(kind) if str(one) == text), ...)
    if get_origin(kind) is tuple:
        return read_tuple(text, get_args(kind))
    try:
        return kind(text)
    except ValueError:
        return ...


def read_tuple(text: str, kinds: tuple[Any, ...]) -> Any:
    """Read values between commas; ``...`` where one is of another kind, or their number differs."""
    parts = text.split(",")
    wanted = [kinds[0]] * len(parts) if kinds[-1] is ... else list(kinds)
    if len(wanted) != len(parts):
        return ...
    found = [read_kind(part.strip(), kind) for part, kind in zip(parts, wanted, strict=True)]
    return ... if any(one is ... for one in found) else tuple(found)


def name_kind(kind: Any) -> str:
    """Name a kind of value in a message."""
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(str(one) for one in get_args(kind))
    if get_origin(kind) is tuple:
        return f"{name_kind(get_args(kind)[0])}, more of them after commas"
    return KIND_NAMES.get(kind, "text")
