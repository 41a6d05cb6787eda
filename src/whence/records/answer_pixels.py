"""The pixels behind an answer, for those who look at it in a notebook."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True, eq=False, repr=False)
class AnswerPixels:
    """An image and the stored images that its answer was computed from, shared with the model.

    Nothing is copied; what is pickled or copied deeply holds no pixels, which would be those of the
    whole memory.

    Attributes:
        image: `(C, H, W)` that was asked about; None where it is not known.
        stored: `(M, C, H, W)`; None where the memory holds no pixels.
        indices: `(M,)` int64, their places in the dataset.
    """

    image: Tensor | None = None
    stored: Tensor | None = None
    indices: Tensor | None = None

    def find(self, index: int) -> Tensor | None:
        """Return the stored image `(C, H, W)` of a dataset index; None where it is not there."""
        if self.stored is None or self.indices is None:
            return None
        places = (self.indices == index).nonzero()
        return self.stored[int(places[0])].cpu() if len(places) else None

    def __reduce__(self) -> tuple[Any, ...]:
        return (AnswerPixels, ())


WITHOUT_PIXELS = AnswerPixels()
"""Of an answer whose pixels are not known."""
