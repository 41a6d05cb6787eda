"""What goes wrong when a network is built or run, in one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from whence.messages import quote

BUILD_ERRORS = (
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AssertionError,
    ArithmeticError,
)
"""What networks raise on sizes that they were not made for."""


@contextmanager
def explained(name: str, image_shape: tuple[int, int, int]) -> Iterator[None]:
    """Turn what a network raises on images it was not made for into one sentence.

    Raises:
        ValueError: with that sentence.
    """
    try:
        yield
    except BUILD_ERRORS as error:
        raise ValueError(
            f"{name} must accept images of image_shape {tuple(image_shape)}, it raised "
            f"{type(error).__name__}: {first_line(error)}; pass the image_shape that it was made "
            "for, or take another encoder."
        ) from error


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, without its full stop."""
    return (str(error).strip().splitlines() or [""])[0].rstrip(". ")[:200]


def check_listed(library: str, name: str, names: list[str]) -> None:
    """Refuse a name that a library does not list, naming the closest ones.

    Raises:
        ValueError: with up to five suggestions.
    """
    if name not in names:
        close = get_close_matches(name[:200], names, n=5, cutoff=0.5)
        hint = f"Did you mean: {', '.join(close)}?" if close else "No name comes close."
        raise ValueError(f"Unknown {library} classification network {quote(name)}. {hint}")


def check_cached(name: str, file: Path | None) -> Path:
    """Refuse pretrained weights that are not in a cache and may not be fetched.

    Raises:
        ValueError: naming the ways out.
    """
    if file is None or not file.is_file():
        raise ValueError(
            f"The pretrained weights of {name} are not here, and are not fetched because a file "
            "names them; add --download, or pass the file: --weights FILE"
        )
    return file
