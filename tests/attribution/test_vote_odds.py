"""The log-odds of votes by similarity: what all methods explain where every vote agrees."""

import pytest
import torch
from torch.testing import assert_close

import whence
from tests.helpers.attributing import (
    as_pixels,
    make,
    start_of,
)
from tests.helpers.layerwise import unexplained
from tests.helpers.method_checks import give_options
from whence.attribution import METHODS
from whence.attribution.method import find_method
from whence.attribution.odds_score import score_odds

CLOSE = {"rtol": 1e-9, "atol": 1e-9}
LABELS = [0, 1, 2, 3, 1, 2, 0]


@pytest.fixture
def model(images, stored):
    """Votes that all agree: class 0 of the image's neighbours is far ahead."""
    model = make("votes").remember(stored, LABELS)
    model.head.sharpness.fill_(2000.0)
    return model.remember(stored, LABELS)


def odds_of(model, image, places, sides, keys):
    similar = keys @ model.encode(image[None])[0]
    up = torch.stack([similar[n] for n, side in enumerate(sides) if side == 1])
    down = torch.stack([similar[n] for n, side in enumerate(sides) if side == -1])
    return up.logsumexp(0) - down.logsumexp(0)


def test_all_votes_agree_and_the_odds_still_change(model, images):
    assert model(images).softmax(1).max(1).values.min() > 0.94
    flat = whence.attribute(model, images, "gradient", score="logit")
    assert float(flat.images.abs().max()) == 0
    found = whence.attribute(model, images, "gradient")
    assert (found.images.abs().amax((1, 2, 3)) > 1e-3).all()


def test_what_is_compared_and_the_score_by_hand(model, images):
    bank, answers = model.bank, model(images).argmax(1)
    found = whence.attribute(model, images, "gradient")
    names = model.class_names
    for row, image in enumerate(as_pixels(images)):
        similar = bank.features @ model.encode(image[None])[0]
        own = int(answers[row])
        voters = (model.read(images).weights[row] > 0).nonzero()[:, 0]
        others = torch.where(bank.labels == own, -torch.inf, similar)
        nearest = int(others.argmax())
        against = int(bank.labels[nearest])
        expected = torch.logsumexp(similar[voters], 0) - similar[nearest]
        assert bool((bank.labels[voters] == own).all())
        assert_close(found.score[row], expected.detach(), **CLOSE)
        assert found.target[row] == (
            f"log-odds of {names[own]} against {names[against]} by similarity"
        )
        assert len(found.evidence[row]) == len(voters)
        assert len(found.compared[row]) == 1
        assert found.compared_indices[row] == (int(bank.indices[nearest]),)


def test_votes_that_differ_are_set_against_each_other(images, stored):
    model = make("votes").remember(stored, LABELS)
    weights = model.read(images).weights.detach()
    found = whence.attribute(model, images, "gradient")
    mixed = 0
    for row in range(len(images)):
        votes = [float(weights[row][torch.tensor(LABELS) == one].sum()) for one in range(4)]
        first, second = sorted(range(4), key=lambda one: -votes[one])[:2]
        if votes[second] == 0:
            continue
        mixed += 1
        assert found.target[row] == f"log-odds of {first} against {second} by similarity"
        similar = model.bank.features @ model.encode(images[[row]])[0]
        sums = [
            torch.logsumexp(similar[(torch.tensor(LABELS) == one) & (weights[row] > 0)], 0)
            for one in (first, second)
        ]
        assert_close(found.score[row], (sums[0] - sums[1]).detach(), **CLOSE)
        assert len(found.compared[row]) == 0
    assert mixed


@pytest.mark.parametrize("name", ["gradient", "integrated_gradients"])
def test_gradients_and_paths_are_those_of_autograd_through_the_whole(model, images, name):
    """All that is compared moves with the image, what has no vote as well."""
    options = {"steps": 3} if name == "integrated_gradients" else {}
    found = whence.attribute(model, images, name, (0, 1), **options)
    with torch.no_grad():
        score, _, _ = score_odds(model, images, (0, 1), batch_size=9)
    for row, image in enumerate(as_pixels(images)):
        places, sides = score.places[row], score.sides[row]
        stored = as_pixels(model.bank.images[places])
        ends = [image[None], stored]
        begins = [start_of("white", one) for one in ends]
        times = [1.0] if name == "gradient" else [1 / 6, 3 / 6, 5 / 6]
        slopes = [torch.zeros_like(one) for one in ends]
        for time in times:
            leaves = [
                (a + time * (b - a)).detach().requires_grad_()
                for a, b in zip(begins, ends, strict=True)
            ]
            value = odds_of(model, leaves[0][0], places, sides.tolist(), model.encode(leaves[1]))
            for place, one in enumerate(torch.autograd.grad(value, leaves)):
                slopes[place] += one / len(times)
        if name == "integrated_gradients":
            slopes = [s * (b - a) for s, a, b in zip(slopes, begins, ends, strict=True)]
        assert_close(found.images[row], slopes[0][0], **CLOSE)
        assert_close(torch.cat([found.evidence[row], found.compared[row]]), slopes[1], **CLOSE)


@pytest.mark.parametrize("name", [one for one in METHODS if one not in ("cam", "random", "edges")])
def test_every_method_has_something_to_say_and_its_ledger_adds_up(model, images, name):
    method = find_method(name)
    needed = give_options(method, as_pixels(images))
    for size in (2, 9):
        options = needed | (
            {"generator": torch.Generator().manual_seed(4)} if "generator" in needed else {}
        )
        found = whence.attribute(model, images, name, batch_size=size, **options)
        told = found.images.abs().amax((1, 2, 3)) > 0
        assert told.any() if name == "grad_cam" else told.all()  # it rectifies whole maps
        if found.ledger is not None:
            total = torch.stack([*found.ledger.values()]).sum(0)
            assert_close(total, found.score.double() - found.start.double(), **CLOSE)
            if len(found.evidence[0]):
                wanted = torch.stack([one.sum() for one in found.compared]).double()
                assert_close(found.ledger["compared"], wanted, **CLOSE)
        if size == 2:
            few = found
    assert_close(few.images, found.images, **CLOSE)
    assert_close(torch.cat(few.evidence), torch.cat(found.evidence), **CLOSE)


def test_relevance_layer_by_layer_loses_nothing(model, images):
    found = whence.attribute(model, images, "lrp", composite="epsilon_plus")
    assert unexplained(found) < 1e-12
    assert found.score[0] == pytest.approx(
        float(whence.attribute(model, images, "gradient").score[0])
    )


def test_a_variant_of_one_evidence_image_alone_is_scored_as_moved(model, images):
    """Occlusion of evidence: the score without a patch of one stored image, all else as it is."""
    found = whence.attribute(model, images[:1], "occlusion", patch=4, stride=4, fill=0.0)
    score, _, _ = score_odds(model, images[:1], None, batch_size=9)
    stored = as_pixels(model.bank.images[score.places[0]])
    hidden = stored.clone()
    hidden[-1, :, :4, :4] = 0
    with torch.no_grad():
        values = [score(as_pixels(images[:1]), one) for one in (stored, hidden)]
    assert_close(found.compared[0][-1, :, 1, 1].sum(), (values[0] - values[1])[0], **CLOSE)


def test_pairs_and_classes(model, images):
    forth = whence.attribute(model, images, "gradient", (1, 2))
    back = whence.attribute(model, images, "gradient", (2, 1))
    assert_close(forth.score, -back.score)
    assert_close(forth.images, -back.images)
    answers = model(images).argmax(1)
    other = [(one + 1) % 4 for one in answers.tolist()]
    found = whence.attribute(model, images, "gradient", other)
    assert (found.score < 0).all()
    for row, name in enumerate(found.target):
        assert name == f"log-odds of {other[row]} against {int(answers[row])} by similarity"


def test_what_does_not_fit_is_refused(model, images, stored):
    explain = whence.attribute
    with pytest.raises(ValueError, match=r"must be a pair of two classes, got '1' twice"):
        explain(model, images, "gradient", (1, 1))
    with pytest.raises(ValueError, match=r"Unknown score 'votes'. Choose from: logit, similarity"):
        explain(model, images, "gradient", score="votes")
    with pytest.raises(ValueError, match=r"not a function; pass score=\"logit\""):
        explain(model, images, "gradient", lambda logits: logits[:, 0], score="similarity")
    plain = make().remember(stored)
    with pytest.raises(ValueError, match=r"score must be logit for a model that is not of votes"):
        explain(plain, images, "gradient", score="similarity")
    found = explain(model, images, "gradient", lambda logits: logits[:, 0])
    assert found.target == ("function of the logits",) * 3


def test_a_class_whose_only_stored_image_is_the_image_itself_has_nothing_to_compare_with(
    model, stored
):
    with pytest.raises(ValueError, match=r"a class that has a stored image, '3' has none; pass sc"):
        whence.attribute(model, stored[[3]], "gradient", 3)
    found = whence.attribute(model, stored[[3]], "gradient", 3, score="logit")
    assert found.target == ("logit of 3",)
