"""What a message may say of a value or a failure: enough to know it by, never all of a long one."""

import re

LONGEST = 200
"""Characters of a value that a message repeats."""

TAIL = 40

MINUS = "\N{MINUS SIGN}"
"""As wide as a plus, unlike the hyphen."""


def shorten_text(text: str) -> str:
    """Keep the beginning and the end of a long text, 200 characters together.

    >>> shorten_text("photo.png"), len(shorten_text("x" * 1000))
    ('photo.png', 200)
    """
    if len(text) <= LONGEST:
        return text
    gap = " ... "
    return text[: LONGEST - TAIL - len(gap)] + gap + text[-TAIL:]


def quote(value: object) -> str:
    """Write a value as Python would, in one line of at most 200 characters.

    >>> quote("red"), quote((1, 2)), len(quote("x" * 1000))
    ("'red'", '(1, 2)', 200)
    """
    return shorten_text(re.sub(r"\s*\n\s*", " ", repr(value)))


def format_number(value: float, form: str) -> str:
    """Write a number as prose does: with a minus sign, which is no hyphen.

    >>> format_number(-0.1564, ".3f") == MINUS + "0.156", format_number(2.5, "+.3g")
    (True, '+2.5')
    """
    return format(value, form).replace("-", MINUS)


def count(number: int, noun: str) -> str:
    """Write a number with its noun.

    >>> count(1, "stored image"), count(1200, "stored image")
    ('1 stored image', '1,200 stored images')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def describe_failure(error: Exception) -> str:
    """Say why something failed, in a clause without error number, line end or full stop.

    >>> describe_failure(PermissionError(13, "Permission denied", "photo.png"))
    'permission denied'
    >>> describe_failure(EOFError())
    'EOFError'
    """
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror[:1].lower() + error.strerror[1:]
    return shorten_text(" ".join(text.split()).rstrip(".")) or type(error).__name__
