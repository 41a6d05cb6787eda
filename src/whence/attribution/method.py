"""What an attribution method is: how it finds relevance, and what may be expected of it."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from torch import Tensor

from whence.attribution import METHODS
from whence.attribution.found import FoundRelevance
from whence.attribution.score import Score
from whence.kinds import check_kind, read_kinds
from whence.messages import quote

Lighter = Literal["nothing", "evidence", "pixels"]
"""What may be left out of the evidence, and images get the same numbers: nothing; all of it, which
is then read as it is; or its pixels, so that it enters as features."""


@dataclass(frozen=True, eq=False)
class Method:
    """One way to say how much every pixel matters to a score.

    Attributes:
        name: the one in ``METHODS``.
        compute: takes a score of B images, these images `(B, C, H, W)`, and options by name.
        adds_up: its numbers are parts of the score, so that a ledger can be kept.
        lighter: what may be left out of the evidence where only numbers of images are asked for.
    """

    name: str
    compute: Callable[..., FoundRelevance]
    adds_up: bool
    lighter: Lighter = "nothing"

    def __call__(self, score: Score, images: Tensor, **options: Any) -> FoundRelevance:
        """Find relevance, once all options are known to be options of this method."""
        return self.compute(score, images, **self.complete(options))

    @property
    def options(self) -> dict[str, object]:
        """Return every option with its default, ``inspect.Parameter.empty`` where it has none."""
        parameters = inspect.signature(self.compute).parameters.values()
        return {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY}

    def complete(self, given: Mapping[str, object]) -> dict[str, object]:
        """Add the defaults to the options that were given.

        Raises:
            TypeError: if an option is of another kind than the method takes.
            ValueError: on an option that the method does not have, or lacks.
        """
        known = self.options
        for name in given:
            if name not in known:
                choices = f"Choose from: {', '.join(known)}." if known else "It has none."
                raise ValueError(f"Unknown option {quote(name)} of {self.name}. {choices}")
        used = known | dict(given)
        kinds = read_kinds(self.compute)
        for name, value in used.items():
            if value is inspect.Parameter.empty:
                raise ValueError(f"{self.name} needs the option {name}, which was not given.")
            check_kind(name, value, kinds[name])
        return used


def find_method(name: str) -> Method:
    """Look an attribution method up by name.

    Raises:
        ValueError: if there is none of this name.
    """
    return cast("Method", METHODS.find(name))
