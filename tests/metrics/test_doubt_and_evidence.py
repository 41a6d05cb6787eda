"""Measures of answers: against answers worked out by hand, slow loops and scikit-learn."""

import math
from dataclasses import fields
from itertools import permutations

import pytest
import torch
from sklearn.metrics import auc, roc_curve
from torch.testing import assert_close

from whence.memory.attention import score, weigh
from whence.memory.class_scores import ClassScores, sum_scores
from whence.memory.heads import Read
from whence.metrics import PROBABILITIES, SIGNALS, WITHOUT_MEMORY
from whence.metrics.doubt import LARGEST_GAP, measure_doubts, read_alone
from whence.metrics.evidence import MEASURES, measure_evidence
from whence.metrics.flag import (
    BINS,
    COVERAGES,
    auroc,
    expected_calibration_error,
    measure_flag,
    risk_at,
    risk_curve,
)
from whence.records.measures import EvidenceMeasures

# Signals of doubt

HAND = Read(
    torch.tensor([[math.log(2.0), math.log(6.0)], [0.0, 0.0], [50.0, 0.0]]),  # 1/4, 3/4
    torch.tensor([[0.5, 0.2, 0.3, 0.0], [0.1, 0.0, 0.0, 0.9], [0.0, 1.0, 0.0, 0.0]]),
    torch.tensor([[0.9, 0.6, 0.7, -0.2], [-0.1, -0.5, -0.9, 0.4], [0.1, 0.8, -0.3, 0.2]]),
)
BY_CLASS = ClassScores(
    torch.tensor([[0.9, 0.7], [0.4, -0.5], [0.2, -math.inf]]),
    torch.tensor([[1.0, 2.0], [0.5, 0.5], [-math.inf, 3.0]]),
    torch.tensor([0.75, -1.0, 1.00001]),
)
HAND = HAND._replace(by_class=BY_CLASS)
OWN = torch.tensor([0, 1, 1, 0])
BY_HAND = {  # predicted: 1, 0 (the first of two equal ones), 0
    "top_memory": [1, 0, 1],
    "softmax": [0.25, 0.5, math.exp(-50) / (1 + math.exp(-50))],
    "entropy": [
        -0.25 * math.log(0.25) - 0.75 * math.log(0.75),
        math.log(2),
        math.exp(-50) * 51,  # 50 from the class that is not predicted, 1 from the other
    ],
    "nearest": [-0.9, -0.4, -0.8],
    "class_mass": [0.5, 0, 1],
    "support": [3, 2, 1],
    "top_weight": [0.5, 0.1, 0],
    "key_distance": [0.25, 2, 0],
    "soft_votes": [1 / (1 + math.e), 0.5, 1],
    "similarity_gap": [0.9 - 0.7, -0.5 - 0.4, -LARGEST_GAP],
}


def test_every_signal_has_an_answer_by_hand():
    assert set(BY_HAND) == set(SIGNALS)
    assert set(WITHOUT_MEMORY) < set(SIGNALS)
    assert set(PROBABILITIES) == {"error_probability", "softmax"}


@pytest.mark.parametrize("name", SIGNALS)
def test_signals_by_hand(name):
    found = SIGNALS[name](HAND, OWN)
    assert_close(found, torch.tensor(BY_HAND[name], dtype=torch.float64), rtol=1e-6, atol=1e-7)
    if name in ("softmax", "entropy"):
        assert 0 < found[2] < 1e-18, "a very sure answer must not become 0"


def make_read(rng, size=6, memory=9, classes=4):
    queries, stored = torch.randn(size, 5, generator=rng), torch.randn(memory, 5, generator=rng)
    scores = score(queries, stored)
    own = torch.randint(0, classes, (memory,), generator=rng)
    sums = sum_scores(scores, torch.arange(memory) % classes, classes, 2.0)
    by_class = ClassScores(*sums, scores.amax(1) / 3)
    logits = torch.randn(size, classes, generator=rng)
    return Read(logits, weigh(scores), scores, by_class=by_class), own


def test_signals_done_slowly(rng):
    read, own = make_read(rng)
    found = dict(zip(SIGNALS, measure_doubts(read, own, tuple(SIGNALS)).unbind(1), strict=True))
    for row in range(6):
        p = read.logits[row].double().exp()
        p = p / p.sum()
        answer, w = int(p.argmax()), read.weights[row].tolist()
        scores = read.scores[row].tolist()
        soft = [math.exp(2 * one) for one in scores]
        expected = {
            "top_memory": float(int(own[w.index(max(w))]) != answer),
            "softmax": 1 - float(p.max()),
            "entropy": -sum(float(x) * math.log(x) for x in p),
            "nearest": -max(read.scores[row].tolist()),
            "class_mass": 1 - sum(x for x, k in zip(w, own.tolist(), strict=True) if k == answer),
            "support": sum(x > 0 for x in w),
            "top_weight": 1 - max(w),
            "key_distance": 1 - max(scores) / 3,
            "soft_votes": 1 - sum(soft[answer::4]) / sum(soft),
            "similarity_gap": max(s for j, s in enumerate(scores) if j % 4 != answer)
            - max(scores[answer::4]),
        }
        for name, value in expected.items():
            assert float(found[name][row]) == pytest.approx(value, abs=1e-6), name
    assert found["support"].min() < found["support"].max(), "pick a case with a spread"


def test_rounding_breaks_no_ties():
    weights = torch.tensor([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0], [0.1, 0.1, 0.8]])
    weights[1, 0] -= 6e-8
    read = Read(torch.tensor([[1.0, 0.0]]).expand(3, 2), weights, weights)
    found = measure_doubts(read, torch.tensor([0, 0, 0]), ("class_mass", "top_weight"))
    assert found[:, 0].tolist() == [0, 0, 0]
    assert found[:, 1].tolist() == pytest.approx([0.3, 0, 0.2], abs=1e-9)
    assert measure_doubts(read, torch.tensor([1, 1, 1]), ("class_mass",))[:, 0].tolist() == [
        1,
        1,
        1,
    ]


def test_columns_come_in_the_order_asked_for(rng):
    read, own = make_read(rng)
    whole = measure_doubts(read, own, ("support", "entropy", "nearest"))
    assert whole.dtype == torch.float64
    assert_close(whole.flip(1), measure_doubts(read, own, ("nearest", "entropy", "support")))
    assert measure_doubts(read, own, ()).shape == (6, 0)
    halves = [
        Read(*(t[part] for t in read[:3]), by_class=ClassScores(*(t[part] for t in read.by_class)))
        for part in (slice(2), slice(2, None))
    ]
    assert_close(
        torch.cat([measure_doubts(h, own, tuple(SIGNALS)) for h in halves])[:, 4], whole[:, 0]
    )


def test_without_a_memory(rng):
    read, own = make_read(rng)
    alone = measure_doubts(read_alone(read.logits), own[:0], WITHOUT_MEMORY)
    assert_close(alone, measure_doubts(read, own, WITHOUT_MEMORY))
    for name in set(SIGNALS) - set(WITHOUT_MEMORY):
        with pytest.raises(
            ValueError, match=f"{name} needs a memory, and a standard model has none"
        ):
            measure_doubts(read_alone(read.logits), own[:0], (name,))


def test_a_mask_hides_the_nearest_image(rng):
    scores = HAND.scores.clone()
    scores[0, 0] = -torch.inf
    found = measure_doubts(HAND._replace(scores=scores), OWN, ("nearest",))[:, 0]
    assert_close(found, torch.tensor([-0.7, -0.4, -0.8], dtype=torch.float64), rtol=0, atol=1e-7)


def test_signals_refuse(rng):
    read, own = make_read(rng)
    with pytest.raises(
        ValueError, match=r"Unknown signal of doubt 'suport'\. Choose from: softmax"
    ):
        measure_doubts(read, own, ("suport",))
    with pytest.raises(ValueError, match=r"own must be \(M\) with M=9, got shape \(8,\)"):
        measure_doubts(read, own[:8], ("support",))
    with pytest.raises(ValueError, match=r"weights must be \(B, M\) with B=5, got shape \(6, 9\)"):
        measure_doubts(read._replace(logits=read.logits[:5]), own, ("support",))
    with pytest.raises(ValueError, match=r"scores must be \(B, M\) with M=9, got shape \(6, 7\)"):
        measure_doubts(read._replace(scores=read.scores[:, :7]), own, ("support",))


# How well a signal finds errors


@pytest.fixture(params=[0, 1, 2])
def doubts_and_errors(request):
    """Random ones; the second has many ties, the third is tied throughout."""
    rng = torch.Generator().manual_seed(3)
    doubts = torch.rand(43, generator=rng)
    doubts = [doubts, (doubts * 5).round(), torch.ones(43)][request.param]
    return doubts, torch.rand(43, generator=rng) < 0.3


def test_auroc_is_the_chance_that_a_wrong_answer_is_more_doubtful(doubts_and_errors):
    doubts, errors = doubts_and_errors
    wrong, right = doubts[errors].tolist(), doubts[~errors].tolist()
    pairs = [(w > r) + 0.5 * (w == r) for w in wrong for r in right]
    assert auroc(doubts, errors) == pytest.approx(sum(pairs) / len(pairs))
    false, true, _ = roc_curve(errors.numpy(), doubts.numpy())
    assert auroc(doubts, errors) == pytest.approx(auc(false, true))
    assert auroc(-doubts, errors) == pytest.approx(1 - auroc(doubts, errors))


def test_auroc_of_one_kind_only():
    doubts = torch.tensor([0.1, 0.2])
    assert auroc(doubts, torch.tensor([True, True])) is None
    assert auroc(doubts, torch.tensor([False, False])) is None


def test_calibration_error_by_hand():
    """Bins are a fifteenth wide: 0 and 0.06 share one, 1/15 begins the next, 1 is in the last."""
    probabilities = torch.tensor([0.0, 0.06, 1 / 15, 0.1, 1.0, 0.95], dtype=torch.float64)
    errors = torch.tensor([True, False, False, False, True, False])
    expected = (abs(0.06 - 1) + (1 / 15 + 0.1) + abs(1.95 - 1)) / 6
    assert expected_calibration_error(probabilities, errors) == pytest.approx(expected)


def test_calibration_error_done_slowly(rng):
    """In the words of the paper: confidence and accuracy, bins ((m - 1) / 15, m / 15]."""
    probabilities = torch.rand(211, generator=rng, dtype=torch.float64)
    errors = torch.rand(211, generator=rng) < probabilities**2
    total = 0.0
    for m in range(1, BINS + 1):
        inside = [
            i for i, p in enumerate(probabilities.tolist()) if (m - 1) / BINS < 1 - p <= m / BINS
        ]
        if inside:
            accuracy = sum(not errors[i] for i in inside) / len(inside)
            confidence = sum(1 - float(probabilities[i]) for i in inside) / len(inside)
            total += len(inside) / 211 * abs(accuracy - confidence)
    assert expected_calibration_error(probabilities, errors) == pytest.approx(total)
    assert total > 0.05


def test_a_calibrated_probability_has_no_calibration_error():
    probabilities, errors = torch.full((8,), 0.25), torch.tensor([True, False, False, False] * 2)
    assert expected_calibration_error(probabilities, errors) == 0
    assert expected_calibration_error(1 - probabilities, errors) == pytest.approx(0.5)


def test_risk_curve_is_the_mean_over_every_order_of_ties():
    doubts = torch.tensor([0.3, 0.1, 0.3, 0.2, 0.3])
    errors = torch.tensor([True, False, False, True, False])
    curves = []
    for order in permutations(range(5)):
        ordered = sorted(order, key=lambda i: float(doubts[i]))
        wrong = [bool(errors[i]) for i in ordered]
        curves.append([sum(wrong[: k + 1]) / (k + 1) for k in range(5)])
    expected = torch.tensor(curves, dtype=torch.float64).mean(0)
    assert_close(risk_curve(doubts, errors), expected, rtol=1e-14, atol=0)
    assert_close(expected, torch.tensor([0, 1 / 2, 4 / 9, 5 / 12, 2 / 5], dtype=torch.float64))


def test_risk_does_not_depend_on_the_order_of_the_images(doubts_and_errors, rng):
    doubts, errors = doubts_and_errors
    order = torch.randperm(43, generator=rng)
    risks = risk_curve(doubts, errors)
    assert_close(risk_curve(doubts[order], errors[order]), risks, rtol=0, atol=0)
    assert float(risks[-1]) == int(errors.sum()) / 43
    if len(doubts.unique()) == 1:
        assert_close(risks, risks[-1:].expand(43))


def test_risk_is_read_where_enough_images_are_kept():
    risks = torch.arange(20.0)
    assert [risk_at(risks, share) for share in COVERAGES] == [9, 15, 17, 18, 19]
    assert [risk_at(risks[:3], share) for share in COVERAGES] == [1, 2, 2, 2, 2]
    assert risk_at(risks, 1e-9) == 0


def test_flag_quality(doubts_and_errors):
    doubts, errors = doubts_and_errors
    found = measure_flag(doubts, errors, probability=False)
    risks = risk_curve(doubts, errors)
    assert found.ece is None
    assert found.auroc == auroc(doubts, errors)
    assert found.aurc == pytest.approx(sum(risks.tolist()) / 43)
    assert found.risk_coverage == {share: risk_at(risks, share) for share in COVERAGES}
    shares = doubts / doubts.max()
    assert measure_flag(shares, errors, probability=True).ece == expected_calibration_error(
        shares, errors
    )


def test_an_oracle_flag_is_the_best_there_is():
    errors = torch.tensor([False] * 8 + [True] * 2)
    best, worst = (
        measure_flag(d, errors, probability=False) for d in (errors * 1.0, errors * -1.0)
    )
    assert (best.auroc, worst.auroc) == (1, 0)
    assert best.risk_coverage[0.8] == 0
    assert best.aurc == pytest.approx((1 / 9 + 2 / 10) / 10)
    assert worst.aurc == pytest.approx((2 + sum(2 / k for k in range(3, 11))) / 10)


@pytest.mark.parametrize("measure", [auroc, expected_calibration_error, risk_curve])
def test_flags_refuse(measure):
    doubts, errors = torch.tensor([0.5, 0.25, 0.75]), torch.tensor([True, False, True])
    with pytest.raises(ValueError, match=r"errors must be \(N\) with N=3, got shape \(2,\)"):
        measure(doubts, errors[:2])
    with pytest.raises(ValueError, match=r"doubts must be \(N\), got shape \(3, 1\)"):
        measure(doubts[:, None], errors)
    with pytest.raises(TypeError, match=r"errors must be bool, True where .* got torch.int64"):
        measure(doubts, errors.long())
    with pytest.raises(ValueError, match="doubts must be of at least one image, got none"):
        measure(doubts[:0], errors[:0])
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match="doubts must be finite numbers, got NaN or infinity"):
            measure(torch.tensor([0.5, value, 0.1]), errors)


def test_what_is_no_probability_has_no_calibration():
    with pytest.raises(ValueError, match=r"probabilities must be in \[0, 1\], got 0.5 to 1.5"):
        expected_calibration_error(torch.tensor([0.5, 1.5]), torch.tensor([True, False]))
    with pytest.raises(ValueError, match=r"probabilities must be in \[0, 1\], got -0.5 to 0.5"):
        expected_calibration_error(torch.tensor([0.5, -0.5]), torch.tensor([True, False]))


# Evidence


def test_evidence_by_hand():
    hits = torch.tensor([True, True, False, False, True])
    agrees = torch.tensor([True, True, True, False, False])
    purity = torch.tensor([1.0, 0.5, 0.25, 0.0, 0.5])
    support = torch.tensor([1, 9, 3, 4, 3])
    assert measure_evidence(hits, agrees, purity, support) == EvidenceMeasures(
        explanation_accuracy=0.6,
        example_accuracy=pytest.approx(2 / 3),
        counterfactual_accuracy=0.5,
        purity=0.45,
        support_size=4.0,
        support_size_median=3.0,
    )
    assert measure_evidence(hits[:4], agrees[:4], None, support[:4]).support_size_median == 3.5
    bare = measure_evidence(hits, agrees | True)
    assert (bare.counterfactual_accuracy, bare.purity, bare.support_size) == (None, None, None)
    assert measure_evidence(hits, agrees & False).example_accuracy is None


def test_a_chance_of_agreement_is_what_many_draws_give():
    """Every image three times, with one, two or none of three draws in agreement."""
    hits = torch.tensor([True, False, True, False])
    drawn = torch.tensor([[True, False, False], [True, True, False], [False] * 3, [True] * 3])
    found = measure_evidence(hits, drawn.double().mean(1))
    expected = measure_evidence(hits.repeat_interleave(3), drawn.flatten())
    for name in ("explanation_accuracy", "example_accuracy", "counterfactual_accuracy"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name)), name
    assert (found.example_accuracy, found.counterfactual_accuracy) == pytest.approx((1 / 6, 5 / 6))


def test_every_measure_has_a_text():
    assert list(MEASURES) == [field.name for field in fields(EvidenceMeasures)]


def test_evidence_refuses():
    hits, agrees = torch.tensor([True, False]), torch.tensor([True, True])
    with pytest.raises(ValueError, match=r"agrees must be \(N\) with N=2, got shape \(1,\)"):
        measure_evidence(hits, agrees[:1])
    with pytest.raises(ValueError, match=r"purity must be \(N\) with N=2, got shape \(3,\)"):
        measure_evidence(hits, agrees, torch.ones(3))
    with pytest.raises(ValueError, match=r"support must be \(N\) with N=2, got shape \(1,\)"):
        measure_evidence(hits, agrees, None, torch.ones(1))
    with pytest.raises(ValueError, match="hits must hold at least one image, got none"):
        measure_evidence(hits[:0], agrees[:0])
