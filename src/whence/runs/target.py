"""What a class is to be found for, as settings and commands write it: CLASS=NUMBER."""

from dataclasses import dataclass

from whence.bounds import check_number
from whence.messages import quote

EXAMPLES = {"target_recall": "defective=0.95", "cost": "defective=10"}
"""By the setting, what it may look like."""


@dataclass(frozen=True)
class WantedClass:
    """The class that is not to be missed, and how well it is to be found.

    Attributes:
        class_name: of the class.
        recall: wanted, in (0, 1]; None where a cost is given.
        cost: of missing an image of it, in times the cost of the reverse; None where a recall is.
    """

    class_name: str
    recall: float | None = None
    cost: float | None = None

    @property
    def option(self) -> str:
        """Name the setting that it comes from."""
        return "cost" if self.recall is None else "target_recall"


@dataclass(frozen=True)
class ThresholdChange:
    """Another threshold for a finished run.

    Attributes:
        target: the class that is to be found; None for no threshold at all.
        keep: write it to the run's folder, for all that is asked of the run from now on.
    """

    target: WantedClass | None
    keep: bool


def read_target(target_recall: str | None, cost: str | None) -> WantedClass | None:
    """Read the two settings, of which one may be given; None where neither is.

    Raises:
        ValueError: if both are, or one is not a class with a number that it may be.

    >>> read_target("defective=0.95", None)
    WantedClass(class_name='defective', recall=0.95, cost=None)
    """
    if target_recall is not None and cost is not None:
        raise ValueError("target_recall and cost choose the same threshold; give one of them.")
    if target_recall is not None:
        name, number = read_pair("target_recall", target_recall)
        return WantedClass(name, recall=number)
    if cost is not None:
        name, number = read_pair("cost", cost)
        return WantedClass(name, cost=number)
    return None


def read_pair(setting: str, text: str) -> tuple[str, float]:
    """Read a class and its number; the class may hold an equals sign itself."""
    name, equals, digits = text.rpartition("=")
    try:
        number = float(digits)
    except ValueError:
        number = None
    if number is None or not equals or not name:
        raise ValueError(
            f"{setting} must be CLASS=NUMBER, such as {EXAMPLES[setting]}, got {quote(text)}."
        )
    check_number(setting, number)
    return name, number
