import math
from dataclasses import replace

import pytest
import torch

import whence
from tests.helpers.explaining import CLASSES, build, build_with_memory, draw_images
from whence.data.memory_draw import draw_memory
from whence.evidence.random_memories import find_example
from whence.evidence.reread import answer_without, cache, read_whole
from whence.memory.copies import mask_copies
from whence.models.evaluating import evaluating

IMAGES = draw_images(9)
SET = whence.ImageSet(IMAGES, torch.arange(9) % 3, CLASSES)


@pytest.fixture(params=["memory-wrap", "only-memory"])
def model(request):
    return build_with_memory(variant=request.param)


def test_evidence_is_every_memory_image_with_weight(model):
    read = model.read(IMAGES)
    for row, e in enumerate(whence.explain(model, IMAGES)):
        weights = {10 * m + 7: w for m, w in enumerate(read.weights[row].tolist()) if w > 0}
        assert {item.index: item.weight for item in e.evidence} == weights
        assert [i.weight for i in e.evidence] == sorted(weights.values(), reverse=True)
        assert math.isclose(sum(weights.values()), 1, abs_tol=1e-6)
        for item in e.evidence:
            place = (item.index - 7) // 10
            assert item.label == place % 3
            assert item.predicted == int(model.bank.predicted[place])
            assert item.similarity == pytest.approx(float(read.scores[row, place]))
            assert item.source == f"{place}.png"
            assert item.role == ("example" if item.predicted == e.predicted else "counterfactual")


def test_the_answer_is_the_models_own(model):
    logits = model(IMAGES)
    explanations = whence.explain(model, IMAGES)
    assert [e.predicted for e in explanations] == logits.argmax(1).tolist()
    found = torch.stack([e.probabilities for e in explanations])
    torch.testing.assert_close(found, logits.softmax(1))


def test_example_and_counterfactuals_are_the_best_of_their_kind(model):
    kinds = set()
    for e in whence.explain(model, draw_images(40)):
        examples = [i for i in e.evidence if i.role == "example"]
        others = [i for i in e.evidence if i.role == "counterfactual"]
        assert e.example == (examples[0] if examples else None)
        assert e.counterfactual == (others[0] if others else None)
        assert (e.example_reason is None) == bool(examples)
        assert (e.counterfactual_reason is None) == bool(others)
        best = {}
        for item in others:
            best.setdefault(item.predicted, item)
        assert e.counterfactuals == tuple(best.values())
        assert e.flag == (e.evidence[0].role == "counterfactual")
        kinds.add((bool(examples), bool(others), e.flag))
    assert len(kinds) >= 2, "the case is degenerate"


def test_reasons_name_the_class_and_the_nearest_miss():
    model = build_with_memory()
    bank = replace(model.bank, predicted=torch.zeros(17, dtype=torch.int64))
    model.attach(bank)
    for e in whence.explain(model, draw_images(40)):
        if e.predicted == 0:
            assert e.counterfactual is None
            assert e.counterfactual_reason.endswith(
                f"that the model puts in class {CLASSES[0]}, too; "
                "the memory holds none of another class."
            )
            assert e.near_miss is None
        else:
            assert e.example is None
            assert CLASSES[e.predicted] in e.example_reason
            assert e.flag


@pytest.mark.parametrize("similarity", ["cosine", "l2"])
def test_near_miss_is_the_most_similar_image_of_another_class(similarity):
    """Its similarity is told with a minus sign below 0, where all of l2 lie."""
    model = build_with_memory(similarity=similarity)
    images = draw_images(60, seed=5)
    scores = model.read(images).scores
    seen = 0
    for row, e in enumerate(whence.explain(model, images)):
        if e.counterfactual is not None:
            assert e.near_miss is None
            continue
        places = [m for m in range(17) if int(model.bank.predicted[m]) != e.predicted]
        best = max(places, key=lambda m: float(scores[row, m]))
        assert e.near_miss.index == 10 * best + 7
        assert e.near_miss.weight == 0
        told = f"{float(scores[row, best]):.3f}".replace("-", "\N{MINUS SIGN}")
        assert f"similarity of {told}, the last" in e.counterfactual_reason
        assert CLASSES[e.near_miss.predicted] in e.counterfactual_reason
        seen += 1
    assert seen, "the case is degenerate"


def test_without_is_what_a_memory_without_the_image_gives(model):
    for image, e in zip(IMAGES, whence.explain(model, IMAGES), strict=True):
        logits = model(image[None])
        assert e.without.shape == (len(e.evidence), 3)
        for item, change in zip(e.evidence, e.without, strict=True):
            kept = [m for m in range(17) if 10 * m + 7 != item.index]
            smaller = build_like(model, kept)
            torch.testing.assert_close(change, (smaller(image[None]) - logits)[0])


def build_like(model, places):
    """Remember some of the images only: the slow way to edit."""
    other = build(model.variant)
    other.load_state_dict(model.state_dict())
    memory = model.bank.images[places]
    return other.remember(memory, model.bank.labels[places], model.bank.indices[places])


def test_without_the_only_image_is_nan():
    e = whence.explain(build_with_memory(1), IMAGES[:1])[0]
    assert len(e.evidence) == 1
    assert e.without.isnan().all()
    assert e.evidence[0].weight == 1
    assert e.reliance == 0  # the memory vector is the same for every image


def test_an_image_of_the_memory_is_left_out_and_said_so():
    model = build_with_memory()
    stored = model.bank.images[4]
    images = torch.stack([stored, IMAGES[0]])
    for given in (images, images.float() / 255):
        first, second = whence.explain(model, given)
        assert first.left_out == (47,)
        assert second.left_out == ()
        assert 47 not in [item.index for item in first.evidence]
        smaller = build_like(model, [m for m in range(17) if m != 4])
        expected = smaller(stored[None]).softmax(1)[0]
        torch.testing.assert_close(first.probabilities, expected)


def test_identical_memory_images_share_the_weight():
    model = build()
    image = draw_images(1, seed=3)
    model.remember(image.repeat(4, 1, 1, 1), torch.zeros(4, dtype=torch.int64))
    e = whence.explain(model, IMAGES[:1])[0]
    assert [item.index for item in e.evidence] == [0, 1, 2, 3]
    assert [item.weight for item in e.evidence] == [0.25] * 4
    torch.testing.assert_close(e.without, torch.zeros(4, 3), atol=1e-6, rtol=0)
    copied = whence.explain(model, image)[0]  # nothing but copies: an answer needs a memory
    assert copied.left_out == ()
    assert len(copied.evidence) == 4
    assert copied.draws.changed == 0


def test_copies_that_make_up_a_whole_draw_are_read_after_all():
    model = build()
    image = draw_images(1, seed=3)
    memory = torch.cat([image.repeat(6, 1, 1, 1), draw_images(1, seed=4)])
    model.remember(memory)
    e = whence.explain(model, image, draws=8, memory_size=1)[0]
    assert e.left_out == (0, 1, 2, 3, 4, 5)
    assert [item.index for item in e.evidence] == [6]
    assert bool(e.draws.probabilities.isfinite().all())


def test_the_result_does_not_depend_on_the_batch(model):
    whole = whence.explain(model, IMAGES)
    for size in (1, 4):
        for one, other in zip(whence.explain(model, IMAGES, batch_size=size), whole, strict=True):
            torch.testing.assert_close(one.without, other.without)
            torch.testing.assert_close(one.probabilities, other.probabilities)
            assert one.draws.changed == other.draws.changed
            assert one.draws.example_drawn == other.draws.example_drawn
            assert one.draws.example_kept == other.draws.example_kept
            torch.testing.assert_close(one.draws.probabilities, other.draws.probabilities)
            assert [i.index for i in one.evidence] == [i.index for i in other.evidence]
            assert one.reliance == pytest.approx(other.reliance, abs=1e-5)


@pytest.mark.parametrize("size, draws", [(8, 6), (1, 40)])
def test_draws_are_what_small_memories_answer(size, draws):
    """The slow way: a model of its own for every drawn memory."""
    model = build_with_memory()
    images = draw_images(40, seed=8)
    found = whence.explain(model, images, draws=draws, memory_size=size, seed=3)
    generator = torch.Generator().manual_seed(3)
    drawn = [draw_memory(17, size, generator=generator).tolist() for _ in range(draws)]
    changed, kept, held = [0] * 40, [0] * 40, [0] * 40
    mean = torch.zeros(40, 3)
    for places in drawn:
        part = whence.edit(model, keep=[10 * m + 7 for m in places])
        for row, answer in enumerate(whence.explain(part, images, draws=0)):
            mean[row] += answer.probabilities / draws
            changed[row] += answer.predicted != found[row].predicted
            example = found[row].example
            if example is not None and (example.index - 7) // 10 in places:
                held[row] += 1
                kept[row] += answer.example is not None and answer.example.index == example.index
    assert sum(changed), "the case is degenerate"
    assert 0 < sum(kept) < sum(held), "the case is degenerate"
    for row, e in enumerate(found):
        assert (e.draws.draws, e.draws.memory_size, e.draws.seed) == (draws, size, 3)
        torch.testing.assert_close(e.draws.probabilities, mean[row])
        assert e.draws.changed == pytest.approx(changed[row] / draws)
        assert e.draws.example_drawn == held[row]
        expected = kept[row] / held[row] if held[row] else None
        assert e.draws.example_kept == (None if expected is None else pytest.approx(expected))


def test_an_example_that_is_drawn_but_not_on_the_answers_side_is_not_kept():
    """Alone in the memory the example gives another class, for which there is no example."""
    model = build_with_memory()
    model.attach(replace(model.bank, predicted=torch.ones(17, dtype=torch.int64)))
    seen = 0
    for e, image in zip(whence.explain(model, images := draw_images(80)), images, strict=True):
        if e.predicted != 1:
            continue
        alone = whence.edit(model, keep=e.example)
        if int(alone(image[None]).argmax()) == 1:
            continue
        draws = whence.explain(model, image[None], draws=60, memory_size=1)[0].draws
        assert draws.example_drawn > 0
        assert draws.example_kept == 0
        seen += 1
    assert seen, "the case is degenerate"


def test_the_lower_index_is_the_example_among_equal_weights():
    weights = torch.tensor([[0.4, 0.3, 0.3, 0.0], [0.0, 0.0, 0.0, 1.0]])
    own, indices = torch.tensor([1, 0, 0, 1]), torch.tensor([5, 9, 3, 1])
    assert find_example(weights, torch.tensor([0, 0]), own, indices).tolist() == [2, -1]


def test_other_draws_with_another_seed_or_size_and_none_on_request():
    model = build_with_memory()

    def mean(**options):
        return whence.explain(model, IMAGES, **options)[0].draws.probabilities

    assert not torch.equal(mean(seed=0, memory_size=5), mean(seed=1, memory_size=5))
    assert torch.equal(mean(seed=1, memory_size=5), mean(seed=1, memory_size=5))
    assert whence.explain(model, IMAGES, draws=0)[0].draws is None
    assert whence.explain(model, IMAGES)[0].draws.memory_size == 17


def test_a_standard_model_has_no_evidence():
    model = build("standard")
    for e, logits in zip(whence.explain(model, IMAGES), model(IMAGES), strict=True):
        assert (e.evidence, e.counterfactuals, e.left_out) == ((), (), ())
        assert (e.example, e.counterfactual, e.near_miss, e.draws) == (None,) * 4
        assert e.example_reason == e.counterfactual_reason == "A standard model has no memory."
        assert (e.reliance, e.flag) == (0.0, False)
        torch.testing.assert_close(e.probabilities, logits.softmax(0))
        assert e.without.shape == (0, 3)


def test_no_images_give_no_explanations():
    assert whence.explain(build_with_memory(), IMAGES[:0]) == ()


def test_mask_copies_finds_all_of_them_and_none_else():
    model = build()
    memory = draw_images(5, seed=2)
    memory[3] = memory[1]
    model.remember(memory)
    mask = mask_copies(model.bank, torch.stack([IMAGES[0], memory[1]]))
    assert mask.tolist() == [[True] * 5, [True, False, True, False, True]]
    assert mask_copies(model.bank, IMAGES) is None


def test_answers_with_the_given_sets_left_out():
    model = build_with_memory()
    rows, removed = torch.tensor([2, 0, 2]), torch.tensor([[1, 1], [4, 5], [0, 16]])
    with evaluating(model):
        cached = cache(model, IMAGES, batch_size=4)
        logits = answer_without(cached, rows, removed, batch_size=2)
    for row, places, found in zip(rows.tolist(), removed.tolist(), logits, strict=True):
        smaller = build_like(model, [m for m in range(17) if m not in places])
        torch.testing.assert_close(found[None], smaller(IMAGES[row][None]))


def test_the_whole_memory_is_read_as_the_model_reads_it():
    model = build_with_memory()
    with evaluating(model):
        read = read_whole(cache(model, IMAGES, batch_size=4))
    torch.testing.assert_close(read[:3], model.read(IMAGES)[:3])
    assert torch.equal(read.answers, read.logits.argmax(1))


def test_explaining_leaves_no_trace():
    model = build_with_memory().requires_grad_(True)
    images = IMAGES.clone()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    whence.explain(model, images)
    whence.find_removals(model, images)
    assert not any(module.training for module in model.modules())
    assert torch.equal(images, IMAGES)
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    with pytest.raises(ValueError, match="give pixels before any normalisation"):
        whence.explain(model, images.float())
    assert not model.training


@pytest.mark.parametrize(
    "change, message",
    [
        ({"draws": -1}, "draws must be at least 0, got -1"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"memory_size": 18}, "memory_size must be in 1 to 17, the images in the memory, got 18"),
        ({"memory_size": 0}, "memory_size must be in 1 to 17, the images in the memory, got 0"),
    ],
)
def test_numbers_out_of_range(change, message):
    with pytest.raises(ValueError, match=message):
        whence.explain(build_with_memory(), IMAGES, **change)


def test_predict_leaves_copies_out_like_explain():
    model = build_with_memory()
    stored = model.bank.images[2:6]
    for one, other in zip(
        whence.predict(model, stored), whence.explain(model, stored), strict=True
    ):
        assert one.predicted == other.predicted
        assert [(item.index, item.role) for item in one.evidence] == [
            (item.index, item.role) for item in other.evidence
        ]
        for item, same in zip(one.evidence, other.evidence, strict=True):
            assert item.weight == pytest.approx(same.weight, abs=1e-6)
            assert item.similarity == pytest.approx(same.similarity, abs=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda model: model.remember(IMAGES, batch_size=0),
        lambda model: whence.find_removals(model, IMAGES, batch_size=0),
        lambda model: whence.find_suspicious(model, batch_size=0),
        lambda model: whence.predict(model, IMAGES, batch_size=0),
        lambda model: whence.attribute(model, IMAGES, batch_size=0),
        lambda model: whence.calibrate(model, SET, batch_size=0),
        lambda model: whence.evaluate(model, SET, memory_size=5, batch_size=0),
    ],
)
def test_no_batch_is_empty(call):
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        call(build_with_memory())


@pytest.mark.parametrize("call", [whence.explain, whence.find_removals, whence.attribute])
def test_another_size_is_refused(call):
    images = torch.zeros(2, 1, 4, 3)
    with pytest.raises(
        ValueError,
        match=r"images must be \(B, 1, 3, 4\), .* got shape \(2, 1, 4, 3\); .*read_images",
    ):
        call(build_with_memory(), images)


def test_indices_and_labels_are_checked():
    model = build_with_memory()
    with pytest.raises(ValueError, match="indices must name every image once"):
        model.remember(IMAGES, indices=torch.zeros(9, dtype=torch.int64))
    for call in (whence.calibrate, whence.evaluate):
        with pytest.raises(ValueError, match="labels must be in 0 to 2, got 3 to 3"):
            call(model, (IMAGES, torch.full((9,), 3)))


def test_wrong_images_and_a_missing_memory():
    model = build_with_memory()
    with pytest.raises(ValueError, match=r"images must be \(B, 1, 3, 4\), .* got shape \(3, 5\)"):
        whence.explain(model, torch.zeros(3, 5))
    with pytest.raises(
        ValueError, match=r"images must be \(B, 1, 3, 4\), .* got shape \(9, 3, 3, 4\)"
    ):
        whence.explain(model, IMAGES.repeat(1, 3, 1, 1))
    with pytest.raises(RuntimeError, match="no memory yet"):
        whence.explain(build(), IMAGES)
