"""Means and shares with their intervals, and tables of them, as text."""

import math
from collections.abc import Sequence

from torch import Tensor


def average(values: Tensor) -> str:
    """Write the mean of `(B,)` numbers and 1.96 standard errors; NaN is left out and counted."""
    good = values[~values.isnan()].double()
    if len(good) == 0:
        return "none"
    left_out = f", {len(values) - len(good)} undefined" if len(good) < len(values) else ""
    if len(good) == 1:
        return f"{float(good):.3g}{left_out}"
    reach = 1.96 * float(good.std()) / math.sqrt(len(good))
    return f"{float(good.mean()):.3g} ± {reach:.2g}{left_out}"


def share_of(hits: Tensor) -> str:
    """Write the share of `(B,)` hits, 0 or 1 each, with its interval."""
    return share(int(hits.sum()), len(hits))


def share(count: int, total: int) -> str:
    """Write a share with Wilson's interval of 95 %."""
    if total == 0:
        return "none"
    low, high = wilson(count, total)
    return f"{count / total:.3f} ({low:.3f} to {high:.3f})"


def wilson(count: int, total: int) -> tuple[float, float]:
    """Return Wilson's interval of 95 % for a share. Wilson (1927), J. Am. Stat. Assoc. 22."""
    z = 1.96
    middle = (count + z * z / 2) / (total + z * z)
    reach = z / (total + z * z) * math.sqrt(count * (total - count) / total + z * z / 4)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table."""
    print("\n| " + " | ".join(header) + " |")
    print("|" + " --- |" * len(header))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
