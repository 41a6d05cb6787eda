"""The training loop against a slow, obvious one, and what it promises."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

import whence
from whence.data.memory_draw import draw_memory
from whence.evidence.answers import SECOND_MEMORY, Memory, answer, draw_passes
from whence.records.images import ImageSet
from whence.training.fit import check_end, fit
from whence.training.plan import Plan
from whence.training.progress import DivergedError
from whence.training.recipes import RECIPES, Recipe, build_optimizer, rate_at

SHAPE = (1, 8, 8)
RECIPE = Recipe(learning_rate=0.05, batch_size=8)


@pytest.fixture
def train(rng):
    """Three classes that differ in brightness."""
    labels = torch.arange(20) % 3
    noise = torch.randint(0, 60, (20, *SHAPE), generator=rng)
    images = (noise + 60 * labels[:, None, None, None]).to(torch.uint8)
    return ImageSet(images, labels, ("a", "b", "c"))


def make(variant="memory-wrap"):
    torch.manual_seed(0)
    return whence.wrap("small_cnn", 3, variant=variant, image_shape=SHAPE, mean=[0.4], std=[0.3])


def slow_fit(model, train, recipe, plan):
    """Train as the paper says, with nothing shared with ``fit`` but the draws."""
    generator = torch.Generator().manual_seed(plan.seed)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=recipe.learning_rate, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    model.train()
    for epoch in range(plan.epochs):
        order = torch.randperm(len(train), generator=generator)
        falls = (epoch >= plan.epochs // 2) + (epoch >= plan.epochs * 3 // 4)
        optimizer.param_groups[0]["lr"] = recipe.learning_rate * 0.1**falls
        for start in range(0, len(train) - recipe.batch_size + 1, recipe.batch_size):
            batch = order[start : start + recipe.batch_size]
            drawn = draw_memory(len(train), plan.memory_size, generator=generator)
            queries = model.encode(train.images[batch])
            memory = model.encode(train.images[drawn])
            rows = []
            for place, index in enumerate(batch):
                others = (
                    torch.ones_like(drawn, dtype=torch.bool)
                    if plan.self_attention
                    else drawn != index
                )
                rows.append(model.head(queries[place : place + 1], memory[others]).logits)
            loss = F.cross_entropy(torch.cat(rows), train.labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval()


@pytest.mark.parametrize("self_attention", [False, True])
def test_same_parameters_as_the_slow_loop(train, self_attention):
    plan = Plan(epochs=4, memory_size=6, seed=3, self_attention=self_attention)
    ours, slow = make(), make()
    fit(ours, train, recipe=RECIPE, plan=plan)
    slow_fit(slow, train, RECIPE, plan)
    for (name, found), expected in zip(
        ours.state_dict().items(), slow.state_dict().values(), strict=True
    ):
        assert_close(found, expected, rtol=1e-3, atol=1e-4, msg=lambda m, n=name: f"{n}: {m}")


def test_self_attention_changes_the_result(train):
    results = []
    for self_attention in (False, True):
        model = make()
        fit(model, train, recipe=RECIPE, plan=Plan(2, 15, self_attention=self_attention))
        results.append(model.head.classifier[2].weight)
    assert not torch.allclose(*results)


@pytest.mark.parametrize("variant", ["memory-wrap", "only-memory", "standard"])
def test_learns_and_leaves_the_global_random_state(train, variant):
    model, state, reports = make(variant), torch.get_rng_state(), []
    fit(model, train, recipe=RECIPE, plan=Plan(30, 10), on_epoch=reports.append)
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.training
    assert [report.epoch for report in reports] == list(range(1, 31))
    assert reports[-1].loss < reports[0].loss / 2
    assert reports[-1].accuracy > 0.8


def test_seed_decides_everything(train):
    def trained(seed):
        model = make()
        fit(model, train, recipe=RECIPE, plan=Plan(1, 6, seed=seed))
        return model.head.classifier[2].weight

    assert_close(trained(1), trained(1), rtol=0, atol=0)
    assert not torch.equal(trained(1), trained(2))


def test_dropout_follows_the_seed_and_not_the_global_state(train):
    def trained(global_seed, seed):
        torch.manual_seed(0)
        layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Dropout(0.5))
        model = whence.wrap(layers, 3, image_shape=SHAPE)
        torch.manual_seed(global_seed)
        fit(model, train, recipe=RECIPE, plan=Plan(1, 6, seed=seed))
        return model.encoder[1].weight

    assert_close(trained(1, 0), trained(2, 0), rtol=0, atol=0)
    assert not torch.equal(trained(1, 0), trained(1, 1))


def test_frozen_encoder_stays_and_equals_training_on_features(train):
    model, before = make(), make().state_dict()
    fit(model, train, recipe=RECIPE, plan=Plan(2, 6, freeze_encoder=True))
    for name, tensor in model.state_dict().items():
        if name.startswith("encoder"):
            assert_close(tensor, before[name], rtol=0, atol=0)
    assert not torch.equal(model.head.classifier[0].weight, before["head.classifier.0.weight"])
    slow = make()
    slow.encoder.eval()
    train_head, slow.train = slow.train, lambda mode=True: slow
    slow_fit(slow, train, RECIPE, Plan(2, 6))
    slow.train = train_head
    assert_close(
        model.head.classifier[0].weight, before["head.classifier.0.weight"], rtol=1, atol=1
    )


def test_every_setting_of_the_recipe_counts(train):
    def trained(**changes):
        model = make()
        recipe = Recipe(**{"learning_rate": 0.05, "batch_size": 8, **changes})
        fit(model, train, recipe=recipe, plan=Plan(4, 6))
        return model.head.classifier[2].weight

    base = trained()
    for changes in (
        {"optimizer": "adam"},
        {"optimizer": "adamw"},
        {"learning_rate": 0.01},
        {"momentum": 0.5},
        {"nesterov": False},
        {"weight_decay": 0.1},
        {"schedule": "cosine"},
        {"milestones": (1,)},
        {"warmup_epochs": 2},
        {"batch_size": 5},
        {"augmentation": "flip"},
        {"label_smoothing": 0.1},
        {"mixing": "mixup"},
        {"sharpness_radius": 0.1},
        {"weight_averaging": 0.9},
    ):
        assert not torch.allclose(trained(**changes), base), changes


def test_bfloat16_trains_the_same_but_for_rounding(train):
    models = [make(), make()]
    for model, bfloat16 in zip(models, (False, True), strict=True):
        fit(model, train, recipe=RECIPE, plan=Plan(2, 6, bfloat16=bfloat16))
    a, b = (model.head.classifier[2].weight for model in models)
    assert a.dtype == b.dtype == torch.float32
    assert not torch.equal(a, b)
    assert_close(a, b, rtol=0, atol=0.05)


def test_rates_by_hand():
    cosine = Recipe(learning_rate=1.0, schedule="cosine", warmup_epochs=1, final_learning_rate=0.2)
    rates = [rate_at(cosine, step=s, steps_per_epoch=2, epochs=3) for s in range(6)]
    half = 0.2 + 0.8 * (1 + math.cos(math.pi / 4)) / 2
    assert rates[:4] == pytest.approx([0.5, 1.0, 1.0, half])
    short = [rate_at(cosine, step=s, steps_per_epoch=2, epochs=1) for s in range(2)]
    assert short == pytest.approx([1.0, 0.6])  # an epoch alone is no warm-up
    paper = [
        rate_at(RECIPES["paper"], step=s, steps_per_epoch=1, epochs=300) for s in (149, 150, 225)
    ]
    assert paper == pytest.approx([0.1, 0.01, 0.001])
    with pytest.raises(ValueError, match=r"Unknown schedule 'line'. Choose from: steps, cosine"):
        rate_at(Recipe(schedule="line"), step=0, steps_per_epoch=1, epochs=1)
    with pytest.raises(ValueError, match=r"Unknown optimizer 'lbfgs'. Choose from"):
        build_optimizer(Recipe(optimizer="lbfgs"), [nn.Parameter(torch.zeros(1))])


def test_rejected_plans(train):
    for plan, message in (
        (Plan(1, 21), "memory_size must be in 1 to 20, the number of training images, got 21"),
        (Plan(1, 1), "an image may not attend to itself, got 1"),
        (Plan(0, 5), "epochs must be at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            fit(make(), train, recipe=RECIPE, plan=plan)
    with pytest.raises(ValueError, match=r"train must hold at least one image, got none"):
        fit(make(), train.take(torch.arange(0)), recipe=RECIPE, plan=Plan(1, 5))


def test_a_loss_that_is_not_finite_names_its_step(train):
    with pytest.raises(DivergedError, match=r"became (nan|inf) at step \d+; try a lower"):
        fit(make(), train, recipe=Recipe(learning_rate=1e30, batch_size=8), plan=Plan(5, 6))


def test_a_loss_that_ends_far_above_a_guess_is_refused(train):
    """Adam makes steps as long as its rate, however small the gradient: the loss stays finite."""
    recipe, reports = Recipe(optimizer="adam", learning_rate=1e3, batch_size=8), []
    with pytest.raises(
        DivergedError, match=r"The loss ended at \d.*, far above the 1.1 of a guess"
    ):
        fit(make(), train, recipe=recipe, plan=Plan(3, 6), on_epoch=reports.append)
    assert all(math.isfinite(report.loss) for report in reports)
    check_end(100 * math.log(3), 3)
    with pytest.raises(DivergedError, match=r"at 110, far above .* try a lower learning rate"):
        check_end(100.2 * math.log(3), 3)


class TestEvaluate:
    """Cached features give what encoding every image again gives."""

    @pytest.fixture
    def model(self, train):
        model = make()
        fit(model, train, recipe=RECIPE, plan=Plan(3, 6))
        return model.remember(train.images, train.labels)

    @pytest.fixture
    def test_set(self, rng):
        labels = torch.randint(0, 2, (11,), generator=rng)  # nothing of class 2
        images = torch.randint(0, 256, (11, *SHAPE), generator=rng, dtype=torch.uint8)
        return ImageSet(images, labels, ("a", "b", "c"))

    @torch.no_grad()
    def test_is_the_protocol_done_slowly(self, model, train, test_set):
        found = whence.evaluate(model, test_set, memory_size=4, draws=3, seed=5, draw_batch=4)
        generator = torch.Generator().manual_seed(5)
        expected = []
        for _ in range(3):
            hits = 0
            for start in range(0, 11, 4):
                memory = train.images[draw_memory(20, 4, generator=generator)]
                answers = model(test_set.images[start : start + 4], memory).argmax(1)
                hits += int((answers == test_set.labels[start : start + 4]).sum())
            expected.append(hits / 11)
        assert found.draws == pytest.approx(expected)
        right = model(test_set.images).argmax(1) == test_set.labels
        assert found.whole_memory == pytest.approx(float(right.float().mean()))
        by_class = [float(right[test_set.labels == k].float().mean()) for k in range(2)]
        assert [one.recall for one in found.classes] == [*map(pytest.approx, by_class), None]
        mean = sum(expected) / 3
        assert found.draws_mean == pytest.approx(mean)
        assert found.draws_std == pytest.approx((sum((x - mean) ** 2 for x in expected) / 3) ** 0.5)
        assert found.draws_std > 0, "pick a case with a spread"

    @torch.no_grad()
    def test_logits_of_a_pass_are_those_of_encoding_again(self, model, train, test_set):
        features, labels = model.encode(test_set.images), test_set.labels
        memory = Memory.of(model)
        (answers,) = draw_passes(
            model, features, labels, memory, memory_size=4, draws=1, seed=5, draw_batch=11
        )
        drawn = draw_memory(20, 4, generator=torch.Generator().manual_seed(5))
        assert_close(answers.logits, model(test_set.images, train.images[drawn]))

    @torch.no_grad()
    def test_top_memory_done_slowly(self, model, train, test_set):
        found = whence.evaluate(model, test_set, memory_size=4, draws=2, seed=5, draw_batch=11)
        read = model.read(test_set.images)
        predicted = read.logits.argmax(1)
        hits = (predicted == test_set.labels).tolist()
        top = [int(row.argmax()) for row in read.weights]
        agrees = [
            int(model.bank.predicted[t]) == int(p) for t, p in zip(top, predicted, strict=True)
        ]
        assert found.evidence.explanation_accuracy == pytest.approx(sum(agrees) / 11)
        right = [hit for hit, agree in zip(hits, agrees, strict=True) if agree]
        assert found.evidence.example_accuracy == pytest.approx(sum(right) / len(right))
        first = torch.Generator().manual_seed(5)
        second = torch.Generator().manual_seed(5 + SECOND_MEMORY)
        for one in found.draws_evidence:
            places, others = (draw_memory(20, 4, generator=g) for g in (first, second))
            assert not torch.equal(places, others), "the second memory is another one"
            memory, other = train.images[places], train.images[others]
            own = model(memory, other).argmax(1)
            read = model.read(test_set.images, memory)
            expected = own[read.weights.argmax(1)] == read.logits.argmax(1)
            assert one.explanation_accuracy == pytest.approx(float(expected.float().mean()))

    def test_the_top_memory_is_the_one_of_highest_weight(self):
        model = make("only-memory").eval()
        model.head = whence.OnlyMemory(3, 3, classifier="linear").requires_grad_(False)
        model.head.classifier.weight.copy_(torch.eye(3))
        model.head.classifier.bias.zero_()
        query = torch.tensor([[1.0, 0.9, 0.0]])  # weights 0.54, 0.46 and 0, answer 0
        for own, agrees in (([0, 1, 1], True), ([1, 0, 0], False)):
            memory = Memory(torch.eye(3), torch.tensor([0, 1, 1]), torch.tensor(own))
            found = answer(model, query, torch.tensor([1]), memory, batch_size=1)
            assert found.logits.argmax(1).tolist() == [0]
            assert found.traces.agrees.tolist() == [agrees]
            assert found.traces.support.tolist() == [2]
            assert found.traces.purity.tolist() == pytest.approx([0.4628], abs=1e-4)

    def test_standard_and_rejected(self, train, test_set):
        standard = make("standard").eval()
        found = whence.evaluate(standard, test_set)
        assert (found.draws, found.draws_mean, found.draws_std) == (None, None, None)
        assert (found.evidence, found.draws_evidence) == (None, None)
        with pytest.raises(ValueError, match=r"at least one image to evaluate, got none"):
            whence.evaluate(standard, test_set.take(torch.arange(0)))
