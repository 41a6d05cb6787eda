"""Names as a terminal may show them: no character that moves the cursor or reverses the line."""

import sys
import unicodedata

UNSEEN = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories: controls, undecodable bytes of file names, and separators of lines."""

REVERSING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that change the direction of the text after them."""


def escape(text: str) -> str:
    r"""Write characters that a terminal would obey, or cannot show, as Python escapes.

    >>> escape("a\x1b[2Jb\nc")
    'a\\x1b[2Jb\\nc'
    """
    if text.isprintable():
        return text
    return "".join(ascii(letter)[1:-1] if is_unseen(letter) else letter for letter in text)


def is_unseen(letter: str) -> bool:
    """Say whether a terminal would obey a character, or could not show it."""
    return unicodedata.category(letter) in UNSEEN or letter in REVERSING


def print_note(sentence: str) -> None:
    """Print a sentence beside the results, to stderr."""
    print(f"note: {escape(sentence)}", file=sys.stderr)
