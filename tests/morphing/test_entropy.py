"""Entropy along a path, and its correlation with gradients."""

import math

import pytest
import torch
from torch.testing import assert_close

from tests.helpers.morphing_parts import (
    CODES,
    build,
    build_vae,
    draw,
)
from whence.morphing.entropy import (
    Window,
    correlate,
    find_window,
    group_windows,
    measure_entropy,
    measure_path,
)
from whence.morphing.interpolate import decode_path, radial

# Entropy


def test_entropy_by_hand():
    logits = torch.tensor([[0.0, math.log(3), 9], [1, 1, 0], [0, 200, 0]])
    classes = torch.tensor([[0, 1], [1, 0], [0, 1]])
    expected = -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75))
    assert_close(measure_entropy(logits, classes), torch.tensor([expected, 1.0, 0.0]))
    with pytest.raises(ValueError, match=r"classes must be \(B, two\) with two=2"):
        measure_entropy(logits, torch.zeros(3, 3, dtype=torch.int64))


def test_the_window_by_hand():
    entropies = torch.tensor([[0.0, 0.5, 1.0, 0.5, 0], [1, 0, 0, 0, 1], [0, 0, 0, 0, 0]])
    window = find_window(entropies)
    deviation = math.sqrt((0.5 * 1 + 0.5 * 1) / 2)
    assert_close(window.mean[:2], torch.tensor([2.0, 2.0]).double())
    assert_close(window.deviation[:2], torch.tensor([deviation, 2.0]).double())
    assert_close(window.low[0], torch.tensor(2 - 1.96 * deviation).double())
    assert_close(window.high[0], torch.tensor(2 + 1.96 * deviation).double())
    assert math.isnan(window.mean[2])
    assert group_windows(window, 5) == ("center", "both", "none")
    sides = Window(*torch.tensor([[1.0, 3.0], [1, 1], [0.0, 2.0], [2.0, 4.0]]))
    assert group_windows(sides, 5) == ("left", "right")
    assert group_windows(sides, 3) == ("both", "right")


@pytest.mark.parametrize("variant", ["standard", "memory-wrap"])
def test_what_is_measured_along_a_path(variant):
    model, vae = build(variant, double=True), build_vae(double=True)
    path = decode_path(
        vae, radial(draw(3, CODES).double(), draw(3, CODES, seed=1).double(), steps=5)
    )
    classes = torch.tensor([[0, 2], [3, 1], [1, 0]])
    found = measure_path(model, path, classes, batch_size=4)
    for row in range(3):
        own, other = classes[row].tolist()
        for step in range(5):
            leaf = path[row, step][None].clone().requires_grad_()
            logits = model(leaf)[0]
            pair = torch.stack([logits[own], logits[other]]).softmax(0)
            pair[0].backward()
            entropy = -sum(p * math.log2(p) for p in pair.tolist() if p > 0)
            assert_close(found.entropies[row, step].item(), entropy)
            assert_close(found.probabilities[row, step], logits.softmax(0)[own].detach())
            assert_close(found.gradients[row, step], leaf.grad.norm())
    assert_close(found.window.mean, find_window(found.entropies).mean)
    assert float(found.gradients.max()) > 0
    with pytest.raises(ValueError, match=r"path must be \(B, S, C, H, W\) with C=2"):
        measure_path(model, path[:, :, 1:], classes)
    with pytest.raises(ValueError, match=r"classes must be \(B, two\) with B=3"):
        measure_path(model, path, classes[:2])


def test_the_correlation_and_its_interval():
    entropies = draw(9, 6).abs()
    gradients = entropies + draw(9, 6, seed=1)
    found = correlate(
        entropies, gradients, generator=torch.Generator().manual_seed(3), resamples=50
    )
    both = torch.stack([entropies.flatten(), gradients.flatten()]).double()
    assert found.value == pytest.approx(float(torch.corrcoef(both)[0, 1]))
    assert found.paths == 9
    drawn = torch.randint(9, (50, 9), generator=torch.Generator().manual_seed(3))
    values = []
    for rows in drawn:
        both = torch.stack([entropies[rows].flatten(), gradients[rows].flatten()]).double()
        values.append(torch.corrcoef(both)[0, 1])
    low, high = torch.stack(values).quantile(torch.tensor([0.025, 0.975]).double()).tolist()
    assert found.low == pytest.approx(low)
    assert found.high == pytest.approx(high)
    assert found.low < found.value < found.high


def test_correlations_that_are_refused(rng):
    with pytest.raises(ValueError, match="gradients must differ between steps, got a single value"):
        correlate(draw(2, 3), torch.ones(2, 3), generator=rng)
    with pytest.raises(ValueError, match="entropies must differ between steps"):
        correlate(torch.zeros(2, 3), draw(2, 3), generator=rng)
    with pytest.raises(ValueError, match=r"gradients must be \(B, S\) with S=3"):
        correlate(draw(2, 3), draw(2, 4), generator=rng)
