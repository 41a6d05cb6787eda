"""Images of a run as measures of faithfulness look at them, method by method."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from whence.attribution.asked_method import AskedMethod
from whence.attribution.classifier_score import score_classifier
from whence.attribution.method import find_method
from whence.attribution.target import Target
from whence.data.augment import to_float
from whence.metrics.attributed import Attributed, Logits, Refill
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating

UNTRAINED = "untrained"
"""The control whose maps come from the network before training."""

UNTRAINED_METHOD = "integrated_gradients"
"""The method that makes these maps."""

KNOWING_NOTHING = ("random", "edges", UNTRAINED)
"""Rows that know nothing of the trained model."""


@dataclass(frozen=True, eq=False)
class FaithfulnessBench:
    """A model and images on which methods are measured.

    Attributes:
        model: in eval mode, with its bank if it has a memory.
        images: `(B, C, H, W)` uint8.
        pixels: the same as floats in [0, 1].
        classes: `(B,)` what the model answers.
        logits: answers variants of the images.
        refill: what stands in the place of hidden pixels.
        seed: of all draws.
        batch_size: images at once.
        untrained: the network before training, or None.
        truth: `(B, H, W)` bool, where the answers are known to come from, or None.
        in_domain: the same bench of a copy that has learned with hidden patches, or None.
        randomised: names of layers, and copies of the model with these and all above randomised.
        kept: what measures share between methods.
    """

    model: Classifier
    images: Tensor
    pixels: Tensor
    classes: Tensor
    logits: Logits
    refill: Refill
    seed: int
    batch_size: int
    untrained: Classifier | None = None
    truth: Tensor | None = None
    in_domain: "FaithfulnessBench | None" = None
    randomised: tuple[tuple[str, nn.Module], ...] = ()
    kept: dict[tuple[object, ...], Tensor] = field(default_factory=dict, repr=False)

    def explain(self, method: str, options: Mapping[str, object]) -> Attributed:
        """Explain the predicted class of every image with a method, or with a control.

        Args:
            method: a name in ``METHODS``, or "untrained".
            options: those of them that the method has are used.

        Raises:
            ValueError: if the method refuses the model, or a control is missing.
        """
        rows = torch.arange(len(self.images))
        if method == UNTRAINED:
            if self.untrained is None:
                raise ValueError("untrained needs the network before training.")
            return self.put(self.ask(UNTRAINED_METHOD, options, self.untrained)(self.images, rows))
        asked = self.ask(method, options, self.model)
        needed = find_method(method).adds_up  # its ledger has a line of the evidence
        found = asked.find(self.images, rows, evidence=needed)
        inner = None if self.in_domain is None else self.in_domain.explain(method, options)
        return replace(
            self.put(found.images.sum(1)), explain=asked, ledger=found.ledger, in_domain=inner
        )

    def ask(self, name: str, options: Mapping[str, object], model: Classifier) -> AskedMethod:
        """Prepare a method on the model, or on another."""
        known = find_method(name).options
        own = {option: value for option, value in options.items() if option in known}
        return AskedMethod(
            model, name, own, self.classes, self.seed, self.batch_size, self.randomised
        )

    def put(self, relevance: Tensor) -> Attributed:
        """Put relevance `(B, H, W)` beside the images."""
        return Attributed(
            self.pixels,
            relevance,
            self.classes,
            self.logits,
            self.refill,
            truth=self.truth,
            kept=self.kept,
        )


def make_bench(
    model: Classifier, images: Tensor, refill: Refill, *, seed: int, batch_size: int
) -> FaithfulnessBench:
    """Answer images `(B, C, H, W)` uint8, and prepare to explain the answers."""
    logits, pixels = ask_logits(model, images, batch_size), to_float(images)
    classes = logits(pixels, torch.arange(len(pixels))).argmax(1)
    return FaithfulnessBench(model, images, pixels, classes, logits, refill, seed, batch_size)


def ask_logits(model: Classifier, images: Tensor, batch_size: int) -> Logits:
    """Answer variants of images with logits on the CPU; each reads the memory that its image does.

    Args:
        model: in eval mode.
        images: `(B, C, H, W)`.
        batch_size: images at once.
    """
    with torch.no_grad():
        known = score_classifier(model, images, None, batch_size=batch_size)
    whole = replace(known, target=Target(lambda logits, _: logits, known.target.names))

    def logits(variants: Tensor, rows: Tensor) -> Tensor:
        with evaluating(model):
            parts = zip(variants.split(batch_size), rows.split(batch_size), strict=True)
            return torch.cat(
                [whole.take(some)(whole.pixels(few)).detach().cpu() for few, some in parts]
            )

    return logits


def keep_first(attributed: Attributed, count: int) -> Attributed:
    """Keep the first images, with nothing that was computed for all of them."""
    some = slice(0, count)
    explain = attributed.explain
    if isinstance(explain, AskedMethod):
        explain = explain.toward(explain.classes[some])
    ledger = attributed.ledger
    return replace(
        attributed,
        images=attributed.images[some],
        relevance=attributed.relevance[some],
        classes=attributed.classes[some],
        explain=explain,
        ledger=ledger and {name: amounts[some] for name, amounts in ledger.items()},
        truth=None if attributed.truth is None else attributed.truth[some],
        in_domain=None,
        kept={},
    )
