from itertools import combinations

import pytest
import torch

import whence
from tests.helpers.explaining import build, build_with_memory, draw_images

IMAGES = draw_images(30, seed=6)


def answers_without(model, image, gone):
    return int(whence.edit(model, remove=list(gone))(image[None]).argmax())


def margin_without(model, image, gone, answer):
    logits = whence.edit(model, remove=list(gone))(image[None])[0]
    return float(logits[answer] - max(v for k, v in enumerate(logits.tolist()) if k != answer))


@pytest.mark.parametrize("variant", ["memory-wrap", "only-memory"])
def test_against_every_set_of_one_and_two(variant):
    """The slow way: edit the memory and ask again, for every set there is."""
    model = build_with_memory(9, variant, seed=1)
    indices = model.bank.indices.tolist()
    sizes = set()
    for image, removal in zip(IMAGES, whence.find_removals(model, IMAGES), strict=True):
        answer = int(model(image[None]).argmax())
        smallest = None
        for size in (1, 2):
            hits = {
                gone: becomes
                for gone in combinations(indices, size)
                if (becomes := answers_without(model, image, gone)) != answer
            }
            if hits:
                smallest = size
                break
        sizes.add(smallest)
        assert removal.searched == 2
        if smallest is None:
            assert removal.smallest is removal.smallest_becomes is None
        else:
            assert hits[tuple(sorted(removal.smallest))] == removal.smallest_becomes
            assert removal.removed == removal.smallest
            margins = {gone: margin_without(model, image, gone, answer) for gone in hits}
            assert min(margins, key=margins.get) == tuple(sorted(removal.smallest))
            assert removal.becomes == removal.smallest_becomes
    assert sizes >= {None, 1}, "the case is degenerate"


def test_every_set_is_irreducible():
    model = build_with_memory(40, seed=1)
    images = draw_images(60, seed=11)
    larger = none = 0
    for image, removal in zip(images, whence.find_removals(model, images), strict=True):
        answer = int(model(image[None]).argmax())
        if not removal.removed:
            assert removal.becomes is None
            assert "leaving out 39 one after another does not either" in removal.reason
            none += 1
            continue
        assert removal.reason is None
        assert removal.becomes != answer
        assert answers_without(model, image, removal.removed) == removal.becomes
        for back in removal.removed:
            rest = [index for index in removal.removed if index != back]
            assert not rest or answers_without(model, image, rest) == answer
        larger += len(removal.removed) > 2
    assert larger, "the case is degenerate"


def test_pairs_are_found_where_no_single_image_is_enough():
    """Two equal images of one class and one of another: both must go."""
    model = build_with_memory(3, "only-memory", seed=1)
    images = draw_images(400, seed=12)
    pairs = [r for r in whence.find_removals(model, images) if len(r.removed) == 2]
    assert pairs
    assert all(pair.smallest == pair.removed for pair in pairs)


def test_the_limit_stops_the_search_and_is_named():
    model = build_with_memory(40, seed=1)
    images = draw_images(60, seed=11)
    full = whence.find_removals(model, images)
    short = whence.find_removals(model, images, limit=3)
    assert any(len(one.removed) > 3 for one in full), "the case is degenerate"
    for one, other in zip(full, short, strict=True):
        assert one.smallest == other.smallest
        if not other.removed:
            assert "leaving out 3 one after another" in other.reason


def test_much_evidence_is_not_tried_in_pairs(monkeypatch):
    from whence.evidence import removal

    model = build_with_memory(40, seed=1)
    images = draw_images(60, seed=11)
    full = whence.find_removals(model, images)
    counts = [len(e.evidence) for e in whence.explain(model, images, draws=0)]
    monkeypatch.setattr(removal, "HEAVIEST", 6)
    found = whence.find_removals(model, images)
    assert min(counts) <= 6 < max(counts), "the case is degenerate"
    for one, other, size, image in zip(full, found, counts, images, strict=True):
        assert other.searched == (2 if size <= 6 else 1)
        if size <= 6 or len(one.removed) == 1:
            assert other.smallest == one.smallest
        else:
            assert other.smallest is None
        if other.removed:
            assert answers_without(model, image, other.removed) == other.becomes
        else:
            assert other.reason.startswith(
                "No one or two stored images change" if size <= 6 else "No stored image changes"
            )


def test_batches_do_not_matter():
    model = build_with_memory(20, seed=1)
    whole = whence.find_removals(model, IMAGES)
    assert whence.find_removals(model, IMAGES, batch_size=7) == whole
    assert whence.find_removals(model, IMAGES[:0]) == ()


def test_copies_of_the_image_are_left_out_of_the_search():
    model = build_with_memory(20, seed=1)
    stored = model.bank.images[3:9]
    for place, removal in enumerate(whence.find_removals(model, stored), 3):
        assert 10 * place + 7 not in removal.removed


def test_a_memory_of_one_cannot_be_emptied():
    model = build_with_memory(1)
    assert set(model(IMAGES).argmax(1).tolist()) > {0}, "the case is degenerate"
    for removal in whence.find_removals(model, IMAGES):
        assert removal.removed == ()
        assert removal.smallest is None
        assert removal.reason == "The memory holds one image only, nothing can be left out."


def test_bad_input():
    with pytest.raises(ValueError, match="standard model has no memory; nothing can be removed"):
        whence.find_removals(build("standard"), IMAGES)
    with pytest.raises(ValueError, match="limit must be at least 1, got 0"):
        whence.find_removals(build_with_memory(), IMAGES, limit=0)
    with pytest.raises(ValueError, match=r"images must be \(B, 1, 3, 4\)"):
        whence.find_removals(build_with_memory(), torch.zeros(3, 5))
    with pytest.raises(RuntimeError, match="no memory yet"):
        whence.find_removals(build(), torch.zeros(1, 1, 3, 4))
