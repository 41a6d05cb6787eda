"""Answers, the stored images that they were computed from, and what follows from these."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from whence.records.answer_pixels import WITHOUT_PIXELS, AnswerPixels
from whence.records.decision import Decision
from whence.records.notebook import NOTEBOOK_VIEWS
from whence.records.show import show_record


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One image of the memory, as a predicate of ``edit`` sees it.

    Attributes:
        index: its place in the dataset that the memory was taken from.
        label: its class, None when not known.
        predicted: the model's own class for it, made with the image and its copies left out.
        source: the file it came from, None when not known.
    """

    index: int
    label: int | None
    predicted: int
    source: str | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """One stored image that an answer was computed from.

    Attributes:
        index: its place in the dataset that the memory was taken from.
        label: its true class, None when not known.
        predicted: the model's own class for it, made with the image and its copies left out.
        weight: its share of the memory vector, in (0, 1]; 0 only for a near miss.
        similarity: between its features and the input's, before sparsemax.
        role: "example" when the model puts it in the predicted class, else "counterfactual".
        source: the file it came from, None when not known.
    """

    index: int
    label: int | None
    predicted: int
    weight: float
    similarity: float
    role: Literal["example", "counterfactual"]
    source: str | None


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """One answer, and what it was computed from.

    Attributes:
        predicted: class index.
        probabilities: `(K,)` float32, the softmax of the logits; for votes the weight on each
            label.
        evidence: the stored images with weight above 0, highest weight first, weights sum to 1;
            empty for a standard model.
        threshold: the similarity from which on a stored image counts: the weight of each is its
            similarity minus this (of votes, a multiple of it); None for a standard model.
        left_out: dataset indices of stored images that are the very image asked about (same content
            hash); they took no part in the answer.
        flag: the evidence of highest weight is a counterfactual, a sign of doubt.
        error_probability: calibrated on validation images, in [0, 1]; None when not calibrated.
        by_label: a class's probability is the weight on the stored images with its label, as votes
            have it.
        decision: the class that has a threshold, and which; None where the highest probability
            wins.
        handicaps: `(K,)` by how much higher the threshold is for stored images of each label, lower
            where it is below 0: votes whose classes count differently; None where all count alike.
        class_names: K names; empty where they are not known.
        seen: the pixels, for notebooks.
    """

    predicted: int
    probabilities: Tensor
    evidence: tuple[Evidence, ...]
    threshold: float | None
    left_out: tuple[int, ...]
    flag: bool
    error_probability: float | None
    by_label: bool = False
    decision: Decision | None = None
    handicaps: Tensor | None = None
    class_names: tuple[str, ...] = ()
    seen: AnswerPixels = WITHOUT_PIXELS

    __repr__ = show_record

    def _repr_html_(self) -> str:
        html: str = NOTEBOOK_VIEWS["explanation"](self)
        return html


@dataclass(frozen=True, eq=False, repr=False)
class Draws:
    """What becomes of an answer when random parts of the memory are read instead of all of it.

    Attributes:
        draws: how many random memories were read.
        memory_size: images in each of them.
        seed: of the draws.
        probabilities: `(K,)` float32, the mean over the draws.
        changed: fraction of the draws that give another class than the whole memory.
        example_drawn: how many draws held the example.
        example_kept: fraction of those in which it was the example again; None if it never did.
    """

    draws: int
    memory_size: int
    seed: int
    probabilities: Tensor
    changed: float
    example_drawn: int
    example_kept: float | None

    __repr__ = show_record


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """One answer, the stored images it was computed from, and how far to trust it.

    Attributes:
        predicted: class index.
        probabilities: `(K,)` float32, the softmax of the logits; for votes the weight on each
            label.
        evidence: the stored images with weight above 0, highest weight first, weights sum to 1;
            empty for a standard model.
        threshold: the similarity from which on a stored image counts: the weight of each is its
            similarity minus this (of votes, a multiple of it); None for a standard model.
        without: `(A, K)` float32, how much every logit changes when one evidence image is left out
            of the memory, in the order of ``evidence``; NaN where it is the whole memory.
        probabilities_without: `(A, K)` float32, the probabilities that are left then.
        example: the evidence of highest weight that the model puts in the predicted class.
        example_reason: why there is none, in a sentence; None when there is one.
        counterfactual: the evidence of highest weight that it puts in another class.
        counterfactual_reason: why there is none; None when there is one.
        counterfactuals: the best one of every other class that has one, highest weight first.
        near_miss: when there is no counterfactual, the most similar stored image of another class,
            with weight 0; None when the memory holds none.
        left_out: dataset indices of stored images that are the very image explained (same content
            hash); they took no part in the answer.
        draws: what random memories give; None for a standard model or when not asked for.
        reliance: how much of the answer comes from the memory, in [0, 1]; 0 for a standard model.
        flag: the evidence of highest weight is a counterfactual, a sign of doubt.
        error_probability: calibrated on validation images, in [0, 1]; None when not calibrated.
        by_label: a class's probability is the weight on the stored images with its label, as votes
            have it.
        nearest: the most similar stored image with the label of each of the three most probable
            classes, with a weight or without; classes that no stored image has are left out.
        decision: the class that has a threshold, and which; None where the highest probability
            wins.
        handicaps: `(K,)` by how much higher the threshold is for stored images of each label, lower
            where it is below 0: votes whose classes count differently; None where all count alike.
        class_names: K names; empty where they are not known.
        seen: the pixels, for notebooks.
    """

    predicted: int
    probabilities: Tensor
    evidence: tuple[Evidence, ...]
    threshold: float | None
    without: Tensor
    probabilities_without: Tensor
    example: Evidence | None
    example_reason: str | None
    counterfactual: Evidence | None
    counterfactual_reason: str | None
    counterfactuals: tuple[Evidence, ...]
    near_miss: Evidence | None
    left_out: tuple[int, ...]
    draws: Draws | None
    reliance: float
    flag: bool
    error_probability: float | None
    by_label: bool = False
    nearest: tuple[Evidence, ...] = ()
    decision: Decision | None = None
    handicaps: Tensor | None = None
    class_names: tuple[str, ...] = ()
    seen: AnswerPixels = WITHOUT_PIXELS

    __repr__ = show_record

    def decide(self, probabilities: Tensor) -> Tensor:
        """Choose the answers `(n,)` that other probabilities `(n, K)` would give."""
        if self.decision is None:
            return probabilities.argmax(1)
        return self.decision.choose(probabilities, probabilities)

    def _repr_html_(self) -> str:
        html: str = NOTEBOOK_VIEWS["explanation"](self)
        return html


@dataclass(frozen=True)
class Removal:
    """Stored images without which the answer is another one, or that none were found.

    Attributes:
        removed: dataset indices of an irreducible set: with all of them left out of the memory the
            answer changes, and putting any one back restores it. Empty when none was found.
        becomes: the class predicted without them; None when none was found.
        smallest: the smallest such set, when one of ``searched`` images or fewer exists.
        smallest_becomes: the class predicted without the smallest set.
        searched: every set of up to so many stored images was tried.
        reason: when none was found, how far the search went, in a sentence.
    """

    removed: tuple[int, ...]
    becomes: int | None
    smallest: tuple[int, ...] | None
    smallest_becomes: int | None
    searched: int
    reason: str | None
