"""Two runs on the same images: what their answers, evidence and doubt have in common."""

from dataclasses import dataclass

from torch import Tensor

from whence.records.answers import Evidence


@dataclass(frozen=True)
class RunSide:
    """What one of the runs does on the images.

    Attributes:
        run: its name.
        stored: images in its memory; 0 without one.
        accuracy: share of right answers; None where labels are not known.
        balanced_accuracy: mean recall of the classes; None likewise.
        doubt: mean calibrated probability of an error; None where the run is not calibrated.
        errors: share of wrong answers; None where labels are not known.
        auroc: how well that probability finds wrong answers; None without both kinds.
        calibration_error: its expected calibration error (ECE); None likewise.
    """

    run: str
    stored: int
    accuracy: float | None
    balanced_accuracy: float | None
    doubt: float | None
    errors: float | None
    auroc: float | None
    calibration_error: float | None


@dataclass(frozen=True)
class ComparedAnswer:
    """One image, answered by both runs.

    Attributes:
        place: of the image in the set.
        name: of the image.
        truth: its class, None where not known.
        answers: of both.
        shares: probability that each gives to its own answer.
        doubts: calibrated probabilities of an error; None where a run is not calibrated.
        shared: weight on stored images that both read, in [0, 1]; None without two memories.
    """

    place: int
    name: str
    truth: int | None
    answers: tuple[int, int]
    shares: tuple[float, float]
    doubts: tuple[float | None, float | None]
    shared: float | None


@dataclass(frozen=True, eq=False)
class ShownAnswer:
    """A changed answer with its pictures.

    Attributes:
        answer: both answers.
        image: `(C, H, W)` uint8.
        evidence: of each run, highest weight first, with the pixels `(C, H, W)` of each or None.
    """

    answer: ComparedAnswer
    image: Tensor
    evidence: tuple[tuple[tuple[Evidence, Tensor | None], ...], ...]


@dataclass(frozen=True, eq=False)
class MovedImage:
    """A stored image that one of the runs does not have, or has with another label.

    Attributes:
        file: it came from, None when not known.
        index: in the dataset of its run.
        label: its class, None when not known.
        weight: the sum of its weights in all answers of its run.
        image: `(C, H, W)` uint8, None when the memory was saved without pixels.
        was: its class in the first run, where that is another one.
    """

    file: str | None
    index: int
    label: int | None
    weight: float
    image: Tensor | None
    was: int | None = None


@dataclass(frozen=True)
class Drift:
    """How far images are from the training images of a run.

    Attributes:
        run: its name.
        images: that were looked at.
        beyond: share of them that are farther from the nearest stored image than 95 % of the stored
            images are from the nearest other one; about 0.05 without drift.
        control: the same share of the run's own test images; None where they are not there.
        auroc: chance that the distance of an image to the nearest stored one is larger than that
            of one of the run's own test images, or of a stored image where those are not there;
            0.5 without drift.
        p_value: of that, by the test of Mann and Whitney (1947), two-sided.
        doubt: mean calibrated probability of an error; None where the run is not calibrated.
        usual: share of wrong answers among the held-out images that it was calibrated on.
    """

    run: str
    images: int
    beyond: float
    control: float | None
    auroc: float
    p_value: float
    doubt: float | None
    usual: float | None


@dataclass(frozen=True, eq=False)
class Compared:
    """Two runs on one set of images, or one run alone.

    Attributes:
        data: name of the set.
        class_names: of both.
        sides: what each does.
        answers: one for each image; empty for one run alone.
        shown: changed answers with pictures, the surest first.
        came: stored images of the second run alone, most used first; at most 24.
        went: stored images of the first run alone, likewise.
        relabelled: stored images of both that have another label in the second run, likewise.
        came_count, went_count, relabelled_count: how many there are.
        both: stored images that both have.
        drift: of each run that has a memory.
        notes: sentences that a user should read.
    """

    data: str
    class_names: tuple[str, ...]
    sides: tuple[RunSide, ...]
    answers: tuple[ComparedAnswer, ...] = ()
    shown: tuple[ShownAnswer, ...] = ()
    came: tuple[MovedImage, ...] = ()
    went: tuple[MovedImage, ...] = ()
    relabelled: tuple[MovedImage, ...] = ()
    came_count: int = 0
    went_count: int = 0
    relabelled_count: int = 0
    both: int = 0
    drift: tuple[Drift, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def changed(self) -> tuple[ComparedAnswer, ...]:
        """Return the answers that differ."""
        return tuple(one for one in self.answers if one.answers[0] != one.answers[1])
