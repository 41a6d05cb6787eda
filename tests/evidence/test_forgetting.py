"""Forgetting is exact: after many edits a memory is, bit for bit, one that never held what went.

Images are encoded one by one, because rounding depends on what else is in a batch.
"""

import pytest
import torch

import whence
from whence.memory.bank import Bank

CLASSES = ("a", "b", "c")
TENSORS = ("features", "labels")


@pytest.mark.parametrize("variant", ["votes", "memory-wrap"])
def test_a_memory_that_forgot_equals_one_that_never_held_it(variant):
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (60, 1, 8, 8), generator=generator, dtype=torch.uint8)
    labels = torch.arange(60) % 3
    asked = torch.randint(0, 256, (40, 1, 8, 8), generator=generator, dtype=torch.uint8)
    model = whence.wrap("small_cnn", CLASSES, variant=variant, image_shape=(1, 8, 8)).eval()
    edited = model.remember(images[:24], labels[:24], batch_size=1)
    held = list(range(24))  # places in ``images`` of what is stored, in order
    of = dict(enumerate(held))  # and by dataset index
    for step in range(30):
        stored = edited.bank.indices.tolist()
        gone = [stored[int(i)] for i in torch.randperm(len(stored), generator=generator)[:4]]
        if step % 2:
            gone += [stored[-1]] if stored[-1] not in gone else []
        edited = whence.edit(edited, remove=gone)
        held = [of[one] for one in stored if one not in gone]
        free = [place for place in range(60) if place not in held]
        come = [free[int(i)] for i in torch.randperm(len(free), generator=generator)[:4]]
        edited = whence.edit(edited, add=(images[come], labels[come]), batch_size=1)
        of |= dict(zip(edited.bank.indices.tolist()[-4:], come, strict=True))
        held += come
    assert not set(edited.bank.indices.tolist()) & set(range(3))  # much has gone since
    fresh = whence.wrap("small_cnn", CLASSES, variant=variant, image_shape=(1, 8, 8)).eval()
    fresh.load_state_dict(model.state_dict())
    fresh.remember(images[held], labels[held], batch_size=1)
    assert_same_bank(edited.bank, fresh.bank)
    assert torch.equal(edited(asked), fresh(asked))
    first, second = whence.explain(edited, asked[:5]), whence.explain(fresh, asked[:5])
    for one, other in zip(first, second, strict=True):
        assert [item.weight for item in one.evidence] == [item.weight for item in other.evidence]
        assert torch.equal(one.probabilities, other.probabilities)


def assert_same_bank(one: Bank, other: Bank):
    for name in TENSORS:
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    assert one.hashes == other.hashes
