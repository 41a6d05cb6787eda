"""Every measurement of the study by its name, as a function of the seed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from whence.messages import quote
from whence.records.images import Dataset
from whence.seeds import make_generator
from whence.studies.memorisation.contrasts import (
    Learner,
    count_easy,
    follow_critical,
    follow_sensitivity,
    time_to_fit,
    train_held_back,
)
from whence.studies.memorisation.critical import LangevinSearch
from whence.studies.memorisation.noisy import NOISY_KINDS
from whence.studies.parts.fewer_images import draw_part

Measurement = Callable[[int], dict[str, Any]]


class MemorisingSize(NamedTuple):
    """How much is done.

    Attributes:
        images: that networks are trained on.
        validation: images that they are asked about.
        side: pixels of a side that larger images are brought to.
        width: units of both hidden layers.
        epochs: of the trainings that are followed.
        fitting_epochs: at most, until all labels are fitted.
        batch: images of a step.
        runs: networks that are trained for one epoch.
        widths: units that the time to fit is measured for.
        sizes: images that the time to fit is measured for.
        shares: of the training images that are replaced.
    """

    images: int
    validation: int
    side: int
    width: int
    epochs: int
    fitting_epochs: int
    batch: int
    runs: int
    widths: tuple[int, ...]
    sizes: tuple[int, ...]
    shares: tuple[float, ...]


SEARCH = LangevinSearch(radius=0.15, step=0.05, noise=0.03, steps=10)
"""In deviations of an image's pixels."""

SEARCHED_TIMES = 12
"""Times that critical samples are searched in a training, beside the first epoch."""

HOLDS_BACK: Mapping[str, tuple[float, ...]] = {
    "dropped": (0.25, 0.5, 0.75, 0.9),
    "weight_decay": (1e-3, 1e-2, 3e-2, 1e-1),
    "noise": (0.5, 1.0, 2.0, 4.0),
}
"""What holds networks back, by the field of ``Learner``, and how much of it is tried."""


def list_measurements(dataset: Dataset, size: MemorisingSize) -> Iterator[tuple[str, Measurement]]:
    """List every measurement by its name, as a function of the seed."""
    yield from list_followed(dataset, size)
    yield from list_timed(dataset, size)
    yield from list_held(dataset, size)


def draw_both_parts(dataset: Dataset, count: int, size: MemorisingSize, seed: int) -> Dataset:
    """Draw images to train on and images to ask about."""
    return replace(
        dataset,
        train=draw_part(dataset.train, count, make_generator(seed)),
        test=draw_part(dataset.test, size.validation, make_generator(seed)),
    )


def list_followed(dataset: Dataset, size: MemorisingSize) -> Iterator[tuple[str, Measurement]]:
    """List what is followed through a training, or through many short ones."""
    learner = Learner(size.width, size.epochs, size.batch)

    def draw(seed: int) -> Dataset:
        return draw_both_parts(dataset, size.images, size, seed)

    for kind in NOISY_KINDS:

        def find_easy(seed: int, one: str = kind) -> dict[str, Any]:
            return count_easy(draw(seed), one, learner, size.runs, seed)

        yield f"easy-{kind}", find_easy
        for own in (False, True)[: 1 if kind == "randY" else 2]:  # its images are the real ones

            def follow(seed: int, one: str = kind, each: bool = own) -> dict[str, Any]:
                return follow_sensitivity(draw(seed), one, each, learner, seed)

            yield f"sensitivity-{kind}-{'own' if own else 'given'}", follow
    for kind, share in list_noise(size.shares):

        def search(seed: int, one: str = kind, part: float = share) -> dict[str, Any]:
            every = max(1, size.epochs // SEARCHED_TIMES)
            return follow_critical(draw(seed), one, part, learner, SEARCH, every, seed)

        yield f"critical-{kind}-{share:g}", search


def list_timed(dataset: Dataset, size: MemorisingSize) -> Iterator[tuple[str, Measurement]]:
    """List trainings until all labels are fitted, by units and by images."""
    learner = Learner(size.width, size.fitting_epochs, size.batch, until_fitted=True)

    def measure(seed: int, kind: str, share: float, count: int, width: int) -> dict[str, Any]:
        part = draw_both_parts(dataset, count, size, seed)
        return time_to_fit(part, kind, share, learner._replace(width=width), seed)

    for kind, share in (("real", 0.0), ("randX", 1.0), ("randY", 1.0), ("randY", 0.4)):
        for width in size.widths:
            name = f"width-{kind}-{share:g}-{width}"
            yield name, partial(measure, kind=kind, share=share, count=size.images, width=width)
    for kind in NOISY_KINDS:
        share = 0.0 if kind == "real" else 1.0
        for count in (one for one in size.sizes if one <= len(dataset.train)):
            name = f"size-{kind}-{count}"
            yield name, partial(measure, kind=kind, share=share, count=count, width=size.width)


def list_held(dataset: Dataset, size: MemorisingSize) -> Iterator[tuple[str, Measurement]]:
    """List trainings that something holds back, on real data and on random labels."""
    learner = Learner(size.width, size.epochs, size.batch)

    def measure(seed: int, kind: str, field: str, amount: float) -> dict[str, Any]:
        part = draw_both_parts(dataset, size.images, size, seed)
        return train_held_back(part, kind, hold_back(learner, field, amount), seed)

    for field, amounts in HOLDS_BACK.items():
        for amount in (0.0, *amounts):
            for kind in ("real", "randY"):
                name = f"held-{field}-{amount:g}-{kind}"
                yield name, partial(measure, kind=kind, field=field, amount=amount)


def hold_back(learner: Learner, field: str, amount: float) -> Learner:
    """Hold a learner back by so much of something that ``HOLDS_BACK`` names."""
    if field == "dropped":
        return learner._replace(dropped=amount)
    if field == "weight_decay":
        return learner._replace(weight_decay=amount)
    if field == "noise":
        return learner._replace(noise=amount)
    raise ValueError(f"field must be one of {', '.join(HOLDS_BACK)}, got {quote(field)}.")


def list_noise(shares: tuple[float, ...]) -> list[tuple[str, float]]:
    """List real data, and each share of random pixels and of random labels."""
    return [("real", 0.0), *((kind, share) for kind in ("randX", "randY") for share in shares)]
