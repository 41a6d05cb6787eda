"""An attribution method on a model, which measures of faithfulness ask again and again."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from whence.attribution.attribute import ask_method
from whence.attribution.method import find_method
from whence.records.relevance import Relevance
from whence.seeds import make_generator


@dataclass(frozen=True, eq=False)
class AskedMethod:
    """A method with everything that it needs but the images.

    Attributes:
        model: that is explained.
        name: of the method.
        options: of it, but for a generator, which is made anew for every call: a method that draws
            gives the same for the same images.
        classes: `(B,)` whose logits are explained.
        seed: of the draws.
        batch_size: images at once.
        randomised: names of layers, and copies of the model.
    """

    model: nn.Module
    name: str
    options: Mapping[str, object]
    classes: Tensor
    seed: int
    batch_size: int
    randomised: Sequence[tuple[str, nn.Module]] = ()

    def __call__(self, images: Tensor, rows: Tensor) -> Tensor:
        """Find relevance `(n, H, W)` of variants `(n, C, H, W)` of the images at rows `(n,)`."""
        return self.find(images, rows, evidence=False).images.sum(1)

    def find(self, images: Tensor, rows: Tensor, *, evidence: bool) -> Relevance:
        """Find the record of relevance of variants `(n, C, H, W)`.

        Args:
            images: the variants.
            rows: `(n,)` of which images.
            evidence: False leaves it out where the numbers of images are the same without.
        """
        options = dict(self.options)
        if "generator" in find_method(self.name).options:
            options["generator"] = make_generator(self.seed)
        target = self.classes[rows].tolist()
        return ask_method(
            self.model,
            images,
            self.name,
            target,
            score=None,
            batch_size=self.batch_size,
            options=options,
            evidence=evidence,
        )

    def toward(self, classes: Tensor) -> "AskedMethod":
        """Explain the logits of other classes `(B,)`."""
        return replace(self, classes=classes)

    def cascade(self) -> Iterator[tuple[str, "AskedMethod"]]:
        """Explain the randomised copies of the model."""
        for layer, model in self.randomised:
            yield layer, replace(self, model=model, randomised=())


def find_missing_option(name: str) -> str | None:
    """Name an option that a method needs and that no default or generator fills, or None."""
    return next(
        (
            option
            for option, default in find_method(name).options.items()
            if default is inspect.Parameter.empty and option != "generator"
        ),
        None,
    )
