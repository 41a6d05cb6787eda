"""Two models on the same images: what is shared, what moved, and drift, each against a slow way."""

import pytest
import torch

import whence
from tests.helpers.deciding import make
from tests.helpers.deploying import give_calibration
from tests.helpers.explaining import build, draw_images
from whence.gather.compared import compare_runs
from whence.gather.drift import (
    compare_distances,
    nearest_of_images,
    nearest_of_stored,
    share_beyond,
)

IMAGES = draw_images(30, seed=6)
NAMES = [f"{n}.png" for n in range(30)]
TRUTHS = [n % 3 for n in range(30)]


def compare(first, second=None, truths=TRUTHS, **options):
    models = {"old": first} if second is None else {"old": first, "new": second}
    return compare_runs(models, IMAGES, NAMES, truths, data="set", **options)


def test_a_run_is_like_itself():
    found = compare(make("votes"), make("votes"))
    assert found.changed == ()
    assert all(one.shared == pytest.approx(1, abs=1e-6) for one in found.answers)
    assert (found.both, found.came_count, found.went_count) == (12, 0, 0)
    assert found.sides[0].accuracy == found.sides[1].accuracy


@pytest.mark.parametrize("variant", ["votes", "memory-wrap"])
def test_weight_shared_is_the_smaller_weight_of_each_stored_image(variant):
    first = make(variant)
    gone = sorted(first.bank.indices[[0, 3, 7, 8]].tolist())
    second = whence.edit(first, remove=gone)
    found = compare(first, second)
    assert (found.both, found.came_count, found.went_count) == (8, 0, 4)
    assert sorted(one.index for one in found.went) == gone
    before, after = whence.predict(first, IMAGES), whence.predict(second, IMAGES)
    for one, a, b in zip(found.answers, before, after, strict=True):
        mine, theirs = ({e.index: e.weight for e in x.evidence} for x in (a, b))
        wanted = sum(min(mine[key], theirs[key]) for key in mine.keys() & theirs.keys())
        assert one.shared == pytest.approx(wanted, abs=1e-6)
        assert one.answers == (a.predicted, b.predicted)
    assert any(one.shared < 0.99 for one in found.answers)
    assert any(one.shared > 0.01 for one in found.answers)
    used = {one.index: one.weight for one in found.went}
    for index in gone:
        total = sum(e.weight for a in before for e in a.evidence if e.index == index)
        assert used[index] == pytest.approx(total, abs=1e-5)
    weights = [one.weight for one in found.went]
    assert weights == sorted(weights, reverse=True)
    came = compare(second, first)
    assert (came.came_count, came.went_count) == (4, 0)


def test_corrected_labels_are_found_and_the_most_used_first():
    first = make("votes")
    places = [2, 5, 9]
    indices = first.bank.indices[places].tolist()
    old = first.bank.labels[places].tolist()
    new = {index: (label + 1) % 3 for index, label in zip(indices, old, strict=True)}
    second = whence.edit(first, relabel=new)
    found = compare(first, second)
    assert (found.both, found.came_count, found.went_count) == (12, 0, 0)
    assert found.relabelled_count == 3
    assert {one.index: one.label for one in found.relabelled} == new
    assert {one.index: one.was for one in found.relabelled} == dict(zip(indices, old, strict=True))
    after = whence.predict(second, IMAGES)
    weights = [one.weight for one in found.relabelled]
    assert weights == sorted(weights, reverse=True)
    for one in found.relabelled:
        total = sum(e.weight for a in after for e in a.evidence if e.index == one.index)
        assert one.weight == pytest.approx(total, abs=1e-5)
    back = compare(second, first)
    assert {one.index: one.label for one in back.relabelled} == dict(zip(indices, old, strict=True))


def test_an_image_that_is_stored_twice_has_each_of_its_labels():
    first = build("votes")
    images = draw_images(6, seed=3)
    images[1] = images[0]
    first.remember(images, torch.tensor([0, 1, 2, 0, 1, 2]))
    assert compare(first, first).relabelled == ()


def test_classes_in_another_order_are_the_same_classes():
    first = make("votes")
    second = build("votes")
    second.class_names = ("cow", "ant", "bee")
    bank = first.bank
    second.remember(bank.images, (bank.labels + 1) % 3)
    found = compare(first, second)
    assert found.changed == ()
    assert found.sides[1].accuracy == found.sides[0].accuracy
    assert found.came == found.relabelled == ()
    other = make("standard")
    other.class_names = ("a", "b", "c")
    with pytest.raises(
        ValueError, match="classes, the first alone has a, b, c and new alone has cow"
    ):
        compare(other, second)
    other.class_names = ("ant", "bee", "dog", "cow")
    with pytest.raises(ValueError, match=r"same classes, the first alone has dog\.$"):
        compare(other, second)


def test_measures_are_those_of_the_answers():
    model = give_calibration(make("memory-wrap"))
    found = compare(model, make("standard"))
    answers = whence.predict(model, IMAGES)
    hits = [a.predicted == t for a, t in zip(answers, TRUTHS, strict=True)]
    first, second = found.sides
    assert first.accuracy == pytest.approx(sum(hits) / 30)
    assert first.errors == pytest.approx(1 - sum(hits) / 30)
    recalls = [sum(hits[k::3]) / 10 for k in range(3)]
    assert first.balanced_accuracy == pytest.approx(sum(recalls) / 3)
    assert first.doubt == pytest.approx(sum(a.error_probability for a in answers) / 30)
    assert first.auroc is not None
    assert (second.doubt, second.auroc, second.stored) == (None, None, 0)
    assert all(one.shared is None for one in found.answers)
    assert [drift.run for drift in found.drift] == ["old"]
    unlabelled = compare(model, make("standard"), truths=[None] * 30)
    assert unlabelled.sides[0].accuracy is None
    assert unlabelled.sides[0].doubt == first.doubt


def test_changed_answers_are_shown_with_what_both_read():
    first = make("votes")
    second = whence.edit(first, keep=lambda one: one.label != 0)
    found = compare(first, second)
    assert found.changed
    assert len(found.shown) == min(12, len(found.changed))
    sure = [min(one.answer.shares) for one in found.shown]
    assert sure == sorted(sure, reverse=True)
    for one in found.shown:
        assert torch.equal(one.image, IMAGES[one.answer.place])
        item, image = one.evidence[1][0]
        place = first.bank.indices.tolist().index(item.index)
        assert torch.equal(image, first.bank.images[place])


@pytest.mark.parametrize("variant", ["votes", "memory-wrap"])
def test_distances_are_those_to_the_nearest_other_image(variant):
    model = make(variant)
    asked = IMAGES.clone()
    asked[4] = model.bank.images[2]
    with torch.no_grad():
        queries, memory = model.encode(asked), model.bank.features
        cosines = torch.nn.functional.cosine_similarity(queries[:, None], memory[None], dim=2)
        own = torch.nn.functional.cosine_similarity(memory[:, None], memory[None], dim=2)
    cosines[4, 2] = -1
    own.fill_diagonal_(-1)
    torch.testing.assert_close(
        nearest_of_images(model, asked, batch_size=7), cosines.amax(1).double(), atol=1e-4, rtol=0
    )
    torch.testing.assert_close(nearest_of_stored(model), own.amax(1).double(), atol=1e-4, rtol=0)


def test_drift_is_seen_where_it_is_and_not_where_it_is_not():
    bright = [
        draw_images(count, seed=seed) // 2 + 128 for count, seed in ((60, 2), (40, 3), (40, 4))
    ]
    stored, same, other = bright
    model = build("memory-wrap").remember(stored, torch.arange(60) % 3)
    (calm,) = compare_runs(
        {"run": model}, same, NAMES[:1] * 40, [None] * 40, data="x", tested=[other]
    ).drift
    assert calm.p_value > 0.05
    dark = same - 128
    (far,) = compare_runs(
        {"run": model}, dark, NAMES[:1] * 40, [None] * 40, data="x", tested=[other]
    ).drift
    assert far.p_value < 1e-3
    assert far.auroc > 0.8
    assert far.beyond > calm.beyond
    assert far.control == calm.control
    (alone,) = compare_runs({"run": model}, dark, NAMES[:1] * 40, [None] * 40, data="x").drift
    assert alone.control is None
    assert alone.auroc > 0.8


def test_the_chance_is_that_of_pairs():
    a, b = torch.rand(7).double(), torch.rand(9).double()
    wins = sum((x < y) + 0.5 * (x == y) for x in a.tolist() for y in b.tolist())
    assert compare_distances(a, b)[0] == pytest.approx(wins / 63)
    assert share_beyond(torch.tensor([0.0, 1.0]), torch.linspace(0.5, 1, 100)) == 0.5
