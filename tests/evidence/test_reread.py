"""Reading a memory without some of its images, against dense weights over all of it."""

import pytest
import torch
from torch.testing import assert_close

from whence.evidence import removal, reread
from whence.evidence.leave_one_out import leave_one_out
from whence.evidence.reread import Cached, answer_without, weigh_without
from whence.memory.attention import score
from whence.memory.bank import Bank
from whence.memory.feature_heads import OnlyMemory
from whence.memory.sparsemax import sparsemax

QUERIES, FEATURES, CLASSES = 6, 5, 3
MEMORIES = {
    "ordinary": lambda memory: memory,
    "ties and duplicates": lambda memory: memory.round(),
    "nearly equal": lambda memory: 1 + memory / 1000,
    "one stands out": lambda memory: torch.cat([memory[:1], 1 + memory[1:] / 1000]),
}
"""What the features of the stored images are like."""


def draw(size, *, kind="ordinary", similarity="cosine", masked=False, seed=0, double=False):
    """Draw features and a head with weights large enough for different answers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = OnlyMemory(FEATURES, CLASSES, similarity=similarity).requires_grad_(False)
        for parameter in head.parameters():
            parameter.mul_(4)
        queries, memory = torch.randn(QUERIES, FEATURES), torch.randn(size, FEATURES)
        kept = torch.rand(QUERIES, size).argsort(1)[:, :3]
    if double:  # so that rounding does not decide between images that are nearly equal
        head, queries, memory = head.double(), queries.double(), memory.double()
    memory = MEMORIES[kind](memory)
    scores = score(queries, memory, similarity=similarity)
    if masked:  # three images are left, or fewer
        scores = torch.full_like(scores, -torch.inf).scatter(1, kept, scores.gather(1, kept))
    logits = head.respond(queries, sparsemax(scores) @ memory)
    head.classifier[2].bias.sub_(logits.mean(0))  # no class rules
    return Cached(head, queries, memory, memory, scores)


def weigh_slowly(cached, row, gone):
    scores = cached.scores[row].clone()
    scores[list(gone)] = -torch.inf
    return sparsemax(scores)


def answer_slowly(cached, row, gone):
    vector = weigh_slowly(cached, row, gone) @ cached.memory
    return cached.head.respond(cached.queries[row][None], vector[None])[0]


def draw_sets(cached, sets, largest, *, seed=1):
    """Draw sets of images to leave out, among the most similar ones, one of them named twice."""
    generator = torch.Generator().manual_seed(seed)
    usable = int(cached.scores.isfinite().sum(1).min())
    rows = torch.randint(0, QUERIES, (sets,), generator=generator)
    ranked = cached.scores[rows].argsort(dim=1, descending=True)[:, : min(usable, 2 * largest)]
    ranked = ranked[:, torch.randperm(ranked.shape[1], generator=generator)]
    chosen = ranked[:, : min(largest, usable - 1)]
    return rows, torch.cat([chosen, chosen[:, :1]], dim=1)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("similarity", ["cosine", "l2", "dot"])
@pytest.mark.parametrize("kind", MEMORIES)
@pytest.mark.parametrize("size", [1, 2, 150])
def test_weights_and_answers_against_dense_ones(size, kind, similarity, masked, monkeypatch):
    monkeypatch.setattr(reread, "FIRST_LOOK", 3)
    cached = draw(size, kind=kind, similarity=similarity, masked=masked)
    for largest in (0, 1, 2, 9):
        rows, removed = draw_sets(cached, 11, largest)
        places, weights = weigh_without(cached.scores, rows, removed)
        found = torch.zeros(11, size).scatter_(1, places, weights)
        pairs = [*zip(rows.tolist(), removed.tolist(), strict=True)]
        assert_close(found, torch.stack([weigh_slowly(cached, *pair) for pair in pairs]))
        assert bool((places.diff(dim=1) > 0).all())
        logits = answer_without(cached, rows, removed, batch_size=4)
        expected = torch.stack([answer_slowly(cached, *pair) for pair in pairs])
        assert_close(logits, expected, rtol=1e-4, atol=1e-4)


def test_no_more_images_are_looked_at_than_needed(monkeypatch):
    monkeypatch.setattr(reread, "FIRST_LOOK", 3)
    scores = torch.full((2, 50), -9.0)
    scores[0, 7], scores[1, 40:45] = 0, 0

    def count(rows, removed):
        return weigh_without(scores, torch.tensor(rows), torch.tensor(removed))[0].shape[1]

    assert count([0], [[]]) == 3
    assert count([1], [[]]) == 12
    assert count([0, 1], [[0], [40]]) == 12
    assert count([0], [[7]]) == 50  # the others are alike


def test_an_image_left_out_does_not_end_the_look(monkeypatch):
    """The least similar image looked at has no weight, but only because it is left out."""
    monkeypatch.setattr(reread, "FIRST_LOOK", 3)
    scores = torch.tensor([[0.0, -0.1, -0.2, -0.3, -9.0]])
    places, weights = weigh_without(scores, torch.tensor([0]), torch.tensor([[2]]))
    assert places.tolist() == [[0, 1, 2, 3, 4]]
    assert_close(weights, torch.tensor([[1.4, 1.1, 0, 0.5, 0]]) / 3)


def test_the_first_look_of_its_own_size():
    cached = draw(3000)
    rows, removed = draw_sets(cached, 9, 2)
    places, weights = weigh_without(cached.scores, rows, removed)
    assert places.shape == (9, reread.FIRST_LOOK)
    pairs = zip(rows.tolist(), removed.tolist(), strict=True)
    dense = torch.stack([weigh_slowly(cached, *pair) for pair in pairs])
    assert_close(torch.zeros(9, 3000).scatter_(1, places, weights), dense)


@pytest.mark.parametrize("similarity", ["cosine", "l2", "dot"])
@pytest.mark.parametrize("kind", MEMORIES)
@pytest.mark.parametrize("size", [1, 2, 150])
def test_leave_one_out_against_dense_weights(size, kind, similarity, monkeypatch):
    monkeypatch.setattr(reread, "FIRST_LOOK", 3)
    cached = draw(size, kind=kind, similarity=similarity)
    read = reread.read_whole(cached)
    found = leave_one_out(cached, read, torch.arange(size), batch_size=7)
    for row, changes in enumerate(found):
        weights = read.weights[row]
        order = sorted(weights.nonzero()[:, 0].tolist(), key=lambda m: (-float(weights[m]), m))
        slow = [answer_slowly(cached, row, [m]) - read.logits[row] for m in order]
        assert_close(changes, torch.stack(slow), rtol=1e-4, atol=1e-4, equal_nan=True)


def measure_slowly(cached, row, gone, answer):
    """Subtract the best other logit from that of the answer; and say whether it is another."""
    logits = answer_slowly(cached, row, gone).tolist()
    margin = logits[answer] - max(v for k, v in enumerate(logits) if k != answer)
    return margin, logits.index(max(logits)) != answer


def search_slowly(cached, row, limit):
    """Search one set after the other, as ``find_removals`` says; places, or None."""
    answer = int(answer_slowly(cached, row, []).argmax())
    usable = int(cached.scores[row].isfinite().sum())
    first = list_active(cached, row, [])
    tried = [[(m,) for m in first] if usable > 1 else []]
    if usable > 2 and len(first) <= removal.HEAVIEST:
        tried.append([(m, n) for m in first for n in list_active(cached, row, [m])])
    for sets in tried:
        measured = [(*measure_slowly(cached, row, one, answer), one) for one in sets]
        hits = [(margin, sorted(one)) for margin, changed, one in measured if changed]
        if hits:
            return min(hits)[1], min(hits)[1]
    return None, search_greedily_and_slowly(cached, row, answer, min(limit, usable - 1))


def list_active(cached, row, gone):
    """List the images with a weight, the heaviest first."""
    weights = weigh_slowly(cached, row, gone)
    return sorted(weights.nonzero()[:, 0].tolist(), key=lambda m: (-float(weights[m]), m))


def search_greedily_and_slowly(cached, row, answer, limit):
    gone, changed = [], False
    while not changed:
        if len(gone) == limit:
            return None
        heaviest = sorted(list_active(cached, row, gone)[: removal.HEAVIEST])
        sets = [[*gone, m] for m in heaviest]
        gone = min(sets, key=lambda one: measure_slowly(cached, row, one, answer)[0])
        changed = measure_slowly(cached, row, gone, answer)[1]
    while len(gone) > 1:
        sets = [[n for n in gone if n != m] for m in gone]
        rest = min(sets, key=lambda one: measure_slowly(cached, row, one, answer)[0])
        if not measure_slowly(cached, row, rest, answer)[1]:
            break
        gone = rest
    return gone


def search(cached, *, limit, batch_size):
    numbers = torch.arange(len(cached.memory))
    hashes = tuple(map(str, numbers.tolist()))
    bank = Bank(cached.memory, numbers, numbers, numbers, hashes)
    return removal.search(cached, bank, limit=limit, batch_size=batch_size)


def same_features(cached, found, expected):
    """Compare sets; equal images are the same, since rounding decides between them."""
    if found is None or expected is None:
        return found is expected
    rows = [sorted(cached.memory[list(places)].tolist()) for places in (found, expected)]
    return rows[0] == rows[1]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("similarity", ["cosine", "l2", "dot"])
@pytest.mark.parametrize("kind", MEMORIES)
@pytest.mark.parametrize("size", [1, 2, 7, 60])
def test_removals_against_one_set_after_the_other(size, kind, similarity, masked, monkeypatch):
    monkeypatch.setattr(reread, "FIRST_LOOK", 3)
    monkeypatch.setattr(removal, "HEAVIEST", 8)
    cached = draw(size, kind=kind, similarity=similarity, masked=masked, double=True)
    for row, found in enumerate(search(cached, limit=4, batch_size=3)):
        smallest, removed = search_slowly(cached, row, 4)
        assert same_features(cached, found.smallest, smallest)
        assert same_features(cached, found.removed or None, removed)
        answer = int(answer_slowly(cached, row, []).argmax())
        if removed is not None:
            assert found.becomes == int(answer_slowly(cached, row, found.removed).argmax())
            assert found.becomes != answer


def test_the_strongest_change_wins_wherever_it_was_tried():
    """Pairs are tried a few at a time; a later one may change the answer more."""
    sizes = set()
    for seed in range(8):
        cached = draw(20, seed=seed)
        whole = search(cached, limit=1, batch_size=128)
        assert search(cached, limit=1, batch_size=1) == whole
        sizes |= {one.smallest and len(one.smallest) for one in whole}
    assert sizes == {None, 1, 2}, "the case is degenerate"


def test_the_heaviest_are_the_first_among_equal_weights(monkeypatch):
    monkeypatch.setattr(removal, "HEAVIEST", 3)
    places = torch.tensor([[2, 5, 6, 8, 9]])
    weights = torch.tensor([[0.1, 0.2, 0.1, 0.5, 0.1]])
    found = removal.keep_heaviest(places, weights)
    assert [column.tolist() for column in found] == [[[2, 5, 8]], weights[:, [0, 1, 3]].tolist()]
