"""Columns of text."""

from collections.abc import Sequence


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Pad the columns of a table: words to the left, what begins like a number to the right.

    Args:
        rows: the header and at least one row, of the same length.

    >>> align([["name", "size"], ["a", "1"], ["bcdef", "20"]])
    ['name   size', 'a         1', 'bcdef    20']
    """
    columns = []
    for column in zip(*rows, strict=True):
        width = max(map(len, column))
        to_right = all(text[:1] in "+-0123456789" for text in column[1:])
        columns.append([text.rjust(width) if to_right else text.ljust(width) for text in column])
    return ["  ".join(line).rstrip() for line in zip(*columns, strict=True)]
