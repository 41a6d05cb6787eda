"""The authors' files against what their models compute."""

import memorywrap
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from tests.helpers import authors
from tests.helpers.authors_files import (
    VIT_HEADS,
    checkpoint,
    old_layout,
    state_of,
    vit_state,
    with_modality,
    write,
)
from whence.compat import load_authors_checkpoint
from whence.encoders.vit import vit
from whence.models.load import load
from whence.models.save import save


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
