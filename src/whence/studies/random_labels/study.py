"""The study: networks on random labels and pixels, kernels, and theorem 1."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from whence.data import DATASETS
from whence.records.images import Dataset
from whence.seeds import make_generator
from whence.studies.parts.fewer_images import draw_mixed, draw_part, shrink_images
from whence.studies.parts.findings import Entry, Findings
from whence.studies.parts.kept import KeptParts
from whence.studies.parts.request import StudyRequest, name_seeds
from whence.studies.parts.subject import are_small, identify_data, load_subject
from whence.studies.random_labels.figures import draw_fits, draw_stopping
from whence.studies.random_labels.judge import RandomFindings, judge_fitting, judge_images
from whence.studies.random_labels.kernels_of_images import (
    PUBLISHED_GRAMS,
    try_exact_network,
    try_grams,
)
from whence.studies.random_labels.networks import RANDOM_LABEL_NETWORKS
from whence.studies.random_labels.trainings import (
    HELD_BACK,
    LABEL_SHARES,
    PUBLISHED_ERRORS,
    Fitted,
    Fitting,
    FittingSize,
    average_fits,
    list_fittings,
    train_fitting,
)

SMALL_SIZE = FittingSize(
    images=200, tests=250, wide=0.25, epochs=300, least=10, batch=32, grams=5000, filters=256
)
FULL_SIZE = FittingSize(
    images=None, tests=None, wide=1.0, epochs=500, least=30, batch=128, grams=None, filters=4000
)
OWN_NETWORKS, OWN_SHARES = ("AlexNet", "MLP 1x512"), (0.0, 0.5, 1.0)
"""What is tried on a user's own images, and on images that are not small."""

LARGEST_SIDE = 32
"""Pixels of a side that larger images are brought to, as those of the publication have."""

RANDOM_COLUMNS = (
    *("learner", "images and labels", "regularisers", "training error", "test error"),
    *("best on the way", "epochs to fit", "times true labels", "norm", "published test error"),
)


def random_labels(request: StudyRequest) -> Findings:
    """Fit true, random and partly random labels, and changed pixels, by networks and kernels.

    Raises:
        FileNotFoundError: if the images are not there.
        ValueError: if they are not in order.
    """
    own = request.subject is not None and request.subject not in DATASETS
    size = FULL_SIZE if request.full else SMALL_SIZE
    dataset = load_subject(request)
    side = min(dataset.train.images.shape[2:])
    if side > LARGEST_SIDE or own:
        dataset = shrink_images(dataset, min(side, LARGEST_SIDE))
    whole = request.full or (are_small(dataset) and not own)
    networks = tuple(RANDOM_LABEL_NETWORKS) if whole else OWN_NETWORKS
    shares = LABEL_SHARES if whole else OWN_SHARES
    fittings = [*list_fittings(networks, shares), *(HELD_BACK if whole else ())]
    return fit_everything(request, dataset, size, fittings, shares, own=own)


def fit_everything(
    request: StudyRequest,
    dataset: Dataset,
    size: FittingSize,
    fittings: Sequence[Fitting],
    shares: Sequence[float],
    *,
    own: bool,
) -> Findings:
    """Train each network with each seed, fit each kernel once, and lay all out.

    Args:
        request: with the seeds, the folder and the device.
        dataset: the images.
        size: how much is done.
        fittings: trainings.
        shares: of random labels among them.
        own: the images are a user's, of which nothing is claimed.
    """
    seeds = request.list_seeds(1)
    made_with = {
        **identify_data(dataset),
        "seeds": name_seeds(seeds),
        **size._asdict(),
        "device": request.device,
    }
    kept = KeptParts(request.out, "random_labels", made_with)
    test = draw_part(dataset.test, size.tests, make_generator(0))
    asked = replace(dataset, test=test)
    found = fit_networks(asked, size, fittings, seeds, kept, request.device)
    some = replace(
        dataset,
        train=draw_mixed(dataset.train, size.grams, make_generator(0)),
        test=draw_part(dataset.test, size.grams, make_generator(0)),
    )
    grams = try_grams(some, size.filters, 0, kept)
    exact = try_exact_network(some, 0)
    all_found = RandomFindings(found, grams, exact, tuple(shares), dataset, len(test))
    figures = [draw_fits(found, shares, fittings[0].network, len(dataset.train.class_names))]
    if any(one in found for one in HELD_BACK):
        figures.append(draw_stopping(found, "Inception"))
    judged = judge_images(all_found) if own else judge_fitting(all_found)
    return Findings(
        columns=RANDOM_COLUMNS,
        rows=lay_out_random(all_found),
        holds=judged.holds,
        verdict=judged.verdict,
        sentences=judged.sentences,
        made_with=made_with,
        figures=tuple(figures),
    )


def fit_networks(
    dataset: Dataset,
    size: FittingSize,
    fittings: Sequence[Fitting],
    seeds: Sequence[int],
    kept: KeptParts,
    device: str,
) -> dict[Fitting, Fitted]:
    """Do each training with each seed on images of its own, and average."""
    found = {}
    for fitting in fittings:
        runs = []
        for seed in seeds:
            known = draw_part(dataset.train, size.images, make_generator(seed))
            part = replace(dataset, train=known)
            train = partial(train_fitting, fitting, part, size, seed, device)
            runs.append(kept.do(fitting.name_part(seed), train))
        found[fitting] = average_fits(runs)
    return found


def lay_out_random(found: RandomFindings) -> tuple[tuple[Entry, ...], ...]:
    """Lay out networks, kernels and the exact network as rows of one table."""
    rows: list[tuple[Entry, ...]] = []
    for fitting, one in found.networks.items():
        published = PUBLISHED_ERRORS.get(fitting)
        rows.append(
            (
                *(fitting.network, fitting.describe_data(), fitting.describe_regularisers()),
                *(one.train_error, one.test_error, one.best_test_error, one.epochs),
                *(slow_down(found.networks, fitting), None),
                None if published is None else f"{published:.1%} (CIFAR-10)",
            )
        )
    for row in found.grams:
        labels = "random labels" if row.random_labels else "true labels"
        asked = row.features, row.kernel, row.regularised
        rows.append(
            (
                *(f"{row.kernel} kernel, {row.features}", labels),
                *("ridge" if row.regularised else "none", row.fit.train_error, row.fit.test_error),
                *(None, None, None, row.fit.norm),
                None if row.random_labels else PUBLISHED_GRAMS.get(asked),
            )
        )
    network = found.exact
    what = f"theorem 1, {network.parameters:,} weights"
    rows.append((what, "random labels", "none", network.label_error, *[None] * 6))
    return tuple(rows)


def slow_down(found: Mapping[Fitting, Fitted], fitting: Fitting) -> float | None:
    """Say how many times as long a training took as the same one on true labels and pixels."""
    plain = found.get(fitting._replace(pixels="as they are", share=0.0))
    epochs = found[fitting].epochs
    if plain is None or plain.epochs is None or epochs is None:
        return None
    return epochs / plain.epochs
