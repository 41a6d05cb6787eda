"""The score of a classifier with a memory, its evidence moved, against plain autograd."""

import pytest
import torch
from torch.testing import assert_close

import whence
from tests.helpers.attributing import EXACT, as_pixels, make
from whence.attribution.classifier_score import score_classifier
from whence.attribution.read_moved import read_moved
from whence.memory.heads import build_head


def score_of(model, images, **options):
    with torch.no_grad():
        return score_classifier(model, images, None, **({"batch_size": 2} | options))


@pytest.mark.parametrize("variant", ["memory-wrap", "only-memory"])
@pytest.mark.parametrize("similarity", ["cosine", "l2", "dot"])
def test_evidence_that_moves_is_read_where_it_is(images, stored, variant, similarity, rng):
    model = make(variant, similarity).remember(stored)
    score = score_of(model, images)
    moved = score.evidence + 0.3 * (torch.rand(score.evidence.shape, generator=rng) - 0.5).double()
    moved, asked = moved.clamp(0, 1), as_pixels(images) * 0.9
    with torch.no_grad():
        found = score(asked, moved)
        first = 0
        for row, places in enumerate(score.places):
            features = model.bank.features.clone()
            features[places] = model.encode(moved[first : first + len(places)])
            first += len(places)
            logits = model.head(model.encode(asked[[row]]), features).logits[0]
            chosen = int(model(images)[row].argmax())
            assert_close(found[row], logits[chosen], **EXACT)
        assert_close(score(as_pixels(images)), score.values, **EXACT)
        assert_close(score(as_pixels(images), score.evidence), score.values, **EXACT)


def test_a_part_of_a_score_is_the_score_of_these_images(images, stored):
    model = make().remember(torch.cat([stored, images[[1]]]))
    score, rows = score_of(model, images), torch.tensor([2, 1, 1])
    part = score.take(rows)
    with torch.no_grad():
        asked = as_pixels(images)[rows]
        assert_close(part(asked, part.evidence), score(as_pixels(images))[rows], **EXACT)
    assert part.counts == [score.counts[row] for row in rows.tolist()]
    assert len(part.evidence) == sum(part.counts)
    assert bool((~part.mask[1:, 7]).all())  # the copy stays hidden from the image that it is of
    assert bool(part.mask[0].all())


def test_what_does_not_go_through_at_once_has_the_same_gradient(images, stored):
    model = make().remember(stored)
    slopes = []
    for batch_size in (1, 100):
        score = score_of(model, images, batch_size=batch_size)
        leaves = [one.clone().requires_grad_() for one in (as_pixels(images), score.evidence)]
        slopes.append(torch.autograd.grad(score(*leaves).sum(), leaves))
    for a, b in zip(*slopes, strict=True):
        assert_close(a, b, **EXACT)


@pytest.mark.parametrize("variant", ["memory-wrap", "votes"])
def test_a_stored_image_that_is_moved_for_one_query_stays_for_the_others(variant):
    torch.manual_seed(0)
    head = build_head(variant, 5, 3, similarity="dot", classifier=None).double().eval()
    queries, features, moved = (head.embed(torch.randn(n, 5).double()) for n in (2, 4, 2))
    labels = torch.tensor([0, 2, 1, 0])
    places = (torch.tensor([1, 3]), torch.tensor([], dtype=torch.int64))
    found = read_moved(head, queries, features, labels, places, moved, None)
    elsewhere = features.clone()
    elsewhere[[1, 3]] = moved
    assert_close(found[:1], head(queries[:1], elsewhere, labels=labels).logits, **EXACT)
    assert_close(found[1:], head(queries[1:], features, labels=labels).logits, **EXACT)


@pytest.mark.parametrize("variant", ["memory-wrap", "only-memory", "votes"])
def test_one_evidence_image_can_be_asked_about_as_if_it_were_the_image(
    images, stored, variant, rng
):
    model = make(variant).remember(torch.cat([stored, images[[1]]]), [0, 1, 2, 3, 0, 1, 2, 3])
    score = score_of(model, images)
    turned, owners = (
        score.of_evidence(images),
        torch.arange(3).repeat_interleave(torch.tensor(score.counts)),
    )
    chosen = torch.tensor([len(owners) - 1, 0, 0, 1])
    variants = torch.rand((4, *stored.shape[1:]), generator=rng).double()
    with torch.no_grad():
        found = turned.take(chosen)(variants)
        for value, variant_of, number in zip(found, variants, chosen.tolist(), strict=True):
            row = int(owners[number])
            moved = score.take(torch.tensor([row])).evidence
            moved[number - sum(score.counts[:row])] = variant_of
            alone = score.take(torch.tensor([row]))(as_pixels(images)[[row]], moved)
            assert_close(value, alone[0], **EXACT)
        assert_close(turned(score.evidence), score.values[owners], **EXACT)
    assert torch.equal(turned.take(chosen).values, score.values[owners[chosen]])
    assert turned.bounded
    assert turned.evidence is turned.stored is None
    assert score.of_evidence(images).network is score.network is model.encoder


def test_a_score_knows_what_is_stored_and_what_the_answers_are(images, stored):
    model = make().remember(torch.cat([stored, images[[1]]]), [0, 1, 2, 3, 0, 1, 2, 3])
    known = score_of(model, images).take(torch.tensor([1, 0])).stored
    assert torch.equal(known.images, model.bank.images)
    assert known.labels.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert known.allowed.tolist() == [[True] * 7 + [False], [True] * 8]
    assert known.answers.tolist() == [one.predicted for one in whence.predict(model, images)][1::-1]
    assert score_of(make("standard"), images).stored is None
    assert score_of(make("standard"), images).of_evidence(images) is None
