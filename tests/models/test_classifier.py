"""The classifier: wrap, read, remember, the bank's rules, and modes left as they were."""

import copy
import io
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import whence
from whence.memory.attention import recall, score, weigh
from whence.memory.feature_heads import FeatureHead
from whence.models.classifier import Classifier
from whence.models.left_out import predict_left_out
from whence.models.using import encode_all

SHAPE = (1, 8, 8)


@pytest.fixture
def images(rng):
    return torch.randint(0, 256, (7, *SHAPE), generator=rng, dtype=torch.uint8)


@pytest.fixture
def memory_images(rng):
    return torch.randint(0, 256, (5, *SHAPE), generator=rng, dtype=torch.uint8)


def make(variant="memory-wrap", **options):
    torch.manual_seed(0)
    return whence.wrap("small_cnn", 3, variant=variant, image_shape=SHAPE, **options).eval()


@pytest.mark.parametrize("variant", ["memory-wrap", "only-memory"])
def test_bank_gives_what_the_second_argument_gives(variant, images, memory_images):
    model = make(variant)
    expected = model(images, memory_images)
    assert_close(model.remember(memory_images)(images), expected)
    read = model.read(images)
    assert read.logits.shape == (7, 3)
    assert read.weights.shape == (7, 5)
    assert_close(read.weights.sum(1), torch.ones(7))


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_batch_size_changes_nothing(images, memory_images, batch_size):
    model = make().remember(memory_images, batch_size=batch_size)
    assert_close(model.bank.features, make().remember(memory_images).bank.features)
    one = whence.predict(model, images, batch_size=batch_size)
    all_at_once = whence.predict(model, images)
    for a, b in zip(one, all_at_once, strict=True):
        assert_close(a.probabilities, b.probabilities)
        assert [item.index for item in a.evidence] == [item.index for item in b.evidence]


def test_batches_are_halved_when_memory_runs_out(images):
    class Small(nn.Module):
        """A user's encoder on a device that has room for few images at once."""

        room = 100

        def __init__(self):
            super().__init__()
            self.sizes = []

        def forward(self, batch):
            self.sizes.append(len(batch))
            if len(batch) > self.room:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return batch.flatten(1)

    model = whence.wrap(Small(), 3, image_shape=SHAPE).eval()
    expected = model.encode(images)
    model.encoder.room = 2
    model.encoder.sizes.clear()
    assert_close(encode_all(model, images, batch_size=5), expected)
    assert model.encoder.sizes == [5, 2, 2, 2, 1]
    model.encoder.room = 0
    with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):
        encode_all(model, images)


def test_uint8_and_float_are_the_same_image(images, memory_images):
    model = make(mean=[0.3], std=[0.5])
    assert_close(model(images / 255, memory_images), model(images, memory_images / 255))
    assert_close(model.normalise(images), (images / 255 - 0.3) / 0.5)


def test_a_bank_of_another_precision_in_training_is_first_said_to_be_in_training(
    images, memory_images
):
    model = make().remember(memory_images).double().train()
    with pytest.raises(RuntimeError, match="The bank can only be read in eval mode"):
        model(images)
    with pytest.raises(RuntimeError, match="The parameters changed since"):
        model.eval()(images)


def test_bank_keeps_where_its_images_came_from(memory_images):
    labels, indices = torch.tensor([0, 1, 2, -1, 1]), torch.tensor([9, 4, 7, 1, 0])
    model = make().remember(memory_images / 255, labels, indices, ["a", "b", "c", "d", "e"])
    bank = model.bank
    assert bank.images.dtype == torch.uint8
    assert_close(bank.images, memory_images)
    nearly = memory_images[1:2].clone()
    nearly[0, 0, 0, 0] += 1  # the very image would be left out
    answer = whence.predict(model, nearly)[0]
    assert (answer.evidence[0].index, answer.evidence[0].source) == (4, "b")
    assert answer.evidence[0].similarity == pytest.approx(1, abs=1e-3)
    assert sum(item.weight for item in answer.evidence) == pytest.approx(1)
    weights = [item.weight for item in answer.evidence]
    assert weights == sorted(weights, reverse=True)
    assert all(
        (item.role == "example") == (item.predicted == answer.predicted) for item in answer.evidence
    )


class Nearest(FeatureHead):
    """A head that stands in no table: the features of what is read are the logits."""

    variant, title, vectors, memory_alone = "nearest", "Nearest", 1, True

    def respond(self, queries, vectors):
        return vectors


def test_a_head_that_is_not_in_the_table_is_what_it_says(images, memory_images, tmp_path):
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    model = whence.wrap(encoder, 3, image_shape=SHAPE, drop_classifier=False)
    model.head = Nearest(3, 3)
    assert (model.variant, model.features, model.has_memory) == ("nearest", 3, True)
    model.eval().remember(memory_images)
    weights = weigh(score(model.encode(images), model.bank.features))
    assert_close(model(images), recall(weights, model.bank.features))
    with pytest.raises(ValueError, match=r"must have a variant of votes, .*, got 'nearest'"):
        whence.save(model, tmp_path / "saved")


def test_a_module_that_is_no_head_is_refused():
    model = make()
    with pytest.raises(TypeError, match=r"head must be a whence.memory.heads.Head, .* got Linear"):
        Classifier(
            model.encoder,
            nn.Linear(3, 3),
            kind=model.kind,
            class_names=model.class_names,
            image_shape=model.image_shape,
            mean=[0.0],
            std=[1.0],
        )


def test_own_class_left_out_by_hand():
    """Only Memory whose last layer passes the memory vector on: the answer is the neighbour's."""
    model = make("only-memory", classifier="linear")
    model.head = whence.OnlyMemory(3, 3, classifier="linear")
    with torch.no_grad():
        model.head.classifier.weight.copy_(torch.eye(3))
        model.head.classifier.bias.zero_()
    features = torch.tensor([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.2, 0.0, 1.0], [0.9, 0.0, 1.0]])
    assert model.head(features, features).logits.argmax(1).tolist() == [0, 1, 2, 2]
    assert predict_left_out(model.head, features, torch.arange(4)).tolist() == [0, 0, 0, 2]


def test_own_class_is_predicted_with_the_image_left_out(memory_images):
    model = make().remember(memory_images)
    features = model.bank.features
    for place in range(5):
        rest = torch.cat([features[:place], features[place + 1 :]])
        expected = model.head(features[place : place + 1], rest).logits.argmax(1)
        assert model.bank.predicted[place] == expected[0]
    assert_close(
        predict_left_out(model.head, features, torch.arange(5), batch_size=2), model.bank.predicted
    )
    alone = make().remember(memory_images[:1])
    assert alone.bank.predicted.shape == (1,)


@pytest.mark.parametrize("fused", [True, False])
def test_bank_is_refused_when_it_does_not_fit(images, memory_images, fused):
    model = make()
    with pytest.raises(RuntimeError, match=r"no memory yet; call model.remember"):
        model(images)
    model.remember(memory_images)
    with pytest.raises(RuntimeError, match=r"only be read in eval mode; call model.eval"):
        model.train()(images)
    model.eval()
    model(images)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=fused)
    model(images, memory_images).sum().backward()
    optimizer.step()
    with pytest.raises(RuntimeError, match=r"parameters changed since the memory was encoded"):
        model(images)


@pytest.mark.parametrize("change", ["load", "statistics", "cast"])
def test_every_kind_of_change_is_noticed(images, memory_images, change):
    model = make().remember(memory_images)
    if change == "load":
        model.load_state_dict(model.state_dict())
    elif change == "statistics":
        model.train()(images, memory_images)
        model.eval()
    else:
        model.double()
    with pytest.raises(RuntimeError, match=r"call model.remember"):
        model(images)


def test_moving_keeps_the_bank(images, memory_images):
    model = make().remember(memory_images)
    expected = model(images)
    assert_close(model.to("cpu")(images), expected)


def pickled(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickled])
def test_a_copy_keeps_the_bank(images, memory_images, duplicate):
    model = make().remember(memory_images)
    with torch.no_grad():
        expected = model(images)
        again = duplicate(model)
        assert_close(again(images), expected)
        if duplicate is not copy.copy:  # which shares its parameters
            again.head.classifier[0].weight.add_(1)
            with pytest.raises(RuntimeError, match="parameters changed"):
                again(images)
            with pytest.raises(RuntimeError, match="parameters changed"):
                duplicate(again)(images)
        assert_close(model(images), expected)


def test_a_copy_is_set_apart_from_the_first(images, memory_images):
    model = make().remember(memory_images)
    other = copy.copy(model)
    other.remember(memory_images[:2])
    other.head = nn.Identity()
    assert len(model.bank) == 5
    assert model(images).shape == (7, 3)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("variant", ["memory-wrap", "standard"])
def test_no_images_no_answers(images, memory_images, dtype, variant):
    model = make(variant)
    if variant != "standard":
        model.remember(memory_images)
    assert whence.predict(model, images[:0].to(dtype)) == ()


def test_pixels_of_the_memory_stay_where_they_are(memory_images):
    """On the CPU and as they came: answers do not read them."""
    pixels = memory_images / 255 * 0.9  # no uint8 would do
    model = make().remember(pixels).double()
    assert model.bank.features.dtype == torch.float64
    assert model.bank.images.equal(pixels)
    assert model.bank.take(torch.tensor([3, 1])).images.equal(pixels[[3, 1]])


def test_standard_has_no_memory(images, memory_images):
    model = make("standard")
    assert model(images).shape == (7, 3)
    for call in (
        lambda: model.remember(memory_images),
        lambda: model(images, memory_images),
        lambda: model.read(images),
    ):
        with pytest.raises(ValueError, match=r"standard model has no memory; leave the memory"):
            call()
    assert whence.predict(model, images)[0].evidence == ()


def test_modes_are_left_alone_even_after_an_error(images, memory_images):
    model = make()
    model.remember(memory_images)
    encode_all(model, images)
    with pytest.raises(ValueError, match=r"images must be"):
        encode_all(model, images[:, :, 0])
    assert not any(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


DOORS = {
    "remember": lambda model, images: model.remember(images),
    "predict": whence.predict,
    "explain": whence.explain,
    "find_removals": whence.find_removals,
    "attribute": whence.attribute,
    "why_similar": whence.why_similar,
    "encode_all": encode_all,
    "evaluate": lambda model, images: whence.evaluate(model, label(images), memory_size=2),
    "calibrate": lambda model, images: whence.calibrate(model, label(images)),
}


def label(images):
    return whence.ImageSet(images, torch.arange(7) % 3, ("0", "1", "2"))


@pytest.mark.parametrize("variant", ["memory-wrap", "standard"])
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("layer", ["", "encoder.1"])
def test_a_model_in_training_mode_does_not_answer(images, memory_images, door, variant, layer):
    """Another thread may be training it: a switch of modes would change what that one computes."""
    model = make(variant)
    if model.has_memory:
        model.remember(memory_images)
    elif door in ("remember", "find_removals", "why_similar"):
        pytest.skip("is for models with a memory")
    model.get_submodule(layer).train()
    modes = [module.training for module in model.modules()]
    state = copy.deepcopy(model.state_dict())
    which = f", its layer {layer} is in training mode" if layer else ""
    message = rf"The Classifier must be in eval mode to answer{which}; call .eval\(\) first"
    with pytest.raises(RuntimeError, match=message):
        DOORS[door](model, images)
    assert [module.training for module in model.modules()] == modes
    assert_close(model.state_dict(), state, rtol=0, atol=0)


def test_a_layer_in_training_mode_does_not_read_the_bank(images, memory_images):
    model = make().remember(memory_images)
    model.encoder[1].train()
    with pytest.raises(RuntimeError, match=r"only be read in eval mode; call model.eval"):
        model(images)


def test_training_is_not_disturbed_by_answers_of_another_thread(images, memory_images):
    """The answers are refused, whenever they come, and the statistics are those of the training."""
    model, alone = make().train(), make().train()
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(whence.predict, model, images) for _ in range(20)]
        for batch in images[:6].split(2):
            model(batch, memory_images)
    for batch in images[:6].split(2):
        alone(batch, memory_images)
    assert all(isinstance(one.exception(), RuntimeError) for one in asked)
    assert_close(model.state_dict(), alone.state_dict(), rtol=0, atol=0)


def test_a_module_of_the_users_own():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 3)

        def forward(self, x):
            x = self.conv(x)
            return x.view(len(x), -1)  # needs the ordinary memory layout

    model = whence.wrap(Net(), ["cat", "dog"], image_shape=SHAPE).eval()
    assert model.class_names == ("cat", "dog")
    assert model(torch.zeros(2, *SHAPE), torch.zeros(3, *SHAPE)).shape == (2, 2)
    assert model.head.classifier[0].in_features == 2 * 4 * 6 * 6


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"classes": 1}, "classes must be 2 to 100000 different names, got 1"),
        ({"classes": ["a", "b\x1b[2J"]}, "named by printable text"),
        ({"classes": ["a", "a"]}, "classes must be 2 to 100000 different names, got 'a' twice"),
        ({"classes": 3, "variant": "mw"}, "Unknown variant 'mw'. Choose from: votes, memory-wrap"),
        ({"classes": 3, "mean": [0.1, 0.2]}, r"one number per channel \(1\), got 2 and 1"),
        ({"classes": 3, "std": [0.0]}, "std must be above 0 and at most 1, as pixels are, got 0.0"),
        ({"classes": 3, "similarity": "l3"}, "Unknown similarity 'l3'"),
    ],
)
def test_rejected_models(arguments, message):
    with pytest.raises(ValueError, match=message):
        whence.wrap("small_cnn", image_shape=SHAPE, **arguments)


def test_rejected_images(images, memory_images):
    model = make()
    with pytest.raises(
        ValueError, match=r"images must be \(B, 1, 8, 8\), as the model was made for, got shape"
    ):
        model(torch.zeros(2, 3, 8, 8), memory_images)
    for bad in (images / 1.0, images / 255 - 0.01, torch.full((1, *SHAPE), torch.nan)):
        with pytest.raises(ValueError, match=r"float.* \[0, 1\]"):
            model(bad, memory_images)
    with pytest.raises(TypeError, match=r"images must be uint8 or float"):
        model(images.long(), memory_images)
    with pytest.raises(ValueError, match=r"labels must be in -1 to 2, got 0 to 3"):
        model.remember(memory_images, torch.tensor([0, 1, 2, 3, 0]))
    with pytest.raises(ValueError, match=r"sources must name 5 files, got 1"):
        model.remember(memory_images, sources=["a"])
    with pytest.raises(ValueError, match=r"at least one image, got none"):
        model.remember(memory_images[:0])
