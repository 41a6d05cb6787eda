"""What was measured on a set of images, or found in a memory: numbers without a model."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from whence.records.answers import Prediction
from whence.records.class_curves import Answered, ClassCurve, ThresholdTable
from whence.records.class_measures import ClassMeasures, mean_recall
from whence.records.decision import Decision
from whence.records.frames import make_frame
from whence.records.notebook import NOTEBOOK_VIEWS


@dataclass(frozen=True)
class EvidenceMeasures:
    """What the memory images that were read say of a set of answers.

    The first three are of La Rosa et al. (2021), section 4.3 and A.8. Fractions in [0, 1].

    Attributes:
        explanation_accuracy: how often the model puts the memory image of highest weight in the
            class that it predicts for the image; higher is better.
        example_accuracy: accuracy on those images; None if there are none.
        counterfactual_accuracy: accuracy on the others, whose top memory is a counterfactual;
            None if there are none. Far below example_accuracy means that a counterfactual on top
            warns of an error.
        purity: mean weight on memory images whose label is the true class of the image; higher is
            better; None when labels of memory images are not known.
        support_size: mean number of memory images with weight above 0; fewer are easier to look at.
        support_size_median: the same, median (of the two in the middle, their mean). Both are None
            where one image takes the place of the evidence.
    """

    explanation_accuracy: float
    example_accuracy: float | None
    counterfactual_accuracy: float | None
    purity: float | None = None
    support_size: float | None = None
    support_size_median: float | None = None

    def count_examples(self, images: int) -> int:
        """Count, of so many images, those whose top memory is an example."""
        return round(self.explanation_accuracy * images)


@dataclass(frozen=True)
class FlagQuality:
    """How well one signal finds the wrong answers of a set of images.

    Attributes:
        auroc: chance that a wrong answer is more doubtful than a right one; higher is better,
            0.5 is a coin; None when all answers are right, or all wrong.
        ece: expected calibration error, in [0, 1]; lower is better; None when the signal is not a
            probability of error.
        aurc: area under the risk-coverage curve, in [0, 1]; lower is better.
        risk_coverage: error rate among the least doubtful share of the images, by that share;
            lower is better.
    """

    auroc: float | None
    ece: float | None
    aurc: float
    risk_coverage: Mapping[float, float]


@dataclass(frozen=True)
class Calibration:
    """Logistic regression from signals of doubt to the probability that an answer is wrong.

    Fitted to one model with one memory. With ``x`` the prepared signals, the log-odds of an error
    are ``intercept + sum(coefficients * (x - means) / scales)``.

    Attributes:
        names: the signals, from ``SIGNALS``.
        means, scales, coefficients: one number per signal.
        intercept: the log-odds of an error at the mean of all signals.
        images: held out of training, that it was fitted on.
        errors: how many of them were answered wrongly.
    """

    names: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float
    images: int
    errors: int


@dataclass(frozen=True)
class Reliance:
    """How far the answers to a set of images hang on the stored images; fractions in [0, 1].

    Attributes:
        mean: share of an answer that comes from the memory, averaged over the answers.
        lower_quartile: a quarter of the answers have less than this.
        median: half of them have less than this.
        upper_quartile: three quarters of them have less than this.
        right: right answers for whose class there are stored images, beside others; None where the
            labels of stored images are not known.
        changed: how many of these change when every stored image of their class is left out.
        changed_share: the same as a fraction; None where there are none. Near 0 the evidence is
            decoration: the answers do not need it.
    """

    mean: float
    lower_quartile: float
    median: float
    upper_quartile: float
    right: int | None = None
    changed: int | None = None
    changed_share: float | None = None


@dataclass(frozen=True)
class KnownImages:
    """Measured images that a model knows already: images with the same pixels.

    Attributes:
        images: how many are in its memory, were trained on or validated on.
        memory: how many are in its memory; None without one.
        train: how many were trained on; None where that is not known.
        validation: how many were validated on; None where that is not known.
        others: how many are new to it.
        accuracy_of_others: accuracy on these, a fraction; None where there are none.
    """

    images: int
    memory: int | None = None
    train: int | None = None
    validation: int | None = None
    others: int = 0
    accuracy_of_others: float | None = None


@dataclass(frozen=True)
class Mistake:
    """A wrong answer.

    Attributes:
        place: of the image among those that were measured.
        truth: its class.
        answer: with its evidence.
    """

    place: int
    truth: int
    answer: Prediction


@dataclass(frozen=True)
class Evaluation:
    """What was measured on one set of images; fractions in [0, 1].

    Attributes:
        images: how many were classified.
        whole_memory: accuracy with the bank; for a standard model its plain accuracy.
        classes: recall and precision of each class.
        draws: one accuracy per pass of the paper's protocol; None for a standard model.
        evidence: what the memory images that were read say, with the bank; None for a standard
            model.
        draws_evidence: the same for each pass.
        controls: the same with another image in place of the top memory: "random" and "nearest"
            (by Euclidean distance of the features); empty for a standard model.
        signals: how well each signal of doubt finds the wrong answers, with the bank;
            "error_probability" is among them when the model is calibrated.
        calibration: the model's, None when it is not calibrated.
        predicted: the class that each image is answered with.
        known: how many of the images are in the memory, or were seen by the model in another way;
            None where that was not looked for.
        reliance: how far the answers hang on the stored images; None for a standard model.
        decision: the class that is answered from a threshold on; None where the highest probability
            always wins.
        curves: ROC and precision-recall curves of the classes that some images have and some not.
        thresholds: what other thresholds give, of the class that has one, or the rarer of two; None
            for more classes without one.
        answered: every answer; None where only the numbers were kept.
        mistakes: the wrong answers of highest probability, a few, for notebooks.
    """

    images: int
    whole_memory: float
    classes: tuple[ClassMeasures, ...]
    draws: tuple[float, ...] | None = None
    evidence: EvidenceMeasures | None = None
    draws_evidence: tuple[EvidenceMeasures, ...] | None = None
    controls: Mapping[str, EvidenceMeasures] = field(default_factory=dict)
    signals: Mapping[str, FlagQuality] = field(default_factory=dict)
    calibration: Calibration | None = None
    predicted: tuple[int, ...] = ()
    known: KnownImages | None = None
    reliance: Reliance | None = None
    decision: Decision | None = None
    curves: tuple[ClassCurve, ...] = ()
    thresholds: ThresholdTable | None = None
    answered: Answered | None = field(default=None, compare=False, repr=False)
    mistakes: tuple[Mistake, ...] = field(default=(), compare=False, repr=False)

    def to_frame(self) -> Any:
        """Make a frame of pandas, one row an image: file, label, answer, probabilities, doubt.

        Raises:
            ValueError: if the single answers were not kept.
            ModuleNotFoundError: without pandas.
        """
        if self.answered is None:
            raise ValueError("This evaluation holds numbers alone; its answers were not kept.")
        return make_frame(self.answered.rows())

    def _repr_html_(self) -> str:
        html: str = NOTEBOOK_VIEWS["evaluation"](self)
        return html

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall over the classes that have images: each counts alike, however rare."""
        return mean_recall(self.classes)

    @property
    def worst_class(self) -> ClassMeasures | None:
        """Return the class of lowest recall, the first of equals; None if only one has images."""
        known = [one for one in self.classes if one.images]
        return min(known, key=lambda one: one.right / one.images) if len(known) > 1 else None

    @property
    def draws_mean(self) -> float | None:
        """Mean accuracy over the passes."""
        return None if self.draws is None else statistics.fmean(self.draws)

    @property
    def draws_std(self) -> float | None:
        """Population deviation over the passes."""
        return None if self.draws is None else statistics.pstdev(self.draws)


@dataclass(frozen=True)
class NearStored:
    """A stored image that looks like another one.

    Attributes:
        index: its place in the dataset that the memory was taken from.
        label: its class, None when not known.
        source: the file it came from, None when not known.
        similarity: cosine of the features that were compared, in [-1, 1].
    """

    index: int
    label: int | None
    source: str | None
    similarity: float


@dataclass(frozen=True)
class Suspicion:
    """A stored image whose label the other stored images do not support.

    Everything is computed with the image itself and its copies left out of the memory.

    Attributes:
        index: its place in the dataset that the memory was taken from.
        label: the class that it is stored with.
        predicted: the model's own class for it; a model that was trained long learns wrong labels
            by heart, so that this is often the label all the same.
        resembles: the class that it gets the most votes for, beside what is usual in that class,
            other than its label: a guess at the right one.
        source: the file it came from, None when not known.
        score: share of the usual votes for its label that is missing, in [0, 1]: 0 when it gets as
            many as images of the label get on average, 1 when it gets none.
        probability: that the model gives the label, in [0, 1].
        evidence_mass: weight of its own evidence on images with the same label, in [0, 1].
    """

    index: int
    label: int
    predicted: int
    resembles: int
    source: str | None
    score: float
    probability: float
    evidence_mass: float
