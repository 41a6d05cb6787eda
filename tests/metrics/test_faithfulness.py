"""Measures of faithfulness: files, table and oracles are the same, and what each measure owes."""

import inspect
import pkgutil

import pytest
import torch
from torch.testing import assert_close

from whence.metrics import faithfulness
from whence.metrics.faithfulness import FAITHFULNESS
from whence.metrics.faithfulness_measure import FaithfulnessMeasure
from whence.table import Table

ORACLES = {}  # measure -> the exact answer on a linear score: (weights, images, relevance) to (B,)


def check_measure(measure, oracle):
    """An exact answer on a linear score, the same for every image alone; nothing is changed."""
    rng = torch.Generator().manual_seed(0)
    weights = torch.randn(2, 3, 4, generator=rng, dtype=torch.float64)
    images = torch.rand(5, 2, 3, 4, generator=rng, dtype=torch.float64)
    relevance = (weights * images).sum(1)
    kept = images.clone(), relevance.clone()

    def score(some):
        return (some * weights).sum((1, 2, 3))

    found = measure(score, images, relevance)
    assert_close(found, oracle(weights, images, relevance))
    for row in range(5):
        assert_close(measure(score, images[[row]], relevance[[row]]), found[[row]])
    assert_close((images, relevance), kept, rtol=0, atol=0)
    assert measure.better in ("lower", "higher")
    parameters = [*inspect.signature(measure.compute).parameters.values()]
    assert [one.name for one in parameters[:3]] == ["score", "images", "relevance"]
    assert all(one.kind is one.KEYWORD_ONLY for one in parameters[3:])


def test_the_table_the_files_and_the_oracles_are_the_same():
    files = {module.name for module in pkgutil.iter_modules(faithfulness.__path__)}
    assert files == set(FAITHFULNESS) == set(ORACLES)


@pytest.mark.parametrize("name", FAITHFULNESS)
def test_a_measure_is_exact_on_a_linear_score(name):
    check_measure(FAITHFULNESS[name], ORACLES[name])


def first_pixel_drop(score, images, relevance, *, fill=0.0):
    """By how much the score falls when the most relevant pixel is filled; higher is better."""
    most = relevance.flatten(1).argmax(1)
    hidden = images.flatten(2).clone()
    hidden[torch.arange(len(images)), :, most] = fill
    return score(images) - score(hidden.view(images.shape))


FIRST_PIXEL_DROP = FaithfulnessMeasure(first_pixel_drop, better="higher")


def test_a_new_measure_is_a_file_a_line_and_an_oracle():
    table = Table("faithfulness measure", {"first_pixel_drop": f"{__name__}:FIRST_PIXEL_DROP"})
    check_measure(
        table["first_pixel_drop"], lambda weights, images, relevance: relevance.amax((1, 2))
    )
    with pytest.raises(
        ValueError, match=r"Unknown faithfulness measure 'drop'\. Choose from: first_"
    ):
        table.find("drop")


def test_a_measure_that_is_wrong_is_noticed():
    wrong = FaithfulnessMeasure(lambda score, images, relevance: score(images), better="lower")
    with pytest.raises(AssertionError):
        check_measure(wrong, lambda weights, images, relevance: relevance.amax((1, 2)))
