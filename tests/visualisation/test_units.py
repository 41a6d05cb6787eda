"""Units: which there are, how they are written, how active they are, and where in images."""

import threading

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

import whence
from whence.models.wrap import wrap
from whence.visualisation.natural import list_regularisations, measure_activation, measure_inputs
from whence.visualisation.top_patches import Peak, PixelBox, find_field, find_peaks, project_peaks
from whence.visualisation.unit import (
    Unit,
    activate_units,
    classify_inputs,
    group_units,
    list_layers,
    read_unit,
)

SHAPE = (1, 12, 12)


class Twice(nn.Module):
    """A small encoder: one layer runs twice, one is changed in place by the next."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 3, 3, padding=1)
        self.second = nn.Conv2d(3, 4, 3, stride=2)
        self.gate = nn.ReLU(inplace=True)
        self.last = nn.Linear(4, 5)

    def forward(self, images):
        return self.last(self.gate(self.second(self.gate(self.first(images)))).mean((2, 3)))


@pytest.fixture
def model(rng):
    torch.manual_seed(0)
    model = wrap(
        Twice(), ["cat", "dog", "fox"], variant="standard", image_shape=SHAPE, mean=[0.4], std=[0.5]
    )
    return model.eval()


@pytest.fixture
def images(rng):
    return torch.randint(0, 256, (7, *SHAPE), generator=rng, dtype=torch.uint8)


def read(model, text):
    return read_unit(text, model, list_layers(model))


def by_hand(model, images):
    inputs = model.normalise(images)
    first = model.encoder.first(inputs)
    return first, model.encoder.second(first.relu())


def test_layers_that_run_once_are_listed(model):
    assert list_layers(model) == {
        "first": (3, 12, 12),
        "second": (4, 5, 5),
        "last": (5,),
    }


def test_activations_are_those_of_the_layers(model, images):
    inputs, (first, second) = model.normalise(images), by_hand(model, images)
    logits = model(images)

    def found(text):
        return activate_units(model, [read(model, text)] * 7, inputs)

    assert_close(found("channel:first:2"), first[:, 2].mean((1, 2)))
    assert_close(found("neuron:second:3,1,4"), second[:, 3, 1, 4])
    assert_close(found("neuron:last:4"), model.encode_features(images)[:, 4])
    assert_close(found("layer:second"), second.square().mean((1, 2, 3)) / 2)
    assert_close(found("logit:fox"), logits[:, 2])
    assert_close(found("probability:1"), logits.softmax(1)[:, 1])


def test_each_row_has_its_own_unit(model, images):
    units = [read(model, f"channel:first:{number}") for number in (2, 0)]
    first, _ = by_hand(model, images[:2])
    found = activate_units(model, units, model.normalise(images[:2]))
    assert_close(found, torch.stack([first[0, 2].mean(), first[1, 0].mean()]))


def test_units_of_one_kind_and_layer_go_together(model):
    texts = ("logit:cat", "channel:first:0", "logit:dog", "channel:second:0", "channel:first:1")
    assert group_units([read(model, text) for text in texts]) == [[0, 2], [1, 4], [3]]


def test_nothing_is_left_behind(model, images):
    unit, before = read(model, "channel:second:1"), dict(model.state_dict())
    activate_units(model, [unit], model.normalise(images[:1]))
    with pytest.raises(RuntimeError):
        activate_units(model, [unit], torch.zeros(1, 2, 12, 12))
    assert not any(part._forward_hooks for part in model.modules())
    assert all(torch.equal(before[name], one) for name, one in model.state_dict().items())


@pytest.mark.parametrize(
    "text, message",
    [
        ("dog", r"unit must be logit:CLASS, .*, got 'dog'\."),
        ("class:dog", r"unit must be logit:CLASS"),
        ("logit:cow", r"Unknown class 'cow'\. Choose from: cat, dog, fox\."),
        ("logit:3", r"Unknown class '3'\."),
        ("channel:third:0", r"Unknown layer 'third' of 'channel:third:0'; whence visualise RUN"),
        ("channel:gate:0", r"Unknown layer 'gate'"),
        ("channel:first:3", r"unit must be in 0 to 2 there, got 'channel:first:3'\."),
        ("channel:first:x", r"unit must end in 1 number, as its layer has"),
        ("neuron:first:1", r"unit must end in 3 numbers with commas between"),
        ("neuron:second:0,0,5", r"unit must be in 0 to 4 there"),
    ],
)
def test_what_is_no_unit_is_refused(model, text, message):
    with pytest.raises(ValueError, match=message):
        read(model, text)


def test_peaks_are_the_strongest_places_of_the_strongest_images(model, images):
    _, second = by_hand(model, images)
    values, places = second[:, 1].flatten(1).max(1)
    order = values.argsort(descending=True)[:3].tolist()
    found = find_peaks(
        model, model.encoder, read(model, "channel:second:1"), images, count=3, batch_size=2
    )
    assert [peak.image for peak in found] == order
    assert [(peak.row, peak.column) for peak in found] == [
        (int(places[one]) // 5, int(places[one]) % 5) for one in order
    ]
    assert_close(torch.tensor([peak.activation for peak in found]), values[order])
    whole = find_peaks(model, model.encoder, read(model, "logit:dog"), images, batch_size=3)
    assert [peak.image for peak in whole] == model(images)[:, 1].argsort(descending=True).tolist()
    assert whole[0][2:] == (-1, -1)


def test_the_field_of_two_convolutions_by_hand(model):
    unit = read(model, "channel:second:0")
    # the second looks at 3 places from 2 * row on, the first at one more on each side
    assert find_field(model, model.encoder, unit, Peak(0, 0.0, 2, 1)) == PixelBox(3, 1, 8, 6)
    assert find_field(model, model.encoder, unit, Peak(0, 0.0, 0, 0)) == PixelBox(0, 0, 4, 4)
    assert find_field(model, model.encoder, unit, Peak(0, 0.0, -1, -1)) == PixelBox(0, 0, 12, 12)


def test_projections_are_those_of_a_deconvnet_by_hand(model, images):
    unit = read(model, "neuron:first:1,4,6")
    peaks = find_peaks(model, model.encoder, unit, images, count=2, batch_size=4)
    chosen = images[[peak.image for peak in peaks]]
    found = project_peaks(model, model.encoder, unit, chosen, peaks, batch_size=1)
    weight = model.encoder.first.weight[1] / 0.5  # (1, 3, 3) about row 4, column 6, in pixels
    assert_close(found[:, :, 3:6, 5:8], weight.expand(2, -1, -1, -1).detach())
    assert found.count_nonzero() == 18
    unit = read(model, "channel:second:1")
    peaks = find_peaks(model, model.encoder, unit, images, count=2, batch_size=4)
    chosen = images[[peak.image for peak in peaks]]
    found = project_peaks(model, model.encoder, unit, chosen, peaks, batch_size=4)
    for row, peak in enumerate(peaks):
        sent = torch.zeros(1, 4, 5, 5)
        sent[0, 1, peak.row, peak.column] = 1
        back = F.conv_transpose2d(sent, model.encoder.second.weight, stride=2, output_padding=1)
        back = F.conv_transpose2d(back.relu(), model.encoder.first.weight, padding=1)
        assert_close(found[row], back[0].detach() / 0.5)


@pytest.mark.parametrize("variant", ["standard", "memory-wrap", "votes"])
def test_projections_of_a_class_are_those_of_its_score(images, variant):
    torch.manual_seed(0)
    model = wrap("small_cnn", ["cat", "dog"], variant=variant, image_shape=SHAPE).eval()
    if model.has_memory:
        model.remember(images[2:], [0, 1, 0, 1, 0])
    peaks = [Peak(0, 1.0, -1, -1), Peak(1, 1.0, -1, -1)]
    for kind, target in (("logit", 1), ("probability", lambda some: some.softmax(1)[:, 1])):
        unit = Unit(kind, "", (1,), kind)
        found = project_peaks(model, model.encoder, unit, images[:2], peaks, batch_size=1)
        told = 1 if variant == "votes" else target
        expected = whence.attribute(model, images[:2], "deconvnet", told, score="logit")
        assert_close(found, expected.images)
        assert float(found.abs().max()) > 0


def test_what_is_usual_by_hand(model, images):
    usual, inputs = measure_inputs(model, images), model.normalise(images)
    assert usual.norm == pytest.approx(float(inputs.flatten(1).norm(dim=1).mean()))
    assert usual.square == pytest.approx(float(inputs.square().mean()))
    found = measure_activation(model, read(model, "logit:cat"), images, batch_size=3)
    logits = model(images)[:, 0].detach()
    assert found.mean == pytest.approx(float(logits.mean()), abs=1e-6)
    assert found.deviation == pytest.approx(float(logits.std(correction=0)), rel=1e-4)
    assert found.highest == pytest.approx(float(logits.max()))
    assert found.rate(found.mean + 2 * found.deviation) == pytest.approx(2)
    regularisations = list_regularisations(model, usual)
    assert regularisations["norm"].norm == usual.norm
    low, high = regularisations["nothing"].limits
    assert_close(low.flatten(), torch.tensor([-0.8]))
    assert_close(high.flatten(), torch.tensor([1.2]))


def test_a_stored_image_does_not_activate_a_class_by_reading_itself(images):
    torch.manual_seed(0)
    model = wrap("small_cnn", ["cat", "dog"], variant="votes", image_shape=SHAPE).eval()
    labels = torch.tensor([0, 1, 0, 1, 0, 1, 0])
    model.remember(images, labels)
    expected = model(images, mask=~torch.eye(7, dtype=torch.bool)).softmax(1)[:, 1].detach()
    unit = Unit("probability", "", (1,), "probability of dog")
    found = find_peaks(model, model.encoder, unit, images, batch_size=4)
    assert_close(
        torch.tensor([peak.activation for peak in found]),
        expected[[peak.image for peak in found]],
    )
    with torch.no_grad():
        own = classify_inputs(model, model.normalise(images)).softmax(1)
    assert own[labels == 1, 1].mean() > expected[labels == 1].mean()


class Noticing(nn.Module):
    """Another thread looks at the network while it runs, and answers with it."""

    def __init__(self):
        super().__init__()
        self.network, self.look, self.seen = Twice(), None, []

    def forward(self, images):
        found = self.network(images)
        if self.look is not None and threading.current_thread() is threading.main_thread():
            thread = threading.Thread(target=lambda: self.seen.append(self.look()))
            thread.start()
            thread.join()
        return found


def test_another_thread_sees_no_hook_and_answers_as_ever(images):
    torch.manual_seed(0)
    model = wrap(Noticing(), ["cat", "dog"], variant="standard", image_shape=SHAPE, mean=[0.4])
    model = model.eval()
    wanted, inputs, encoder = model(images), model.normalise(images), model.encoder

    def look():
        return any(part._forward_hooks for part in encoder.modules()), model(images)

    asked = (
        lambda: list_layers(model),
        lambda: activate_units(model, [unit] * 7, inputs),
        lambda: find_peaks(model, encoder, unit, images, count=2, batch_size=4),
    )
    unit = Unit("channel", "network.first", (1,), "")
    encoder.look = look
    for ask in asked:
        ask()
    assert len(encoder.seen) > 3
    assert not any(hooked for hooked, _ in encoder.seen)
    assert all(torch.equal(answer, wanted) for _, answer in encoder.seen)
