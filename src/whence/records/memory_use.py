"""Which stored images many answers together were computed from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Used:
    """How much one stored image was read.

    Attributes:
        index: its place in the dataset that the memory was taken from.
        weight: sum of its weights over all answers.
        wrong: the same over the wrong answers alone.
        answers: in how many answers it had a weight above 0.
    """

    index: int
    weight: float
    wrong: float
    answers: int

    @property
    def wrong_share(self) -> float:
        """Share of its use that went into wrong answers, in [0, 1]; 0 if it was never used."""
        return self.wrong / self.weight if self.weight else 0.0


@dataclass(frozen=True)
class MemoryUse:
    """Which stored images all answers together were computed from.

    Attributes:
        size: stored images.
        unused: how many of them took part in no answer.
        half: so many of them carry at least half of all weight; the smallest such number.
        most: those with the largest sum of weights, largest first; only such as were used.
        misleading: those with the largest sum over wrong answers, largest first; only such as were
            used in one.
    """

    size: int
    unused: int
    half: int
    most: tuple[Used, ...]
    misleading: tuple[Used, ...]
