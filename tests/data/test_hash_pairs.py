"""Pairs of hashes that differ in few bits: all of them, and no others."""

import pytest
import torch

from whence.data import hash_pairs
from whence.data.hash_pairs import pair_hashes


def differ(*bits):
    """The places of 256 at which a hash is changed."""
    return torch.isin(torch.arange(256), torch.tensor(bits))


def count_all(hashes, others):
    """Compare every two."""
    distances = (hashes[:, None] != others).sum(2)
    return [(a, b, int(distances[a, b])) for a, b in (distances <= 12).nonzero().tolist()]


def test_pairs_are_those_of_counting(rng):
    hashes = torch.rand(30, 256, generator=rng) > 0.5
    hashes[7] = hashes[3]
    hashes[9] = hashes[3] ^ (torch.arange(256) < 12)
    hashes[11] = hashes[3] ^ (torch.arange(256) >= 243)  # 13 bits
    assert pair_hashes(hashes) == [(3, 7, 0), (3, 9, 12), (7, 9, 12)]
    assert pair_hashes(hashes[:5], hashes) == [
        *((k, k, 0) for k in range(3)),
        (3, 3, 0),
        (3, 7, 0),
        (3, 9, 12),
        (4, 4, 0),
    ]
    assert pair_hashes(hashes[:0]) == pair_hashes(hashes, hashes[:0]) == []
    assert pair_hashes(hashes[:1]) == []


def test_close_hashes_are_found_wherever_they_differ(rng, monkeypatch):
    monkeypatch.setattr(hash_pairs, "HASHES_AT_ONCE", 7)
    base = torch.rand(6, 256, generator=rng) > 0.5
    hashes = base.repeat(8, 1) ^ (torch.rand(48, 256, generator=rng) < 0.03)
    pairs = pair_hashes(hashes)
    assert pairs == [pair for pair in count_all(hashes, hashes) if pair[0] < pair[1]]
    assert len(pairs) > 20
    assert pair_hashes(hashes[:9], hashes[9:]) == count_all(hashes[:9], hashes[9:])


def test_one_bit_in_every_part_but_the_last_is_still_found(rng):
    one = torch.rand(1, 256, generator=rng) > 0.5
    for spared in range(13):
        changed = differ(*(place for place in range(13) if place != spared))
        assert pair_hashes(one, one ^ changed) == [(0, 0, 12)]


def test_one_planted_pair_among_many_images_is_found_without_comparing_all(rng, monkeypatch):
    hashes = torch.randint(0, 256, (12_000, 32), generator=rng, dtype=torch.uint8)
    hashes = (hashes[..., None] >> torch.arange(8) & 1).bool().flatten(1)
    hashes[11_999] = hashes[40] ^ differ(3, 77, 140, 200)
    compared = []
    share = hash_pairs.share_key
    monkeypatch.setattr(hash_pairs, "share_key", lambda *keys: watch(share(*keys), compared))
    assert pair_hashes(hashes) == [(40, 11_999, 4)]
    assert sum(compared) < 12_000**2 / 200


def watch(pairs, compared):
    for rows, columns in pairs:
        compared.append(len(rows))
        yield rows, columns


def test_images_that_are_all_alike_are_refused_before_they_are_listed():
    with pytest.raises(ValueError, match="fewer than 100,000 near-duplicates to be listed"):
        pair_hashes(torch.zeros(448, 256, dtype=torch.bool))  # 100,128 pairs
    assert len(pair_hashes(torch.zeros(400, 256, dtype=torch.bool))) == 400 * 399 // 2
    with pytest.raises(ValueError, match="too alike"):
        pair_hashes(*torch.zeros(2, 317, 256, dtype=torch.bool))  # 100,489 pairs
