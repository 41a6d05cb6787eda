"""Norms of codes, ways between codes, and the nearest image of a class."""

import math

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from whence.autoencoders import VAES
from whence.morphing import PATHS
from whence.morphing.interpolate import decode_path, linear, radial
from whence.morphing.nearest import nearest_of_class
from whence.morphing.norms import measure_norms


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# Ways between codes


def test_linear_by_hand():
    path = linear(torch.tensor([[0.0, 4.0, 1.0]]), torch.tensor([[2.0, 0.0, 1.0]]), steps=5)
    expected = [[0, 4, 1], [0.5, 3, 1], [1, 2, 1], [1.5, 1, 1], [2, 0, 1]]
    assert_close(path, torch.tensor([expected]))


def test_radial_by_hand():
    path = radial(torch.tensor([[0.0, 4.0]]), torch.tensor([[2.0, 0.0]]), steps=5)
    expected = [[2 * math.sqrt(i / 4), 4 * math.sqrt(1 - i / 4)] for i in range(5)]
    assert_close(path, torch.tensor([expected]))


@pytest.mark.parametrize("name", PATHS)
def test_paths_go_from_end_to_end(name):
    start, end = draw(3, 7), draw(3, 7, seed=1)
    path = PATHS[name](start, end, steps=6)
    assert path.shape == (3, 6, 7)
    assert_close(path[:, 0], start)
    assert_close(path[:, -1], end)
    assert_close(PATHS[name](end, start, steps=6), path.flip(1))
    assert_close(PATHS[name](start[1:2], end[1:2], steps=6), path[1:2])
    assert PATHS[name](start, end).shape == (3, 100, 7)
    assert PATHS[name](start.double(), end.double()).dtype == torch.float64
    assert_close(PATHS[name](start, end, steps=2), torch.stack([start, end], 1))


def test_norms_along_the_paths():
    """Figure 4.5: at a right angle the radial path keeps the norm, the linear one loses 0.29."""
    start, end = draw(4, 9).double(), draw(4, 9, seed=1).double()
    dot, share = (start * end).sum(1, keepdim=True), torch.linspace(0, 1, 5).double()
    one, other = (code.square().sum(1, keepdim=True) for code in (start, end))
    squared = (1 - share) * one + share * other + 2 * (share * (1 - share)).sqrt() * dot
    assert_close(radial(start, end, steps=5).norm(dim=2), squared.sqrt())
    right = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    assert_close(radial(*right, steps=9).norm(dim=2), torch.full((1, 9), 3.0))
    assert_close(linear(*right, steps=3).norm(dim=2)[0, 1], torch.tensor(3 / math.sqrt(2)))


@pytest.mark.parametrize("name", PATHS)
def test_paths_that_are_refused(name):
    with pytest.raises(ValueError, match="steps must be at least 2, got 1"):
        PATHS[name](draw(1, 2), draw(1, 2), steps=1)
    with pytest.raises(ValueError, match=r"end must be \(B, Z\) with Z=2, got shape \(1, 3\)"):
        PATHS[name](draw(1, 2), draw(1, 3))
    with pytest.raises(ValueError, match=r"start must be \(B, Z\), got shape \(2,\)"):
        PATHS[name](draw(2), draw(2))


def test_decoded_paths():
    torch.manual_seed(0)
    vae = VAES["residual"]((2, 8, 9), codes=3).eval()
    path = draw(4, 5, 3)
    decoded = decode_path(vae, path, batch_size=7)
    assert decoded.shape == (4, 5, 2, 8, 9)
    with torch.no_grad():
        assert_close(decoded[2, 3], vae.decode(path[2, 3][None])[0])
    with pytest.raises(ValueError, match=r"path must be \(B, S, Z\) with Z=3, got shape"):
        decode_path(vae, draw(4, 5, 2))


# Norms


def test_norms_by_hand():
    codes = torch.tensor([[3.0, 4.0], [0.0, 1.0], [6.0, 8.0], [0.0, 0.0], [5.0, 12.0]])
    found = measure_norms(codes, torch.tensor([2, 0, 2, 0, 3]), classes=5)
    assert_close(found.norms, torch.tensor([5.0, 1, 10, 0, 13]).double())
    assert found.counts.tolist() == [2, 0, 2, 1, 0]
    assert_close(
        found.means, torch.tensor([0.5, torch.nan, 7.5, 13, torch.nan]).double(), equal_nan=True
    )
    deviations = [math.sqrt(0.5), torch.nan, math.sqrt(12.5), 0.0, torch.nan]
    assert_close(found.deviations, torch.tensor(deviations).double(), equal_nan=True)
    assert found.labels.tolist() == [2, 0, 2, 0, 3]


def test_norms_class_by_class():
    codes, labels = 40 + draw(60, 6), torch.arange(60) % 4
    found = measure_norms(codes.requires_grad_(), labels, classes=4)
    for label in range(4):
        norms = codes.detach()[labels == label].norm(dim=1).double()
        assert_close(found.means[label], norms.mean(), rtol=1e-6, atol=0)
        assert_close(found.deviations[label], norms.std(), rtol=1e-4, atol=0)
    assert not found.norms.requires_grad


def test_norms_that_are_refused():
    with pytest.raises(ValueError, match=r"labels must be in 0 to 2, got 0 to 3"):
        measure_norms(draw(2, 3), torch.tensor([0, 3]), classes=3)
    with pytest.raises(ValueError, match=r"labels must be in 0 to 2, got -1 to 0"):
        measure_norms(draw(2, 3), torch.tensor([0, -1]), classes=3)
    with pytest.raises(ValueError, match=r"labels must be \(N\) with N=2, got shape \(3,\)"):
        measure_norms(draw(2, 3), torch.zeros(3).long(), classes=3)
    with pytest.raises(ValueError, match=r"codes must be \(N, Z\), got shape \(2,\)"):
        measure_norms(draw(2), torch.zeros(2).long(), classes=3)


# The nearest image of a class


def slowly(codes, wanted, stored, labels, leave_out=None):
    places, highest = [], []
    for row, code in enumerate(codes):
        best = (-2.0, -1)
        for place, other in enumerate(stored):
            if labels[place] != wanted[row] or (leave_out is not None and place in leave_out[row]):
                continue
            cosine = float(F.cosine_similarity(code, other, dim=0))
            if cosine > best[0] + 1e-6:
                best = (cosine, place)
        highest.append(best[0])
        places.append(best[1])
    return torch.tensor(places), torch.tensor(highest)


@pytest.mark.parametrize("block", [1, 3, 4, 100])
def test_the_nearest_is_found_exactly(block):
    codes, stored, labels = draw(9, 5), 3 * draw(31, 5, seed=1), torch.arange(31) % 3
    wanted, leave_out = torch.arange(9) % 2 + 1, [[], [4], [5, 9], [7], [8], [2], [1], [5], [4]]
    codes[3] = stored[7]  # left out, or it would be the nearest
    wanted[3] = 1
    found = nearest_of_class(codes, wanted, stored, labels, block=block)
    places, highest = slowly(codes, wanted, stored, labels)
    assert found.places.tolist() == places.tolist()
    assert found.places[3] == 7
    assert_close(found.similarities, highest)
    found = nearest_of_class(codes, wanted, stored, labels, leave_out=leave_out, block=block)
    places, highest = slowly(codes, wanted, stored, labels, leave_out)
    assert found.places.tolist() == places.tolist()
    assert found.places[3] != 7
    assert_close(found.similarities, highest)


@pytest.mark.parametrize("block", [1, 2, 9])
def test_of_equal_ones_the_first(block):
    stored = torch.tensor([[9.0, 0.0], [0.0, 1.0], [0.0, 2.0], [0.0, 7.0], [0.0, 0.0]])
    labels = torch.tensor([0, 1, 1, 1, 2])
    codes = torch.tensor([[0.0, 3.0], [0.0, 0.0], [1.0, 1.0]])
    found = nearest_of_class(codes, torch.tensor([1, 1, 2]), stored, labels, block=block)
    assert found.places.tolist() == [1, 1, 4]
    assert_close(found.similarities, torch.tensor([1.0, 0.0, 0.0]))


def test_classes_without_images_and_other_input_that_is_refused():
    codes, stored, labels = draw(2, 3), draw(4, 3), torch.tensor([0, 0, 1, 1])
    wanted = torch.tensor([1, 2])
    with pytest.raises(ValueError, match="Class 2 has no stored image to compare with; choose"):
        nearest_of_class(codes, wanted, stored, labels)
    with pytest.raises(ValueError, match="Class cow has no stored image"):
        nearest_of_class(codes, wanted, stored, labels, class_names=("ant", "bee", "cow"))
    alone = torch.tensor([0, 1, 0, 0])
    with pytest.raises(ValueError, match="Class 1 has no stored image"):  # all that is there is out
        nearest_of_class(codes, wanted.clamp(max=1), stored, alone, leave_out=[(1,), ()])
    with pytest.raises(ValueError, match=r"stored must be \(N, Z\) with Z=3, got shape \(4, 2\)"):
        nearest_of_class(codes, wanted, draw(4, 2), labels)
    with pytest.raises(ValueError, match=r"wanted must be \(B\) with B=2, got shape \(3,\)"):
        nearest_of_class(codes, torch.zeros(3), stored, labels)
    with pytest.raises(ValueError, match=r"labels must be \(N\) with N=4, got shape \(3,\)"):
        nearest_of_class(codes, wanted, stored, labels[:3])
    with pytest.raises(ValueError, match="leave_out must have an entry for each of 2 codes, got 1"):
        nearest_of_class(codes, wanted, stored, labels, leave_out=[()])
    with pytest.raises(ValueError, match="stored must be numbers, got NaN"):
        nearest_of_class(codes, wanted, stored * torch.nan, labels)
    with pytest.raises(ValueError, match="block must be at least 1, got 0"):
        nearest_of_class(codes, wanted, stored, labels, block=0)
