"""The authors' layers against their library, and their files against what their models compute."""

import copy
import os
from functools import cache
from itertools import pairwise

import memorywrap
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from tests.helpers import authors
from whence.compat import layers as compat
from whence.compat.layers import BaselineMemory, MemoryWrapLayer, load_authors_checkpoint
from whence.encoders.vit import vit
from whence.models.load import load
from whence.models.save import save

LAYERS = {"MemoryWrapLayer": MemoryWrapLayer, "BaselineMemory": BaselineMemory}
SIZES = [(2, 5, 3, 4), (7, 1, 6, 2), (1, 40, 9, 10)]  # B, M, D, K


def pair(name, features, classes, distance):
    """Their layer and ours with the same parameters, in float64."""
    theirs = getattr(memorywrap, name)(features, classes, distance=distance).double()
    ours = LAYERS[name](features, classes, distance=distance).double()
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def encodings(sizes, rng, dtype=torch.float64):
    batch, memory, features, _ = sizes
    return [
        torch.randn(n, features, generator=rng, dtype=dtype).requires_grad_()
        for n in (batch, memory)
    ]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("distance", ["cosine", "l2", "dot"])
@pytest.mark.parametrize("name", LAYERS)
def test_same_as_the_library(name, distance, sizes, rng):
    theirs, ours = pair(name, sizes[2], sizes[3], distance)
    queries, memory = encodings(sizes, rng)
    direction = torch.randn(sizes[0], sizes[3], generator=rng, dtype=torch.float64)
    answers = []
    for layer in (theirs, ours):
        logits, weights = layer(queries, memory, return_weights=True)
        loss = (logits * direction).sum() + weights.square().sum()
        gradients = torch.autograd.grad(loss, [queries, memory, *layer.parameters()])
        assert_close(layer(queries, memory), logits, rtol=0, atol=0)
        answers.append((logits, weights, *gradients))
    assert_close(answers[1], answers[0])
    assert answers[1][1].shape == (sizes[0], sizes[1])


def test_the_distances_differ(rng):
    sizes = (3, 8, 5, 2)
    queries, memory = encodings(sizes, rng)
    found = [
        pair("MemoryWrapLayer", 5, 2, distance)[1](queries, memory, True)[1]
        for distance in ("cosine", "l2", "dot")
    ]
    assert not any(torch.allclose(a, b) for a, b in pairwise(found))


@pytest.mark.parametrize("name", LAYERS)
def test_same_start_and_same_keys(name):
    torch.manual_seed(3)
    theirs = getattr(memorywrap, name)(6, 4).state_dict()
    torch.manual_seed(3)
    ours = LAYERS[name](6, 4).state_dict()
    assert list(ours) == list(theirs)
    assert_close(dict(ours), dict(theirs), rtol=0, atol=0)
    getattr(memorywrap, name)(6, 4).load_state_dict(ours)


@pytest.mark.parametrize("name", LAYERS)
def test_old_keys_load(name, rng):
    layer = LAYERS[name](6, 4)
    old = {f"mw.fc.{k.removeprefix('classifier.')}": t for k, t in layer.state_dict().items()}
    kept = dict(old)
    model = copy.deepcopy(nn.ModuleDict({"mw": LAYERS[name](6, 4)}))
    model.load_state_dict(old)
    assert old == kept, "the caller's dict is not changed"
    queries, memory = encodings((2, 5, 6, 4), rng, torch.float32)
    assert_close(model["mw"](queries, memory), layer(queries, memory), rtol=0, atol=0)
    old["mw.fc.fc3.weight"] = torch.zeros(1)
    with pytest.raises(RuntimeError, match=r"mw.classifier.fc3.weight"):
        model.load_state_dict(old)


@pytest.mark.parametrize("name", LAYERS)
def test_old_signature(name, rng):
    queries, memory = encodings((2, 5, 6, 4), rng, torch.float32)
    made = []
    for arguments, options in [
        ((6, 4), {"mlp_activation": nn.Tanh()}),
        ((6, 4, nn.Tanh()), {}),
        ((), {"encoder_dim": 6, "output_dim": 4, "mlp_activation": nn.Tanh()}),
    ]:
        torch.manual_seed(0)
        made.append(LAYERS[name](*arguments, **options)(queries, memory))
    torch.manual_seed(0)
    plain = LAYERS[name](6, 4)
    assert_close(made[0], made[1], rtol=0, atol=0)
    assert_close(made[0], made[2], rtol=0, atol=0)
    assert not torch.allclose(plain(queries, memory), made[0])
    hidden = torch.tanh(plain.classifier.fc1(joined(name, plain, queries, memory)))
    assert_close(made[0], plain.classifier.fc2(hidden))


def joined(name, layer, queries, memory):
    vector = layer(queries, memory, True)[1] @ memory
    return torch.cat([queries, vector], 1) if name == "MemoryWrapLayer" else vector


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("make", [nn.Identity, nn.Sequential, lambda: nn.LazyLinear(3)])
def test_a_classifier_of_the_users_own(name, make, rng):
    classifier = make()
    layer = LAYERS[name](6, 4, classifier)
    assert layer.classifier is classifier
    queries, memory = encodings((2, 5, 6, 4), rng, torch.float32)
    assert_close(layer(queries, memory), classifier(joined(name, layer, queries, memory)))


@pytest.mark.parametrize("name", LAYERS)
def test_half_precision_reads_as_float32(name, rng):
    torch.manual_seed(0)
    layer = LAYERS[name](16, 4)
    queries, memory = (e.detach().bfloat16() for e in encodings((3, 30, 16, 4), rng))
    expected = layer(queries.float(), memory.float(), return_weights=True)[1]
    logits, weights = layer.bfloat16()(queries, memory, return_weights=True)
    assert logits.dtype == torch.bfloat16
    assert_close(weights, expected, rtol=0, atol=0)
    with torch.autocast("cpu", torch.bfloat16):
        found = LAYERS[name](16, 4)(queries.float(), memory.float(), return_weights=True)[1]
    assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    "arguments, options, message",
    [
        ((6, 4, None, "l1"), {}, r"Unknown distance 'l1'. Choose from: cosine, l2, dot"),
        ((6, 4), {"encoder_dim": 6}, r"must be given once, got 2 numbers"),
        ((), {"output_dim": 4}, r"must be given once, got 0 numbers"),
        ((6,), {}, "output_dim must be the number of classes, got None"),
        ((6, 4, nn.ReLU()), {"mlp_activation": nn.ReLU()}, "must be given once, got it twice"),
        ((6, 4, nn.Linear(12, 4)), {"mlp_activation": nn.ReLU()}, "must be left out when a class"),
    ],
)
@pytest.mark.parametrize("name", LAYERS)
def test_arguments_that_make_no_sense(name, arguments, options, message):
    with pytest.raises(ValueError, match=message):
        LAYERS[name](*arguments, **options)


@cache
def state_of(model_name):
    return {key: t.float() if t.ndim else t for key, t in authors.fill_all(model_name).items()}


def checkpoint(state, **changes):
    fields = {
        "model_state_dict": state,
        "train_examples": 1000,
        "mem_examples": 100,
        "model_name": "shufflenet",
        "num_classes": 10,
        "modality": "encoder_memory",
        "dataset_name": "SVHN",
    }
    return {k: v for k, v in {**fields, **changes}.items() if v is not None}


def write(folder, content):
    torch.save(content, folder / "1.pt")
    return folder / "1.pt"


def with_modality(state, modality, features):
    """The same encoder under the last layers of another variant, filled by the formula."""
    state = {key: tensor for key, tensor in state.items() if not key.startswith("mw.")}
    shapes = {"linear.weight": (10, features), "linear.bias": (10,)}
    if modality == "memory":
        shapes = {
            "mw.classifier.fc1.weight": (2 * features, features),
            "mw.classifier.fc1.bias": (2 * features,),
            "mw.classifier.fc2.weight": (10, 2 * features),
            "mw.classifier.fc2.bias": (10,),
        }
    return state | {key: authors.fill(key, shape).float() for key, shape in shapes.items()}


def old_layout(state):
    return {key.replace("mw.classifier.", "mw.fc."): tensor for key, tensor in state.items()}


@pytest.mark.parametrize("layout", ["classifier", "fc"])
@pytest.mark.parametrize("name", authors.ENCODER_OF)
def test_checkpoints_give_the_authors_answers(name, layout, tmp_path):
    state = state_of(name) if layout == "classifier" else old_layout(state_of(name))
    torch.manual_seed(0)
    before = torch.get_rng_state()
    model = load_authors_checkpoint(write(tmp_path, checkpoint(state, model_name=name)))
    assert torch.equal(torch.get_rng_state(), before)
    assert (model.kind.family, model.kind.name) == ("whence", authors.ENCODER_OF[name])
    assert model.variant == "memory-wrap"
    assert not model.training
    model.double()
    with torch.no_grad():  # the images go straight into the encoder, without normalising
        found = model.head(
            model.encoder(authors.input_images()), model.encoder(authors.memory_images())
        )
    for key in ("weights", "logits"):
        expected = torch.tensor(authors.OUTPUTS[name][key], dtype=torch.float64)
        scale = expected.abs().max().item()
        assert_close(getattr(found, key), expected, rtol=0, atol=2e-6 * scale)


@pytest.mark.parametrize("modality", ["std", "memory"])
@pytest.mark.parametrize("name, features", [("densenet", 384), ("shufflenet", 1024)])
def test_other_modalities(name, features, modality, tmp_path, rng):
    state = with_modality(state_of(name), modality, features)
    content = checkpoint(state, model_name=name, modality=modality, dataset_name="CIFAR10")
    model = load_authors_checkpoint(write(tmp_path, content)).double()
    queries = model.encoder(authors.input_images())
    if modality == "std":
        assert model.variant == "standard"
        logits = queries @ state["linear.weight"].double().T + state["linear.bias"].double()
        assert_close(model.head(queries), logits)
    else:
        assert model.variant == "only-memory"
        theirs = memorywrap.BaselineMemory(features, 10).double()
        theirs.load_state_dict({k[3:]: t for k, t in state.items() if k.startswith("mw.")})
        memory = model.encoder(authors.memory_images())
        assert_close(model.head(queries, memory).logits, theirs(queries, memory))


@pytest.mark.parametrize(
    "dataset, first, mean, std",
    [
        ("SVHN", "0", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("CIFAR10", "airplane", (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
        (
            "CINIC10",
            "airplane",
            (0.47889522, 0.47227842, 0.43047404),
            (0.24205776, 0.23828046, 0.25874835),
        ),
    ],
)
def test_normalisation_of_the_dataset(dataset, first, mean, std, tmp_path, rng):
    content = checkpoint(state_of("densenet"), model_name="densenet", dataset_name=dataset)
    model = load_authors_checkpoint(write(tmp_path, content), dataset_name=dataset)
    assert model.class_names[0] == first
    assert len(model.class_names) == 10
    images = torch.rand(2, 3, 32, 32, generator=rng)
    expected = (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    assert_close(model.normalise(images), expected)
    assert_close(model.encode(images), model.encoder(expected))


def test_an_imported_model_can_be_saved_and_used(tmp_path, rng):
    content = checkpoint(state_of("densenet"), model_name="densenet169")
    model = load_authors_checkpoint(write(tmp_path, content))
    images = torch.rand(7, 3, 32, 32, generator=rng)
    model.remember(images[2:])
    save(model, tmp_path / "run")
    assert_close(load(tmp_path / "run")(images[:2]), model(images[:2]), rtol=0, atol=0)


VIT_HEADS = {
    "std": ("standard", {"fc.1.weight": (10, 384), "fc.1.bias": (10,)}),
    "memory": (
        "only-memory",
        {
            "mw.classifier.fc1.weight": (768, 384),
            "mw.classifier.fc1.bias": (768,),
            "mw.classifier.fc2.weight": (10, 768),
            "mw.classifier.fc2.bias": (10,),
        },
    ),
    "encoder_memory": (
        "memory-wrap",
        {
            "mw.classifier.fc1.weight": (1536, 768),
            "mw.classifier.fc1.bias": (1536,),
            "mw.classifier.fc2.weight": (10, 1536),
            "mw.classifier.fc2.bias": (10,),
        },
    ),
}


def vit_state(modality, prefix="model."):
    torch.manual_seed(0)
    source = vit().state_dict() | {
        key: authors.fill(key, shape).float() for key, shape in VIT_HEADS[modality][1].items()
    }
    return {prefix + key: tensor for key, tensor in source.items()}


@pytest.mark.parametrize("prefix", ["", "model."])
@pytest.mark.parametrize("modality", VIT_HEADS)
def test_vit_files(modality, prefix, tmp_path, rng):
    path = write(tmp_path, vit_state(modality, prefix))
    model = load_authors_checkpoint(path, dataset_name="CIFAR10")
    assert model.variant == VIT_HEADS[modality][0]
    assert_close(model.std.flatten(), torch.tensor([0.2470, 0.2435, 0.2616]))
    images = torch.rand(5, 3, 32, 32, generator=rng)
    torch.manual_seed(0)
    whole = vit().eval()
    with torch.no_grad():
        normed = whole(model.normalise(images))
        whole.fc = nn.Identity()
        expected = normed if modality == "std" else whole(model.normalise(images))
        assert_close(model.encode(images), expected)
        logits = model(images[:2]) if modality == "std" else model(images[:2], images[2:])
    assert logits.shape == (2, 10)
    head = VIT_HEADS[modality][1]
    theirs = {k.split(".", 1)[1]: authors.fill(k, s).float() for k, s in head.items()}
    if modality == "std":
        assert_close(logits, expected[:2] @ theirs["1.weight"].T + theirs["1.bias"])
    else:
        layer = memorywrap.BaselineMemory if modality == "memory" else memorywrap.MemoryWrapLayer
        oracle = layer(384, 10)
        oracle.load_state_dict(theirs)
        assert_close(logits, oracle(expected[:2], expected[2:]))
        save(model.remember(images[2:]), tmp_path / "run")
        again = load(tmp_path / "run", encoder=vit(final_norm=False))
        assert_close(again(images[:2]), model(images[:2]), rtol=0, atol=0)


def densenet_without(key=None, **tensors):
    state = {k: t for k, t in state_of("densenet").items() if k != key}
    return state | {name.replace("__", "."): tensor for name, tensor in tensors.items()}


def densenet_file(key=None, **changes):
    return checkpoint(densenet_without(key), model_name="densenet", **changes)


@pytest.mark.parametrize(
    "content, message",
    [
        (lambda: [1, 2], "must hold a dict, got a list"),
        (lambda: {"a": 1}, "it lacks model_state_dict, model_name, num_classes, modality, dataset"),
        (lambda: densenet_file(modality=None), "it lacks modality"),
        (
            lambda: densenet_file() | {"model_name": "vgg"},
            r"unknown model_name 'vgg'. .*: mobilenet,",
        ),
        (lambda: densenet_file() | {"model_name": ["x"]}, r"unknown model_name \['x'\]"),
        (lambda: densenet_file(modality="mw"), r"modality 'mw'. Choose from: std, memory, enc"),
        (
            lambda: densenet_file(dataset_name="MNIST"),
            "dataset_name 'MNIST'. Choose from: SVHN, CIF",
        ),
        (lambda: densenet_file(num_classes=100), "last layer of num_classes=100 rows, got 10"),
        (lambda: densenet_file("mw.classifier.fc2.bias"), "a last layer .* got none"),
        (
            lambda: checkpoint(
                densenet_without(mw__classifier__fc2__bias=torch.zeros(1)), model_name="densenet"
            ),
            r"a bias of 2 to 100000 classes, got shape \(1,\)",
        ),
        (lambda: densenet_file("bn.weight"), r"encoder.bn.weight \(384,\) is missing \(1 of "),
        (
            lambda: densenet_file("mw.classifier.fc1.bias"),
            r"head.classifier.0.bias \(1536,\) is mis",
        ),
        (
            lambda: checkpoint(densenet_without(conv9__bias=torch.zeros(2)), model_name="densenet"),
            "must hold a memory-wrap model, encoder.conv9.bias has no place in one",
        ),
        (lambda: densenet_file(modality="memory"), r"0.weight must have shape \(768, 384\), got"),
        (
            lambda: densenet_file(modality="std"),
            r"standard model, head.classifier.0.bias has no pl",
        ),
        (
            lambda: checkpoint(
                densenet_without(bn__bias=torch.full((384,), torch.inf)), model_name="densenet"
            ),
            "bn.bias has NaN or infinity",
        ),
        (lambda: checkpoint(3, model_name="densenet"), "must hold named tensors"),
        (
            lambda: vit_state("std"),
            r"does not say its dataset; pass dataset_name: SVHN, CIFAR10, CIN",
        ),
    ],
)
def test_files_that_are_refused(content, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        load_authors_checkpoint(write(tmp_path, content()))


def test_a_dataset_must_agree_with_the_file(tmp_path):
    path = write(tmp_path, densenet_file())
    with pytest.raises(ValueError, match=r"dataset_name must be 'SVHN', which .* got 'CIFAR10'"):
        load_authors_checkpoint(path, dataset_name="CIFAR10")
    path = write(tmp_path, vit_state("std"))
    with pytest.raises(ValueError, match="unknown dataset_name 'c10'"):
        load_authors_checkpoint(path, dataset_name="c10")


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("hacked",)


@pytest.mark.parametrize("field", ["model_state_dict", "train_examples"])
def test_a_hostile_file_is_not_run(field, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, densenet_file() | {field: Hostile()})
    with pytest.raises(ValueError, match=r"1.pt must be a whole PyTorch file .* could run code"):
        load_authors_checkpoint(path)
    assert not (tmp_path / "hacked").exists()
    with pytest.raises(FileNotFoundError, match=r"2.pt must be a file"):
        load_authors_checkpoint(tmp_path / "2.pt")


def test_tables_name_what_exists():
    from whence.encoders import ENCODERS

    assert set(compat.ENCODERS.values()) == set(authors.ENCODER_OF.values()) <= set(ENCODERS)
    assert compat.DATASETS.keys() == compat.VIT_DATASETS.keys()
