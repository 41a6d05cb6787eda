"""What the numbers say of the claim, and of a user's own images."""

from collections.abc import Mapping
from typing import NamedTuple

from scipy.stats import binomtest, spearmanr

from whence.records.images import Dataset
from whence.studies.parts.trends import Trend, say_claims
from whence.studies.random_labels.kernels_of_images import ExactRow, GramRow
from whence.studies.random_labels.trainings import Fitted, Fitting

SLOWEST = 10
"""Times as long as with true labels that still count as a small factor."""

RISES, EXACT_ENOUGH, SURE_BELOW = 0.9, 1e-6, 0.01
"""Rank correlation that counts as growing, largest miss of a network that fits exactly, and the
probability below which an accuracy is not put down to chance."""


LEARNT_ALL = 0.01
"""Share of random labels that may be missed where all are said to be learnt; the publication misses
up to 0.7%."""


class RandomFindings(NamedTuple):
    """Everything that was found."""

    networks: Mapping[Fitting, Fitted]
    grams: list[GramRow]
    exact: ExactRow
    shares: tuple[float, ...]
    dataset: Dataset
    tests: int  # test images that networks were asked about


class Judgement(NamedTuple):
    """What is said of it all."""

    holds: bool | None
    verdict: str
    sentences: tuple[str, ...]


def judge_fitting(found: RandomFindings) -> Judgement:
    """Say whether each part of the claim is borne out."""
    plain = {fit: one for fit, one in found.networks.items() if is_unregularised(fit)}
    fitted = [fit for fit, one in plain.items() if one.epochs is not None]
    names = list(dict.fromkeys(fit.network for fit in plain))
    factors = find_factors(found.networks)
    known = [one for one in factors.values() if one is not None]
    ranks = []
    for name in names:
        wrong = [plain[Fitting(name, share=share)].test_error for share in found.shares]
        ranks.append(float(spearmanr(found.shares, wrong).statistic))
    exact = found.exact
    kernels = [row for row in found.grams if row.kernel == "Gaussian" and not row.regularised]
    exactly = sum(row.fit.train_error == 0 for row in kernels)
    slow = f"{min(known):.1f} to {max(known):.1f}" if known else "an unknown number of"
    holds, verdict = say_claims(
        [
            Trend(
                len(fitted) == len(plain),
                f"{len(fitted)} of {len(plain)} trainings without regularisers reach zero training "
                "error",
            ),
            Trend(
                len(known) == len(factors) and max(known) <= SLOWEST,
                f"random labels take {slow} times as long as true ones (up to {SLOWEST} counts as "
                "a small factor)",
            ),
            Trend(
                min(ranks) >= RISES,
                "test error rises with the share of random labels (rank correlation at least "
                f"{min(ranks):.2f})",
            ),
            Trend(
                exact.largest <= EXACT_ENOUGH and exact.label_error == 0,
                f"a network of {exact.parameters:,} = 2 x {exact.images:,} + {exact.pixels:,} "
                f"weights fits any numbers up to {exact.largest:.0e}",
            ),
            Trend(
                exactly == len(kernels),
                f"{exactly} of {len(kernels)} Gaussian kernels fit their labels exactly",
            ),
        ]
    )
    return Judgement(holds, verdict, describe_kernels(found.grams))


def is_unregularised(fitting: Fitting) -> bool:
    """Say whether nothing holds a training back."""
    return fitting.describe_regularisers() == "none"


def find_factors(found: Mapping[Fitting, Fitted]) -> dict[str, float | None]:
    """Say how many times as long random labels took as true ones, by network; None if never."""
    factors: dict[str, float | None] = {}
    for fitting, one in found.items():
        if is_unregularised(fitting) and fitting.share == 1:
            true = found[Fitting(fitting.network)].epochs
            factors[fitting.network] = one.epochs / true if one.epochs and true else None
    return factors


def describe_kernels(grams: list[GramRow]) -> tuple[str, ...]:
    """Set kernels without regularisation beside those with it, and norms beside errors."""
    found = {
        (row.features, row.kernel, row.regularised, row.random_labels): row.fit for row in grams
    }
    raw, gabor = (found[features, "Gaussian", False, False] for features in ("raw pixels", "Gabor"))
    ridge = found["raw pixels", "Gaussian", True, False]
    noise = found["raw pixels", "Gaussian", False, True]
    return (
        f"A Gaussian kernel that fits all labels answers {raw.test_error:.1%} of the test images "
        f"wrong on raw pixels and {gabor.test_error:.1%} on Gabor features, with a ridge chosen on "
        f"the training images {ridge.test_error:.1%}.",
        f"Norms of the solutions: {raw.norm:.0f} on raw pixels, {gabor.norm:.0f} on Gabor "
        f"features, {noise.norm:.0f} with random labels (test error {noise.test_error:.0%}).",
    )


def judge_images(found: RandomFindings) -> Judgement:
    """Say in plain words what it means for a user's images and labels."""
    first = next(iter(found.networks)).network
    true, random = (found.networks[Fitting(first, share=share)] for share in (0.0, 1.0))
    counts = found.dataset.test.labels.bincount()
    usual = float(counts.max()) / len(found.dataset.test)
    right = round((1 - true.test_error) * found.tests)
    sure = binomtest(right, found.tests, min(usual, 1 - 1e-9), "greater").pvalue < SURE_BELOW
    factor = find_factors(found.networks)[first]
    learnt = (
        f"A small network ({first}) learnt {1 - random.train_error:.0%} of the labels by heart "
    )
    learnt += "after they were drawn at random"
    if factor is not None:
        learnt += f", in {factor:.1f} times the time that your labels take"
    verdict = (
        f"{learnt}. {say_marks(random.train_error)} With your labels it answers "
        f"{1 - true.test_error:.0%} of the test images right, with random ones "
        f"{1 - random.test_error:.0%}; always saying the largest class gets {usual:.0%}."
    )
    sentence = (
        "So your labels have to do with what is in the images."
        if sure
        else "So no sign was found that the labels have to do with what is in the images: with so "
        f"few test images ({found.tests:,}) and this small network, that is no proof that they "
        "have not."
    )
    return Judgement(None, verdict, (sentence, describe_kernels(found.grams)[0]))


def say_marks(train_error: float) -> str:
    """Say what full marks on training images mean, if a network learns random labels so far."""
    if train_error <= LEARNT_ALL:
        return "Full marks on training images therefore say nothing of such a network."
    return "It does not learn just any labels, so what it learns of yours says something."
