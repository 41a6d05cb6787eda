"""Numbers that a file or a training may hold, though no answer can come of them."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import whence
from whence.models.sound import LARGEST, check_outputs, find_unsound
from whence.models.using import encode_all
from whence.storage.plain_files import hash_file

SHAPE = (1, 8, 8)
VARIANTS = ["memory-wrap", "only-memory", "standard"]


@pytest.fixture
def images(rng):
    return torch.randint(0, 256, (6, *SHAPE), generator=rng, dtype=torch.uint8)


def make(images, variant="memory-wrap", encoder="small_cnn", **options):
    torch.manual_seed(0)
    model = whence.wrap(encoder, 3, variant=variant, image_shape=SHAPE, **options).eval()
    return model.remember(images) if model.has_memory else model


@pytest.mark.parametrize(
    ("tensors", "problem"),
    [
        ({"a": torch.zeros(3), "b": torch.tensor([1.0, torch.nan])}, "finite numbers, b has NaN or infinity"),
        ({"a": torch.tensor([torch.inf])}, "finite numbers, a has NaN or infinity"),
        ({"x.running_var": torch.tensor([2.0, -0.25])}, "variances of at least 0, x.running_var has -0.25"),
        ({"a": torch.tensor([-3e20, 1.0])}, "numbers of at most 1e+18, a has -3e+20"),
        ({"a": torch.tensor([3e20, -1.0])}, "numbers of at most 1e+18, a has 3e+20"),
        ({"a": torch.tensor([LARGEST], dtype=torch.float64)}, None),
        ({"x.running_var": torch.zeros(2), "x.running_mean": torch.tensor([-5.0])}, None),
        ({"whole": torch.tensor([2**62]), "none": torch.zeros(0)}, None),
    ],
)  # fmt: skip
def test_find_unsound(tensors, problem):
    assert find_unsound(tensors) == problem


def forge(folder, name, file="model.safetensors", **changed):
    """Replace tensors of a file and its hash."""
    tensors = load_file(folder / file)
    tensors[name] = changed["change"](tensors[name])
    save_file(tensors, folder / file)
    about = json.loads((folder / "whence.json").read_text())
    about["sha256"][file] = hash_file(folder / file)
    (folder / "whence.json").write_text(json.dumps(about))


@pytest.mark.parametrize(
    ("file", "name", "change", "message"),
    [
        ("model", "encoder.1.running_var", lambda t: t - 3, r"variances of at least 0, encoder.1.running_var has -"),
        ("model", "encoder.1.bias", lambda t: t + 1e20, r"numbers of at most 1e\+18, encoder.1.bias has 1e\+20"),
        ("model", "head.classifier.0.weight", lambda t: t - 1e25, r"head.classifier.0.weight has -1e\+25"),
        ("bank", "features", lambda t: t + 1e38, r"numbers of at most 1e\+18, features has 1e\+38"),
    ],
    ids=["variance", "bias", "head", "features"],
)  # fmt: skip
def test_finite_but_wrong_files_are_refused(images, tmp_path, file, name, change, message):
    whence.save(make(images), tmp_path / "run")
    forge(tmp_path / "run", name, f"{file}.safetensors", change=change)
    with pytest.raises(ValueError, match=rf"{file}.safetensors must hold .*{message}"):
        whence.load(tmp_path / "run")


def test_what_would_be_refused_is_not_saved(images, tmp_path):
    model = make(images, "standard")
    with torch.no_grad():
        model.encoder[1].running_var.fill_(-1)
    with pytest.raises(ValueError, match=r"model must hold variances of at least 0, encoder.1"):
        whence.save(model, tmp_path / "run")
    assert not (tmp_path / "run").exists()


class Divides(nn.Module):
    """An encoder that divides by the ink of an image: a black one gives NaN."""

    def forward(self, images):
        found = images.flatten(1)
        return found / found.sum(1, keepdim=True)


def black(images):
    return torch.cat([images[:2], 0 * images[:1], images[2:]])


DOORS = {
    "model(images)": lambda model, images: model(images),
    "encode_all": encode_all,
    "predict": whence.predict,
    "explain": whence.explain,
    "attribute": lambda model, images: whence.attribute(model, images, steps=2),
    "evaluate": lambda model, images: whence.evaluate(model, label(images), memory_size=2),
    "calibrate": lambda model, images: whence.calibrate(model, label(images.flip(-1))),
}
MEMORY_DOORS = {
    "read": lambda model, images: model.read(images),
    "remember": lambda model, images: model.remember(images),
    "memory": lambda model, images: model(images[:1], images),
    "find_removals": whence.find_removals,
    "why_similar": lambda model, images: whence.why_similar(model, images, steps=2),
}


def label(images):
    return whence.ImageSet(images, torch.arange(len(images)) % 3, ("0", "1", "2"))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("door", [*DOORS, *MEMORY_DOORS])
def test_an_encoder_that_returns_nan_gives_no_answer(images, door, variant):
    if door in MEMORY_DOORS and variant == "standard":
        pytest.skip("is for models with a memory")
    model = make(images, variant, Divides())
    message = r"must be finite numbers, those of image [02] have NaN or infinity; the numbers over"
    with pytest.raises(ValueError, match=message):
        {**DOORS, **MEMORY_DOORS}[door](model, black(images))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("door", [*DOORS, *MEMORY_DOORS])
def test_a_head_that_overflows_is_named(images, door, variant):
    if door == "encode_all" or (door in MEMORY_DOORS and variant == "standard"):
        pytest.skip("does not read the head")
    model = make(images, variant, classifier="mlp")
    with torch.no_grad():
        for layer in model.head.modules():
            if isinstance(layer, nn.Linear):
                layer.weight.fill_(3e38)
    if model.has_memory:
        model.attach(model.bank)
    with pytest.raises(ValueError, match=r"logits must be .*classifier(.0)?.weight has 3e\+38"):
        {**DOORS, **MEMORY_DOORS}[door](model, images)


def test_training_does_not_look(images):
    """A step of training does not wait for the GPU: the loss says it at the end of the epoch."""
    model = make(images, "standard", Divides()).train()
    assert model(black(images)).isnan().any()


def test_the_first_bad_row_is_named():
    outputs = torch.tensor([[0.0, 1.0], [torch.inf, 0.0], [torch.nan, 0.0]])
    with pytest.raises(ValueError, match=r"logits must be .* image 1 .* overflow inside Identity"):
        check_outputs("logits", outputs, nn.Identity())
    check_outputs("logits", outputs[:1], nn.Identity())
