"""The tape: what it sees, what it keeps, what it refuses, and that nobody else notices it."""

import gc
import threading
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

import whence
from tests.helpers.layerwise import Busy, remember
from whence.attribution.graph.overwritten import lay_over
from whence.attribution.graph.tape import record_score

aten = torch.ops.aten


def record(function, images):
    return record_score(function, [images], [torch.arange(len(images))], ())


def test_a_value_that_is_changed_in_place_is_kept_as_it_was():
    images = torch.tensor([[1.0, -2.0], [-3.0, 4.0]])

    def score(some):
        doubled = some * 2
        doubled.relu_()
        doubled += 1
        return doubled.sum(1)

    found = record(score, images)
    assert [node.operation for node in found.nodes] == [aten.mul, aten.relu, aten.add, aten.sum]
    values = [node.output.value for node in found.nodes]
    assert_close(values[0], 2 * images)
    assert_close(values[1], (2 * images).relu())
    assert_close(values[2], (2 * images).relu() + 1)
    assert_close(images, torch.tensor([[1.0, -2.0], [-3.0, 4.0]]))


def test_images_that_a_network_changes_in_place_stay_as_they_are():
    images = torch.tensor([[1.0, -2.0], [-3.0, 4.0]])
    found = record(lambda some: some.relu_().sum(1), images)
    assert_close(images, torch.tensor([[1.0, -2.0], [-3.0, 4.0]]))
    assert_close(found.inputs[0].value, images)
    assert_close(found.nodes[0].output.value, images.relu())


def test_a_tensor_that_was_changed_through_a_part_of_it_is_its_old_numbers_with_new_ones():
    images = torch.tensor([[1.0, -2.0], [-3.0, 4.0]])

    def score(some):
        doubled = some * 2
        doubled[:, :1].relu_()
        return doubled.sum(1)

    found = record(score, images)
    names = [aten.mul, aten.slice, aten.relu, lay_over, aten.sum]
    assert [node.operation for node in found.nodes] == names
    assert_close(found.nodes[0].output.value, 2 * images)
    assert_close(found.nodes[3].output.value, torch.tensor([[2.0, -4.0], [0.0, 8.0]]))
    assert_close(found.output.value, torch.tensor([-2.0, 8.0]))


def test_a_part_of_a_tensor_that_was_changed_as_a_whole_has_its_new_numbers():
    def score(some):
        doubled = some * 2
        parts = doubled[:, :2], doubled[:, 2:]
        doubled.clamp_(max=3)
        return (parts[0] * parts[1]).sum(1)

    images = torch.tensor([[1.0, -2.0, 3.0, 4.0], [5.0, 1.0, -7.0, 0.5]])
    found = record(score, images)
    clamped = (2 * images).clamp(max=3)
    assert_close(found.nodes[-2].inputs[0].value, clamped[:, :2])
    assert_close(found.nodes[-2].inputs[1].value, clamped[:, 2:])


def test_constants_that_images_were_written_into_depend_on_them():
    def score(some):
        whole = torch.zeros(2, 3)
        whole[:, :2] = some
        whole[:, 2] = 7
        whole[:, 1] = 5
        return whole.sum(1)

    found = record(score, torch.tensor([[1.0, -2.0], [-3.0, 4.0]]))
    assert_close(found.output.value, torch.tensor([13.0, 9.0]))


def test_memory_that_is_read_as_numbers_of_another_type_is_refused():
    def score(some):
        doubled = some * 2
        halves = doubled.view(torch.float32)
        doubled[:, :1].relu_()
        return halves.sum(1)

    with pytest.raises(ValueError, match=r"it has memory that is read as numbers of another type"):
        record(score, torch.rand(2, 3).double())


def test_what_was_detached_is_a_constant():
    found = record(lambda some: (some * some.exp().detach()).sum(1), torch.rand(2, 3))
    assert [len(node.inputs) for node in found.nodes] == [1, 1, 1]


def test_of_which_image_a_number_is_is_known_however_it_is_laid_out():
    images = torch.rand(3, 2, 4, 5)

    def score(some):
        tokens = some.flatten(2).permute(2, 0, 1)  # places, images, channels
        rows = tokens.reshape(-1, 2) + 1  # places and images in one
        both = torch.cat([torch.ones(2, 2), rows])[2:]
        return both.view(20, 3, 2).mean(0).unbind(1)[0]

    found = record(score, images)
    for node in found.nodes:
        owners = node.output.owners.expand(node.output.value.shape)
        for image in range(3):
            changed = images.clone()
            changed[image] += 1
            other = record(score, changed).nodes[found.nodes.index(node)].output.value
            moved = other != node.output.value
            assert bool((owners[moved] == image).all())
    assert found.output.owners.tolist() == [0, 1, 2]


class Odd(nn.Module):
    """Has an operation that no rule is for."""

    def forward(self, images):
        return torch.special.bessel_j0(images)


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), Odd())

    def forward(self, images):
        return self.layers(images)


def test_an_operation_without_a_rule_is_named_with_its_place():
    message = (
        r"must consist of operations that have a rule, it has special_bessel_j0 in layers.2 \(Odd\); "
        r"gradient and integrated_gradients need no rule for it"
    )
    with pytest.raises(ValueError, match=message):
        whence.attribute(Outer().eval(), torch.rand(2, 1, 3, 4), "lrp")


class Stops(nn.Module):
    def forward(self, images):
        return images.flatten(1).detach()


def test_a_score_that_does_not_depend_on_the_images_is_refused():
    with pytest.raises(RuntimeError, match=r"lets no gradient through to the pixels"):
        whence.attribute(Stops().eval(), torch.rand(2, 1, 3, 4), "lrp")


class Waiting(nn.Module):
    """Lets another thread answer in the middle of its own forward pass."""

    def __init__(self, network):
        super().__init__()
        self.network, self.now, self.go_on = network, threading.Event(), threading.Event()

    def forward(self, images):
        features = F.relu(images)
        if threading.current_thread() is not threading.main_thread():
            self.now.set()
            assert self.go_on.wait(10)
        return self.network(features)


def test_another_thread_answers_while_the_tape_records_and_its_answers_are_unchanged():
    torch.manual_seed(0)
    network = Busy().eval()
    slow, images, found = Waiting(network).eval(), torch.rand(2, 2, 6, 8), []
    before = slow(images)
    wanted = whence.attribute(slow, images, "lrp", 0)

    def explain():
        while not found:
            found.append(whence.attribute(slow, images, "lrp", 0))

    thread = threading.Thread(target=explain)
    thread.start()
    for _ in range(2):  # the answers before the explanation, and its recording
        assert slow.now.wait(10)
        slow.now.clear()
        assert torch.equal(slow(images), before)
        assert torch.equal(whence.attribute(slow, images, "lrp", 0).images, wanted.images)
        slow.go_on.set()
    thread.join()
    assert torch.equal(found[0].images, wanted.images)


def test_an_encoder_that_is_called_for_images_and_evidence_is_on_one_tape():
    model, images, stored, _ = remember("small_cnn", "memory-wrap", (8, 9))
    model.remember(stored)
    whole = whence.attribute(model, images, "lrp")
    few = whence.attribute(model, images, "lrp", batch_size=1)
    assert_close(whole.images, few.images, rtol=0, atol=1e-9)
    assert_close(torch.cat(whole.evidence), torch.cat(few.evidence), rtol=0, atol=1e-9)


class Counting(nn.Module):
    """An encoder that counts how many of its inner values are alive at once."""

    def __init__(self):
        super().__init__()
        self.before = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU())
        self.after = nn.Sequential(
            nn.Conv2d(4, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.made, self.most = [], 0

    def forward(self, images):
        maps = self.before(images)
        self.made.append(weakref.ref(maps))
        self.most = max(self.most, sum(len(one()) for one in self.made if one() is not None))
        return self.after(maps)


BY_LAYERS = ["lrp", "deep_taylor", "deeplift", "excitation_backprop", "deconvnet", "cam"]


@pytest.mark.parametrize(
    ("method", "variant"),
    [*((method, "memory-wrap") for method in BY_LAYERS), ("deep_taylor", "only-memory")],
)
def test_of_much_evidence_no_more_is_held_than_a_batch(method, variant):
    encoder = Counting()
    model, images, stored, _ = remember(encoder, variant, (8, 9))
    stored = torch.cat([stored, stored.flip(2), stored.flip(3)])
    model.head.classifier = nn.Linear(4 * (1 + (variant == "memory-wrap")), 3).double().eval()
    model.remember(stored)
    whole = whence.attribute(model, images, method)
    assert min(map(len, whole.evidence)) > 6
    gc.collect()
    encoder.made.clear()
    encoder.most = 0
    gc.disable()
    try:
        found = whence.attribute(model, images, method, batch_size=2)
    finally:
        gc.enable()
    assert encoder.most <= 2 * 3  # an image and a part of its evidence, and again at a baseline
    assert_close(found.images, whole.images, rtol=0, atol=1e-12)
    assert_close(torch.cat(found.evidence), torch.cat(whole.evidence), rtol=0, atol=1e-12)
    assert float(torch.cat(whole.evidence).abs().max()) > 0
    for name, amounts in (whole.ledger or {}).items():
        assert_close(found.ledger[name], amounts, rtol=0, atol=1e-12)
