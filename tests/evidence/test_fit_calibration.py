"""From signals of doubt to the probability of an error: the formula, and how it is fitted."""

import math

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.testing import assert_close

from whence.evidence.calibrate import LEAST, fit_calibration
from whence.metrics import SIGNALS
from whence.models.calibration import PREPARED, error_probability, prepare
from whence.records.measures import Calibration

# The formula


def test_error_probability_by_hand():
    calibration = Calibration(
        names=("support", "softmax", "nearest"),
        means=(1.0, -2.0, 0.5),
        scales=(2.0, 4.0, 0.25),
        coefficients=(3.0, -1.0, 0.5),
        intercept=-0.75,
        images=50,
        errors=9,
    )
    signals = torch.tensor([[7.0, 0.2, -0.5], [1.0, 0.0, 0.5]], dtype=torch.float64)
    first = -0.75 + 3 * (math.log(7) - 1) / 2 - (math.log(0.2 / 0.8) + 2) / 4 + 0.5 * -1.0 / 0.25
    second = -0.75 + 3 * (0 - 1) / 2 - (math.log(1e-9) + 2) / 4 + 0
    expected = [1 / (1 + math.exp(-z)) for z in (first, second)]
    assert error_probability(calibration, signals).tolist() == pytest.approx(expected)
    with pytest.raises(ValueError, match=r"signals must be \(B, S\) with S=3, got shape \(2, 2\)"):
        error_probability(calibration, signals[:, :2])


def test_prepared_signals_are_finite_at_their_ends():
    assert set(PREPARED) < set(SIGNALS)
    ends = torch.tensor([[0.0, 0.0, 1.0], [1.0, 3.0, 9.0]])
    found = prepare(ends, ("softmax", "entropy", "support"))
    assert_close(found[0], torch.tensor([math.log(1e-9), math.log(1e-9), 0], dtype=torch.float64))
    assert_close(
        found[1], torch.tensor([-math.log(1e-9), math.log(3), math.log(9)], dtype=torch.float64)
    )
    assert_close(prepare(ends[:, 1:2], ("nearest",)), ends[:, 1:2].double())


# The fit


@pytest.fixture
def signals(rng):
    """Doubts of 90 answers, and errors that follow the second of them."""
    doubts = torch.rand(90, 3, generator=rng, dtype=torch.float64) * torch.tensor([1.0, 4.0, 0.1])
    errors = torch.rand(90, generator=rng) < doubts[:, 1] / 5
    return doubts, errors


KINDS = ("top_weight", "nearest", "entropy")


def test_fit_is_the_penalised_maximum_of_the_likelihood(signals):
    """Newton's steps on the log-loss plus half the squared coefficients, written out."""
    doubts, errors = signals
    found = fit_calibration(doubts, errors, KINDS)
    columns = torch.stack([doubts[:, 0], doubts[:, 1], doubts[:, 2].log()], 1)
    means, scales = columns.mean(0), (columns - columns.mean(0)).square().mean(0).sqrt()
    design = torch.cat([(columns - means) / scales, torch.ones(90, 1)], 1).double()
    penalty = torch.diag(torch.tensor([1.0, 1.0, 1.0, 0.0], dtype=torch.float64))
    solution = torch.zeros(4, dtype=torch.float64)
    for _ in range(30):
        p = (design @ solution).sigmoid()
        slope = design.T @ (p - errors.double()) + penalty @ solution
        curvature = design.T @ ((p * (1 - p))[:, None] * design) + penalty
        solution = solution - torch.linalg.solve(curvature, slope)
    assert found.names == KINDS
    assert found.means == pytest.approx(means.tolist())
    assert found.scales == pytest.approx(scales.tolist())
    assert found.coefficients == pytest.approx(solution[:3].tolist(), abs=1e-4)
    assert found.intercept == pytest.approx(float(solution[3]), abs=1e-4)
    assert (found.images, found.errors) == (90, int(errors.sum()))
    assert found.coefficients[1] > 0.5 > abs(found.coefficients[0])


def test_probabilities_average_to_the_share_of_errors(signals):
    doubts, errors = signals
    found = error_probability(fit_calibration(doubts, errors, KINDS), doubts)
    assert float(found.mean()) == pytest.approx(float(errors.double().mean()), abs=1e-5)
    assert found[errors].mean() > found[~errors].mean() + 0.05


@pytest.mark.parametrize("noise", [0, 1e-8])
def test_a_signal_that_never_changes_counts_nothing(signals, noise):
    doubts, errors = signals
    doubts[:, 0] = 0.1 + noise * errors
    found = fit_calibration(doubts, errors, KINDS)
    assert (found.scales[0], found.coefficients[0]) == (1.0, pytest.approx(0, abs=1e-9))
    other = doubts.clone()
    other[:, 0] = 0.9
    assert_close(error_probability(found, other), error_probability(found, doubts))


@pytest.mark.parametrize("kind", [True, False])
def test_too_few_of_a_kind(signals, kind):
    doubts, _ = signals
    rare = torch.arange(90) < LEAST
    errors = rare if kind else ~rare
    assert fit_calibration(doubts, errors, KINDS).errors == (LEAST if kind else 90 - LEAST)
    assert fit_calibration(doubts[1:], errors[1:], KINDS) is None
    assert fit_calibration(doubts[1:], errors[1:] & False, KINDS) is None


@pytest.mark.parametrize("kind", [True, False])
@pytest.mark.parametrize(("rarer", "kept"), [(5, 1), (19, 1), (20, 2), (29, 2), (30, 3), (45, 3)])
def test_few_of_a_kind_fit_few_signals(rng, kind, rarer, kept):
    errors = (torch.arange(90) < rarer) == kind
    doubts = 1.5 * errors[:, None] + torch.randn(90, 3, generator=rng, dtype=torch.float64)
    doubts[:, 2] = doubts[:, 2].exp()  # all three say something, each of its own
    found = fit_calibration(doubts, errors, KINDS)
    assert found == fit_calibration(doubts[:, :kept], errors, KINDS[:kept])
    assert found.names == KINDS[:kept]
    assert len(found.coefficients) == len(found.means) == kept


def test_signals_that_do_not_help_on_other_images_are_left_out(rng):
    """The losses of images that a fit has not seen, fold by fold."""
    errors = torch.arange(200) % 4 == 0
    doubts = torch.randn(200, 3, generator=rng, dtype=torch.float64)
    doubts[:, 0] += 2 * errors
    found = fit_calibration(doubts, errors, ("nearest", "top_weight", "class_mass"))
    assert found.names == ("nearest",)
    alone = fit_calibration(doubts[:, :1], errors, ("nearest",))
    assert found.coefficients == pytest.approx(alone.coefficients)
    losses = []
    for count in (1, 2, 3):
        loss, folds = 0.0, torch.empty(200, dtype=torch.int64)
        for kind in (True, False):  # each kind is cut into five parts, one after the other
            places = (errors == kind).nonzero()[:, 0]
            folds[places] = torch.arange(5).repeat_interleave(len(places) // 5)
        for fold in range(5):
            fitted = LogisticRegression(tol=1e-8, max_iter=1000)
            columns = (doubts[:, :count] - doubts[:, :count].mean(0)) / doubts[:, :count].std(
                0, correction=0
            )
            fitted.fit(columns[folds != fold].numpy(), errors[folds != fold].numpy())
            told = torch.from_numpy(fitted.predict_proba(columns[folds == fold].numpy())[:, 1])
            wrong = errors[folds == fold]
            loss -= float(torch.where(wrong, told.log(), (1 - told).log()).sum())
        losses.append(loss / 200)
    assert losses[0] == min(losses)
    doubts[:, 2] += 2 * errors
    found = fit_calibration(doubts, errors, ("nearest", "top_weight", "class_mass"))
    assert found.names == ("nearest", "top_weight", "class_mass")  # the third helps


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_signals_must_be_finite(signals, value):
    doubts, errors = signals
    doubts[3, 1] = value
    with pytest.raises(ValueError, match="signals of doubt must be finite numbers, got NaN or inf"):
        fit_calibration(doubts, errors, KINDS)
