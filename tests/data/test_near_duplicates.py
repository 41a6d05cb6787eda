"""Images that look the same: hashes that stay, pairs that are found, and what is said."""

import builtins

import imagehash
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

import whence
from whence.data import hash_pairs
from whence.data.near_duplicates import hash_perceptually
from whence.gather import near_pairs
from whence.records.images import ImageSet
from whence.records.near_pairs import NearPair, NearPairs
from whence.report.near_pairs import show_near_pairs


@pytest.fixture
def smooth(rng):
    """Eight images of smooth noise, which look like nothing but themselves."""
    coarse = torch.rand(8, 1, 20, 20, generator=rng)
    return (F.interpolate(coarse, size=(64, 64), mode="bicubic").clamp(0, 1) * 220).to(torch.uint8)


def test_hashes_are_those_of_the_library(smooth):
    found = hash_perceptually(smooth)
    expected = imagehash.phash(Image.fromarray(smooth[3, 0].numpy()), hash_size=16).hash
    assert found.shape == (8, 256)
    assert found[3].tolist() == expected.ravel().tolist()
    assert hash_perceptually(smooth.float() / 255).equal(found)
    assert hash_perceptually(smooth.expand(8, 3, 64, 64)).equal(found)


def test_the_same_picture_brighter_or_smaller_is_found_and_another_is_not(smooth):
    brighter = (smooth[:1].float() * 1.1).to(torch.uint8)
    smaller = F.interpolate(F.avg_pool2d(smooth[1:2].float(), 2), size=(64, 64), mode="bilinear")
    images = torch.cat([smooth, brighter])
    stored = ImageSet(images, torch.arange(9) % 2, ("a", "b"), tuple(f"{k}.png" for k in range(9)))
    asked = ImageSet(smaller.to(torch.uint8), torch.tensor([0]), ("a", "b"))
    across, within = whence.find_near_duplicates(stored, measured=asked)
    assert (across.first, across.second, across.parts) == (1, 0, ("stored", "measured"))
    assert (across.names, across.labels) == (("1.png", "image 0"), ("b", "a"))
    assert across.across
    assert across.differ
    assert (within.first, within.second, within.across, within.differ) == (0, 8, False, False)
    assert whence.find_near_duplicates(stored) == (within,)


def test_without_the_library_it_says_what_is_missing(smooth, monkeypatch):
    load = builtins.__import__

    def refuse(name, *rest, **more):
        if name == "imagehash":
            raise ModuleNotFoundError(name)
        return load(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ModuleNotFoundError, match=r"ImageHash is needed: .*whence\[duplicates\]"):
        hash_perceptually(smooth)


class StoredBank:
    def __init__(self, images, labels):
        self.images, self.labels, self.sources = images, labels, None

    def __len__(self):
        return len(self.labels)


def test_pairs_of_a_run(smooth, monkeypatch):
    asked = ImageSet(smooth[[0, 0, 5]], torch.tensor([0, 1, 1]), ("a", "b"))
    bank = StoredBank(smooth[:4], torch.tensor([0, 1, 0, 1]))
    found = near_pairs.find_pairs_of_run(bank, asked, torch.tensor([1, 1, 1]))
    assert (found.measured, found.accuracy_of_others, found.reason) == (2, 1.0, None)
    assert [pair.across for pair in found.pairs] == [True, True, False]
    nothing = near_pairs.find_pairs_of_run
    assert "keeps no pixels" in nothing(None, asked, asked.labels).reason
    assert (
        "have no labels"
        in nothing(StoredBank(smooth[:1], torch.tensor([-1])), asked, asked.labels).reason
    )
    monkeypatch.setattr(hash_pairs, "MOST_PAIRS", 1)
    assert "too alike for a hash" in nothing(bank, asked, asked.labels).reason


def test_the_page_says_what_to_do():
    def pair(parts, labels, k):
        return NearPair(k, 0, parts, (f"{k}.png", "x.png"), labels, 4)

    pairs = (
        pair(("stored", "measured"), ("a", "a"), 1),
        pair(("stored", "stored"), ("a", "b"), 2),
        *(pair(("stored", "stored"), ("a", "a"), k) for k in range(3, 34)),
    )
    head, across, clash, alike = show_near_pairs(NearPairs(pairs, None, 1, 0.75))
    assert "33 pairs of images" in head.sentences[0]
    assert (
        "1 measured image looks like a stored one; of the others 75.0% are right"
        in head.sentences[0]
    )
    assert "column group" in across.sentences[0]
    assert clash.shown[0].rows[0].cells[0].text == "a / b"
    assert (len(alike.shown[0].rows), alike.shown[0].caption) == (30, "The first 30 of 31.")
    assert "No two images look the same" in show_near_pairs(NearPairs())[0].sentences[0]
    assert show_near_pairs(NearPairs(reason="Why."))[0].sentences == ("Why.",)
